"""mLAMA (Kassner et al. 2021): rank the relation's objects in each language (typed querying).

A candidate's score is the mean log-probability of its tokens, in as many masks.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from typing_extensions import TypedDict

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files, read_json_lines
from trainer.evaluate.probe.contamination import unseen
from trainer.evaluate.probe.probing import (
    BLANK,
    SUBJECT,
    Answer,
    Prober,
    Query,
    Tokens,
    drawn,
    prompt,
    report,
    with_others,
)
from trainer.evaluate.prompt_counter import prompt_counter

# mParaRel writes Chinese twice; the facts' labels are simplified for the most part.
_PATTERNS = {"zh": "zh-hans"}
_TEMPLATES = "templates.jsonl"
_Pattern = TypedDict("_Pattern", {"pattern": str, "checked-by-human": NotRequired[bool]})


class Fact(TypedDict):
    """A line of mParaRel's facts; mLAMA's have no `predicate_id`, which is the file's name."""

    predicate_id: str
    sub_uri: str
    obj_uri: str
    sub_label: str
    obj_label: str
    from_english: NotRequired[bool]


class _Unplaced(TypedDict):
    sub_uri: str
    obj_uri: str
    sub_label: str
    obj_label: str


class _Template(TypedDict):
    relation: str
    template: str


def read_languages(
    data: Path, languages: Collection[str] | None
) -> Iterator[tuple[str, list[Fact], Mapping[str, str]]]:
    """Yield (language, its facts, relation -> pattern).

    Args:
        data: mLAMA's folder, `<lang>/P*.jsonl` and `<lang>/templates.jsonl` (Google-RE's files are not read);
            or mParaRel's, `trex_<lang>.jsonl` and `patterns/<lang>/P*.jsonl`.
        languages: the languages read; None reads all.

    Raises:
        InputError: neither is there, or a file is malformed.
    """
    templates = {path.parent.name: path for path in matching_files(data, _TEMPLATES)}
    facts = {path.stem.removeprefix("trex_"): path for path in matching_files(data, "trex_*.jsonl")}
    if not templates and not facts:
        raise InputError(f"holds no facts (<lang>/{_TEMPLATES} or trex_<lang>.jsonl)", where=str(data))
    for lang in sorted(templates or facts):
        if languages is not None and lang not in languages:
            continue
        if templates:
            rows: list[_Template] = list(read_json_lines(templates[lang], _Template, form="mLAMA"))
            patterns = {row["relation"]: row["template"] for row in rows}
            yield lang, list(_of_folder(templates[lang].parent)), patterns
        else:
            folder = facts[lang].parent / "patterns" / _PATTERNS.get(lang, lang)
            yield lang, list(read_json_lines(facts[lang], Fact, form="mParaRel")), read_patterns(folder)


def _of_folder(folder: Path) -> Iterator[Fact]:
    for path in sorted(folder.glob("P*.jsonl")):
        for row in read_json_lines(path, _Unplaced, form="mLAMA"):
            yield Fact(
                predicate_id=path.stem,
                sub_uri=row["sub_uri"],
                obj_uri=row["obj_uri"],
                sub_label=row["sub_label"],
                obj_label=row["obj_label"],
            )


def read_patterns(folder: Path) -> dict[str, str]:
    """Relation -> pattern, of mParaRel: the first that a person checked, else the first."""
    patterns = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = [
            row
            for row in read_json_lines(path, _Pattern, form="mParaRel")
            if row["pattern"].count(BLANK) == 1 and SUBJECT in row["pattern"]
        ]
        rows.sort(key=lambda row: not row.get("checked-by-human", False))
        if rows:
            patterns[path.stem] = rows[0]["pattern"]
    return patterns


def evaluate_mlama(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Rank the objects of each relation for each of its subjects.

    A relation is asked for by its first pattern that a person checked, else by its first. The ranking is
    filtered: other right objects of the same subject and relation are removed.

    Args:
        model: a folder or hub id.
        data: mLAMA's folder or mParaRel's, as `read_languages` takes them.
        config: `exclude_corpus`, `languages` and `limit` (facts of a relation and language) are read.

    Returns:
        `languages`: for each what `trainer.evaluate.probe.probing.report` gives, `skipped`: reason -> facts
        (`from_english`: a name that is only the English one), and `seen`.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: no facts, or a damaged file.
    """
    prober, languages = Prober(model), {}
    for lang, rows, patterns in read_languages(Path(data), config.languages):
        skipped: Counter[str] = Counter()
        asked = with_others(
            queries_of(rows, patterns, skipped, lang=lang),
            ((row["predicate_id"], row["sub_uri"], row["obj_label"]) for row in rows),
        )
        queries, seen = unseen(asked, config.exclude_corpus)
        answers = ask(prober, drawn(queries, config.limit), objects_of(asked), skipped)
        languages[lang] = {**report(answers), "skipped": dict(sorted(skipped.items())), "seen": seen}
    if not languages:
        raise InputError(f"holds none of the languages {', '.join(config.languages or ())}", where=str(data))
    return {"languages": languages}


def ask(
    prober: Prober, queries: Sequence[Query], objects: Mapping[str, Sequence[str]], skipped: Counter[str]
) -> list[Answer]:
    """Whether the object is ranked first among those of its relation; of equals, the first by name.

    A query's `others` are no candidates.
    """
    by_relation: dict[str, list[Query]] = defaultdict(list)
    for query in queries:
        by_relation[query.relation].append(query)
    asked: list[tuple[list[Query], dict[str, Tokens]]] = []
    for relation, members in by_relation.items():
        # The words beside the blank are the same for every subject, so the candidates' tokens are, too.
        names = {name: prober.tokens(members[0].text, name) for name in objects[relation]}
        candidates = {name: tokens for name, tokens in names.items() if tokens}
        longest = max(map(len, candidates.values()), default=0)
        usable = []
        for query in members:
            if query.object not in candidates:
                skipped["unknown_token"] += 1
            elif not prober.fits(query.text, longest):
                skipped["too_long"] += 1
            else:
                usable.append(query)
        asked.append((usable, candidates))
    prompt_counter.announce(sum(len(usable) * len(_lengths(candidates)) for usable, candidates in asked))
    answers = []
    for usable, candidates in asked:
        chosen = _rank(prober, usable, candidates)
        answers += [
            Answer(query, name == query.object, 1 / len(candidates.keys() - query.others))
            for query, name in zip(usable, chosen, strict=True)
        ]
    return answers


def _rank(prober: Prober, queries: Sequence[Query], candidates: Mapping[str, Tokens]) -> list[str]:
    """The candidate of the highest score for each query."""
    best = [(-np.inf, "")] * len(queries)
    for masks in _lengths(candidates):
        names = sorted(name for name, tokens in candidates.items() if len(tokens) == masks)
        tokens = np.array([candidates[name] for name in names])
        tables = prober.log_probabilities([query.text for query in queries], [masks] * len(queries))
        for i, table in enumerate(tables):
            scores = table[np.arange(masks), tokens].mean(axis=1)
            scores[[name in queries[i].others for name in names]] = -np.inf
            top = int(scores.argmax())
            # Ties between lengths go to the first name, as those within a length do.
            best[i] = max(best[i], (float(scores[top]), names[top]), key=lambda pair: pair[0])
    return [name for _, name in best]


def _lengths(candidates: Mapping[str, Tokens]) -> list[int]:
    """How many tokens the candidates have; a query is asked once for each number."""
    return sorted({len(tokens) for tokens in candidates.values()})


def objects_of(queries: Sequence[Query]) -> dict[str, list[str]]:
    """Relation -> the names of its objects."""
    found: dict[str, set[str]] = defaultdict(set)
    for query in queries:
        found[query.relation].add(query.object)
    return {relation: sorted(names) for relation, names in found.items()}


def queries_of(
    rows: Iterable[Fact], patterns: Mapping[str, str], skipped: Counter[str], *, lang: str
) -> Iterator[Query]:
    """The facts of a language whose names are its own."""
    for row in rows:
        relation, name = row["predicate_id"], row["obj_label"]
        text = prompt(patterns.get(relation, ""), row["sub_label"])
        if row.get("from_english", False) and lang != "en":
            skipped["from_english"] += 1
        elif text is None:
            skipped["no_pattern"] += 1
        else:
            fact = row["sub_uri"], relation, row["obj_uri"]
            yield Query(relation, row["sub_uri"], row["sub_label"], name, text, (name,), fact)
