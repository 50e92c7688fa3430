"""Labels, aliases, descriptions and classes to the tables `entities` and `relations`.

Every file gives partial rows (one name, one description, one list of classes); grouping by id joins them.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from kgcorpus.contracts.languages import language_key, serving_keys
from kgcorpus.contracts.stages import Source, Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import Limits, read_records
from kgcorpus.kg import readers
from kgcorpus.kg.visible_text import one_line
from kgcorpus.kg.wikidata import is_wikidata_dump
from pipelines.context import Context, on_bad
from pipelines.lookup import read_row_groups
from pipelines.packed import Rendered
from pipelines.spark_functions import BatchFunction, Row
from pipelines.wikidata import TABLE as WIKIDATA
from pipelines.wikidata import name_places, read_name_parts

_PART = pa.schema(
    [
        ("id", pa.string()),
        ("file", pa.int32()),
        ("lang", pa.string()),
        ("label", pa.string()),
        ("aliases", pa.list_(pa.string())),
        ("description", pa.string()),
        ("types", pa.list_(pa.string())),
    ]
)
_GRAPH = 2**31 - 1  # `file` of what the triples say: sorted after every file
_AT_ONCE = 20_000  # parts that are Python objects at a time


class _Part(NamedTuple):
    """What one row of a file says of an id; the fields of `_PART`."""

    id: str
    file: int
    lang: str | None
    label: str | None
    aliases: list[str] | None
    description: str | None
    types: list[str] | None


# The fields of a row of a file, after the id.
_FIELDS = {
    readers.NameRow: ("lang", "label", "aliases"),
    readers.DescriptionRow: ("description",),
    readers.TypesRow: ("types",),
}
_ID = itemgetter(0)
MergeFunction = Callable[[str, list[_Part], Tally], Row | None]


def run_entities(context: Context) -> Rendered:
    """Join the names, descriptions and classes of the graph's entities."""
    class_relation = None if context.of_role("graph.types") else context.config.jaket.category_relation
    languages = context.config.languages

    def ends(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for batch in read_row_groups(units, ["h", "r", "t"]):
            h, r, t = batch.columns
            yield _columns(_GRAPH, id=pc.unique(pa.concat_arrays([h, t])))
            own = pc.equal(r, class_relation) if class_relation else pa.array([False] * len(batch))
            kinds = t.filter(own)
            lists = pa.ListArray.from_arrays(range(len(kinds) + 1), kinds)
            yield _columns(_GRAPH, id=h.filter(own), types=lists)

    def merge(ident: str, parts: list[_Part], tally: Tally) -> Row | None:
        if parts[-1].file != _GRAPH:
            tally.drop("not_in_graph")
            return None
        names = _merge_names(parts, languages, tally)
        if not names:
            tally.count("without_name")
        texts = (one_line(part.description) for part in parts if part.description)
        return {
            "qid": ident,
            "names": names,
            "description": next(filter(None, texts), None),
            "types": sorted({kind for part in parts for kind in part.types or ()}),
        }

    sources = [*_sources(context, kind="Q"), (context.row_groups("triples"), ends)]
    return _merged(sources, merge, "entities")


def run_relations(context: Context) -> Rendered:
    """Join the names of the relations."""
    languages = context.config.languages

    def merge(ident: str, parts: list[_Part], tally: Tally) -> Row:
        return {"pid": ident, "names": _merge_names(parts, languages, tally)}

    return _merged(_sources(context, kind="P"), merge, "relations")


def _merged(sources: list[tuple[DataFrame, BatchFunction]], merge: MergeFunction, made: str) -> Rendered:
    """Rows of which each is merged from the parts of one id, in the order of `_order`."""
    schema = table(made).schema

    def rows(parts: pa.RecordBatch, tally: Tally) -> Iterator[Row]:
        for ident, group in groupby(_sorted(parts), key=_ID):
            found = list(group)
            if len(found) > 1:
                found.sort(key=_order)
            if row := merge(ident, found, tally):
                yield row

    def render(parts: pa.RecordBatch, tally: Tally) -> Iterator[pa.RecordBatch]:
        made = rows(parts, tally)
        while some := list(islice(made, _AT_ONCE)):
            yield pa.RecordBatch.from_pylist(some, schema=schema)

    return Rendered(sources=sources, schema=_PART, by=["id"], render=render)


def _sorted(parts: pa.RecordBatch) -> Iterator[_Part]:
    """The parts by id; a column at a time, which takes a third of the time of rows."""
    ordered = parts.take(pc.sort_indices(parts.column("id")))
    for start in range(0, len(ordered), _AT_ONCE):
        columns = (column.to_pylist() for column in ordered.slice(start, _AT_ONCE).columns)
        yield from map(_Part, *columns)


def _order(part: _Part) -> tuple[Any, ...]:
    """A total order up to equal parts, so that the first label does not depend on the partitioning."""
    _, file, lang, label, aliases, description, _ = part
    named = lang is not None, lang or "", label is not None, label or "", aliases or []
    return file, *named, description is not None, description or ""


def _columns(file: int, **known: Any) -> pa.RecordBatch:
    """Parts of one file by column; the others are null."""
    n = len(known["id"])
    columns = [
        pa.repeat(pa.scalar(file, field.type), n)
        if field.name == "file"
        else pa.array(known[field.name], field.type)
        if field.name in known
        else pa.nulls(n, field.type)
        for field in _PART
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_PART)


def _sources(context: Context, *, kind: str) -> list[tuple[DataFrame, BatchFunction]]:
    """The sources of the names; `kind` is the first letter of the ids in Wikidata's dumps."""
    places = range(len(context.sources))
    lists = [i for i in places if not is_wikidata_dump(context.sources[i].path)]
    found = [_parse_lists(context, lists)] if lists else []
    return found + ([_parts_of_dumps(context, kind)] if len(lists) < len(places) else [])


def _parse_lists(context: Context, places: list[int]) -> tuple[DataFrame, BatchFunction]:
    """Return the tab-separated sources at these paths."""
    policy, limits = context.on_bad_input, context.limits
    languages = context.config.languages
    sources = list(context.sources)
    serving = {code for lang in languages for code in serving_keys(lang)}

    def records(path: str, place: int, tally: Tally) -> Iterator[Any]:
        parser = parser_of(sources[place], languages, limits)
        for row in read_records(path, parser, tally=tally, on_bad=on_bad(policy, tally), limits=limits):
            if isinstance(row, readers.NameRow) and language_key(row.lang) not in serving:
                tally.drop("other_language")
            elif isinstance(row, readers.NameRow) and not (row.label or row.aliases):
                tally.drop("row_without_name")
            else:
                yield row

    def parse(files: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for file in (row for batch in files for row in batch.to_pylist()):
            place = places[file["ordinal"]]
            rows = records(file["path"], place, tally)
            while some := list(islice(rows, _AT_ONCE)):
                # A file's rows are of one kind.
                fields = ["id", *_FIELDS[type(some[0])]]
                yield _columns(place, **dict(zip(fields, zip(*some, strict=True), strict=True)))

    return context.files([sources[place].path for place in places]), parse


def _parts_of_dumps(context: Context, kind: str) -> tuple[DataFrame, BatchFunction]:
    """What the table `wikidata` says of the ids that start with `kind`."""
    places = name_places(context, kind=kind)

    def parse(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for place, columns in read_name_parts(units, kind=kind, places=places):
            yield _columns(place, **columns)

    return context.row_groups(WIKIDATA), parse


def parser_of(source: Source, languages: Sequence[str], limits: Limits) -> Any:
    """The parser of a file of labels, relations, descriptions or types, by its field and its first lines."""
    if source.role == "graph.descriptions":
        return readers.parse_description
    if source.role == "graph.types":
        return readers.parse_types
    if readers.sniff_names(source.path, languages, limits=limits).layout == "wikidata5m":
        return readers.parse_wikidata5m_names
    return readers.parse_relation if source.role == "graph.relations" else readers.parse_names


def _merge_names(parts: list[_Part], languages: Sequence[str], tally: Tally) -> list[dict[str, Any]]:
    """Return one name a language: the first file's label wins, the others become aliases.

    A language without a label, or without an alias, has those of the first of its fallback codes with one.
    """
    found: dict[str, tuple[str | None, list[str]]] = {}
    for part in parts:
        if part.lang is None:
            continue
        label, aliases = _visible(part, tally)
        key = language_key(part.lang)
        if key not in found:
            found[key] = label, aliases
            continue
        known, others = found[key]
        if known is None:
            known = label
        elif label and label != known:
            others.append(label)
            tally.count("second_label")
        found[key] = known, others + aliases
    merged = {
        key: (label, [alias for alias in dict.fromkeys(aliases) if alias != label])
        for key, (label, aliases) in found.items()
    }
    return [name for lang in sorted(languages) if (name := _served(lang, serving_keys(lang), merged))]


def _visible(part: _Part, tally: Tally) -> tuple[str | None, list[str]]:
    """The label and the aliases as lines of visible text; what is changed or becomes empty is counted."""
    given = [text for text in (part.label, *(part.aliases or ())) if text]
    visible = list(map(one_line, given))
    kept = [text for text in visible if text]
    if kept != given:
        if changed := len(set(given) - set(kept)):
            tally.count("name_normalised", changed)
        if emptied := len(given) - len(kept):
            tally.drop("name_without_text", emptied)
    if part.label and visible[0]:
        return visible[0], kept[1:]
    return None, kept


def _served(
    lang: str, keys: Sequence[str], merged: dict[str, tuple[str | None, list[str]]]
) -> dict[str, Any] | None:
    """The name of a language: the label and the aliases of the first of these keys with one."""
    label: str | None = None
    known: list[str] = []
    for key in keys:
        if key in merged:
            label, known = label or merged[key][0], known or merged[key][1]
    aliases = [alias for alias in known if alias != label]
    return {"lang": lang, "label": label, "aliases": aliases} if label or aliases else None


ENTITIES = Stage(
    table="entities",
    version=6,
    run=run_entities,
    inputs=("triples",),
    optional=(WIKIDATA,),
    sources=("graph.labels", "graph.descriptions", "graph.types"),
    needs=("graph.labels",),
    params=("languages", "limits", "jaket.category_relation"),
)

RELATIONS = Stage(
    table="relations",
    version=6,
    run=run_relations,
    optional=(WIKIDATA,),
    sources=("graph.relations",),
    needs=("graph.relations",),
    params=("languages", "limits"),
    growth=1 / 200,
)
