"""Checks before the first stage starts: inputs and models can be read, and fit each other."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.contracts.languages import fallback_codes, language_key
from kgcorpus.contracts.stages import Source
from pipelines.bound import BoundStage
from pipelines.first_records import Sample, read_sample
from pipelines.source_digests import require_input

_NAMES = ("graph.labels", "graph.relations")
# Their ids are those of the entities in `graph.triples`.
_ENTITIES = ("graph.labels", "graph.types", "graph.descriptions", "wikipedia.titles", "text.path")
_LETTERS, _DIGITS = re.compile(r"[^\W\d_]+"), re.compile(r"\d+")


@dataclass(frozen=True)
class Findings:
    """What the checks found.

    Attributes:
        errors: each would end the build.
        warnings: each leaves some table empty, or a language without records.
        checked: how many files, folders and models were read.
    """

    errors: Sequence[KgcorpusError]
    warnings: Sequence[str]
    checked: int


def check(config: BuildConfig, stages: Collection[BoundStage], *, load_models: bool = True) -> Findings:
    """Read the first records of the stages' sources, and load their models.

    Args:
        stages: those that are to run, in their order.
        load_models: as of `read_sample`.
    """
    errors: list[KgcorpusError] = []
    samples: dict[Source, Sample] = {}
    checked: set[tuple[str, str]] = set()
    failed: set[str] = set()
    for stage in stages:
        for source in stage.sources:
            # The encoder's tokenizer measures passages and descriptions, its model only `importance`.
            use = stage.name if source.role == "importance.encoder" else ""
            if (source.path, use or source.role) in checked:
                continue
            checked.add((source.path, use or source.role))
            read = source
            if source.role == "importance.encoder" and stage.name != "importance":
                if config.passages.tokenizer:
                    continue
                read = Source("passages.tokenizer", source.path)
            if source.path in failed:
                continue
            try:
                require_input(source)
                samples[read] = read_sample(read, config, stage=stage.name, load_models=load_models)
            except KgcorpusError as error:
                errors.append(error)
                failed.add(source.path)
    warnings = [*_ids_that_differ(samples), *_languages_without_names(config, samples)]
    return Findings(errors, warnings, len({path for path, _ in checked}))


def _ids_that_differ(samples: dict[Source, Sample]) -> Iterator[str]:
    """Fields none of whose ids is in the graph.

    Of files that were read in part, ids are compared by their form: letters and digits count as one of a
    kind.
    """
    graph = _joined(samples, "graph.triples")
    if graph is None:
        return
    for role in (*_ENTITIES, "graph.relations"):
        if (found := _joined(samples, role)) is None:
            continue
        own, known = (
            (found.relations, graph.relations)
            if role == "graph.relations"
            else (found.entities, graph.entities)
        )
        if not (own and known and own.isdisjoint(known)):
            continue
        if (found.whole and graph.whole) or _forms(own).isdisjoint(_forms(known)):
            yield (
                f"{role}: none of its ids is in graph.triples, so nothing of it is used: it has ids such as "
                f"{min(own)}, the graph such as {min(known)}"
            )


def _forms(ids: Collection[str]) -> set[str]:
    return {_DIGITS.sub("9", _LETTERS.sub("a", ident)) for ident in ids}


def _languages_without_names(config: BuildConfig, samples: dict[Source, Sample]) -> Iterator[str]:
    for role in _NAMES:
        if (found := _joined(samples, role)) is None or not found.languages:
            continue
        nameless = [
            lang
            for lang in config.languages
            if found.languages.isdisjoint(language_key(code) for code in fallback_codes(lang))
        ]
        if nameless:
            where = role if found.whole else f"the first {found.rows:,} rows of {role}"
            # The layout `id name...` is Wikidata5M's.
            english = "; files without a column of languages are read as English"
            hint = english if found.languages == {"en"} else ""
            yield f"languages: {where} name nothing in {', '.join(nameless)}{hint}"


def _joined(samples: dict[Source, Sample], role: str) -> Sample | None:
    """The samples of a field as one; None without any, or if a file names no ids (SQL, Wikidata's dump)."""
    own = [sample for source, sample in samples.items() if source.role == role]
    if not own or not all(sample.rows for sample in own):
        return None
    return Sample(
        entities=set().union(*(sample.entities for sample in own)),
        relations=set().union(*(sample.relations for sample in own)),
        languages=set().union(*(sample.languages for sample in own)),
        whole=all(sample.whole for sample in own),
        rows=sum(sample.rows for sample in own),
    )


def left_out(reasons: dict[str, str]) -> str:
    """Tables that are not built, grouped by the reason.

    Args:
        reasons: table -> why it is n/a.
    """
    tables: defaultdict[str, list[str]] = defaultdict(list)
    for name, reason in reasons.items():
        tables[reason].append(name)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in tables.items())
