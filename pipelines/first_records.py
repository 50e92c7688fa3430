"""Checks the first records of each source before a build, with the parsers of the stage that reads it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.contracts.languages import language_key
from kgcorpus.contracts.stages import Source
from kgcorpus.contracts.tally import Tally
from kgcorpus.importance.model_files import check_encoder_files
from kgcorpus.importance.pretrained import require_on_hub
from kgcorpus.inputs import (
    BadRecord,
    FilePart,
    Limits,
    decoded,
    open_input,
    read_lines,
    read_records,
    refuse,
)
from kgcorpus.kg import readers
from kgcorpus.kg.wikidata import entity_lines, is_wikidata_dump, parse_entity
from kgcorpus.wiki.documents import ITEM_PREFIX, is_json_lines, read_linked_documents
from kgcorpus.wiki.dump import read_pages
from kgcorpus.wiki.parquet_documents import is_parquet, read_parquet_documents
from kgcorpus.wiki.plaintext import read_documents
from kgcorpus.wiki.sql import read_rows
from kgcorpus.wiki.title_dumps import COLUMNS, is_sql
from kgcorpus.wiki.wikitext.templates import read_templates
from pipelines.lookup import token_counter
from pipelines.names import parser_of
from pipelines.pages import check_language

# Rows of a table in text, documents and entities, which are larger.
_ROWS, _DOCUMENTS = 10_000, 20


@dataclass
class Sample:
    """What the first records of a source name.

    Attributes:
        entities, relations: ids of the graph.
        languages: keys of the languages of names.
        whole: whether the sample is the whole source.
        rows: records in the sample.
    """

    entities: set[str] = field(default_factory=set)
    relations: set[str] = field(default_factory=set)
    languages: set[str] = field(default_factory=set)
    whole: bool = True
    rows: int = 0


def read_sample(source: Source, config: BuildConfig, *, stage: str, load_models: bool = True) -> Sample:
    """Read the first records of a source as its stage will: 10,000 rows, or 20 documents or entities.

    Args:
        stage: that will read it, for errors.
        load_models: load an encoder as its stage will; False: only look at its files, without torch.

    Raises:
        KgcorpusError: the stage would refuse the source. Under `on_bad_input: quarantine` malformed records
            are no reason.
    """
    limits = Limits(**config.limits.model_dump())
    on_bad = refuse if config.on_bad_input == "fail" else _set_aside
    if source.role == "wikipedia.dump":
        # The driver reads the head of a dump, so its errors name no stage.
        accepted = {wiki.lang for wiki in config.wikipedia if wiki.other_language}
        check_language(source, limits, accepted=accepted)
    try:
        return _read(source, config, limits, on_bad, load_models)
    except KgcorpusError as error:
        raise type(error)(str(error), where=stage) from None


def _set_aside(bad: BadRecord) -> None:
    """The stage will count it."""


def _read(
    source: Source,
    config: BuildConfig,
    limits: Limits,
    on_bad: Callable[[BadRecord], None],
    load_models: bool,
) -> Sample:
    sample = Sample()
    match source.role:
        case "passages.tokenizer":
            require_on_hub(source.path)
            token_counter(source.path)
        case "importance.encoder":
            _check_encoder(source, config, load=load_models)
        case "wikipedia.dump":
            with open_input(source.path, limits=limits) as stream:
                next(read_pages(stream, where=source.path, limits=limits, on_bad=on_bad), None)
        case "wikipedia.index":
            next(read_lines(source.path, limits=limits), None)
        case "wikipedia.templates":
            read_templates(source.path, source.lang, limits=limits)
        case "wikipedia.titles" if is_sql(source.path):
            next(read_rows(source.path, COLUMNS, limits=limits), None)
        case "text.path":
            _read_documents(source, config, limits, on_bad, sample)
        case _ if is_wikidata_dump(source.path):
            lines = entity_lines(FilePart(source.path), limits=limits)
            for line in islice(lines, _DOCUMENTS):
                try:
                    parse_entity(decoded(line.text))
                except BadRecord as bad:
                    bad.where, bad.text = (
                        line.where(source.path),
                        line.text.decode("utf-8", "backslashreplace"),
                    )
                    on_bad(bad)
            sample.whole = False
        case _:
            _read_table(source, config, limits, on_bad, sample)
    return sample


def _check_encoder(source: Source, config: BuildConfig, *, load: bool) -> None:
    if not load:
        check_encoder_files(source.path)
        token_counter(source.path)
        return
    from kgcorpus.importance.encoder import load_encoder

    require_on_hub(source.path)
    load_encoder(source.path, dtype=config.importance.dtype, device=config.importance.device)


def _read_documents(
    source: Source,
    config: BuildConfig,
    limits: Limits,
    on_bad: Callable[[BadRecord], None],
    sample: Sample,
) -> None:
    text = next(text for text in config.text if text.path == source.path)
    read: Callable[..., Iterator[dict[str, Any]]]
    if is_parquet(source.path):
        read = partial(read_parquet_documents, columns=text.columns, sites={}, tally=Tally())
    elif is_json_lines(source.path):
        read = partial(read_linked_documents, columns=text.columns, sites={}, tally=Tally())
    else:
        read = partial(read_documents, documents=text.documents)
    rows = read(source.path, lang=source.lang, ordinal=0, on_bad=on_bad, limits=limits)
    if not (is_parquet(source.path) or is_json_lines(source.path)):
        next(rows, None)
        return
    for row in _first(rows, _DOCUMENTS, sample):
        targets = [link["target"] for link in row["links"]]
        sample.entities.update(
            target.removeprefix(ITEM_PREFIX) for target in targets if target.startswith(ITEM_PREFIX)
        )
        sample.entities.update({row["qid"]} - {None})


def _read_table(
    source: Source,
    config: BuildConfig,
    limits: Limits,
    on_bad: Callable[[BadRecord], None],
    sample: Sample,
) -> None:
    parse: Callable[[str], Any] = {
        "graph.triples": readers.parse_triple,
        "wikipedia.titles": readers.parse_title,
    }.get(source.role) or parser_of(source, config.languages, limits)
    rows = read_records(source.path, parse, tally=Tally(), on_bad=on_bad, limits=limits)
    for row in _first(rows, _ROWS, sample):
        match row:
            case readers.TripleRow(h, r, t):
                sample.entities.update((h, t))
                sample.relations.add(r)
            case readers.NameRow(ident, lang, _, _):
                (sample.relations if source.role == "graph.relations" else sample.entities).add(ident)
                sample.languages.add(language_key(lang))
            case _:
                sample.entities.add(row.qid)


def _first(rows: Iterator[Any], most: int, sample: Sample) -> Iterator[Any]:
    """The first rows; the sample notes how many there are, and whether they are all."""
    for row in islice(rows, most):
        sample.rows += 1
        yield row
    sample.whole = next(rows, None) is None
