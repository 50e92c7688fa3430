"""Labels, aliases, descriptions and classes to the tables `entities` and `relations`.

Every file gives partial rows (one name, one description, one list of classes); grouping by id joins them.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.languages import fallback_codes, language_key
from kgcorpus.contracts.rows import EntityRow, Name, RelationRow
from kgcorpus.contracts.stages import Source, Stage
from kgcorpus.contracts.tables import NAME, table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import Limits, read_records
from kgcorpus.kg import readers
from kgcorpus.kg.visible_text import one_line
from kgcorpus.kg.wikidata import Entity, is_wikidata_dump, rows_in
from pipelines.context import Context, on_bad
from pipelines.kernels import COUNTERS, Row, group_rows
from pipelines.wikidata import map_entities

_PART = pa.schema(
    [
        ("id", pa.string()),
        ("file", pa.int32()),
        ("name", NAME),
        ("description", pa.string()),
        ("types", pa.list_(pa.string())),
        ("in_graph", pa.bool_()),
    ]
)

# Total up to equal rows, so that the first label found does not depend on the partitioning.
_ORDER = ("file", "name", "description")


def run_entities(context: Context) -> DataFrame:
    """Join the names, descriptions and classes of the graph's entities."""
    types_given = bool(context.of_role("graph.types"))
    class_relation = context.config.jaket.category_relation
    languages = context.config.languages

    def merge(parts: list[Row], tally: Tally) -> Iterator[EntityRow]:
        ident = parts[0]["id"]
        if ident is None:
            return
        if not any(part["in_graph"] for part in parts):
            tally.drop("not_in_graph")
            return
        names = _merge_names(parts, languages, tally)
        if not names:
            tally.count("without_name")
        yield {
            "qid": ident,
            "names": names,
            "description": next(
                (one_line(part["description"]) for part in parts if one_line(part["description"] or "")), None
            ),
            "types": sorted({kind for part in parts for kind in part["types"] or ()}),
        }

    graph = context.read("triples")
    nothing = F.lit(None)
    ends = graph.select(F.explode(F.array("h", "t")).alias("id")).distinct()
    parts = [_parse(context, class_relation), _as_parts(ends, types=nothing)]
    if not types_given:
        classes = graph.where(F.col("r") == class_relation).groupBy(F.col("h").alias("id"))
        parts.append(_as_parts(classes.agg(F.collect_list("t").alias("kinds")), types=F.col("kinds")))
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.unionByName(part)
    return group_rows(merged, ["id"], merge, table("entities").schema, then=_ORDER)


def run_relations(context: Context) -> DataFrame:
    """Join the names of the relations."""
    languages = context.config.languages

    def merge(parts: list[Row], tally: Tally) -> Iterator[RelationRow]:
        yield {"pid": parts[0]["id"], "names": _merge_names(parts, languages, tally)}

    return group_rows(_parse(context, ""), ["id"], merge, table("relations").schema, then=_ORDER)


def _as_parts(frame: DataFrame, *, types: Any) -> DataFrame:
    """Entities that stand in the graph's triples, with classes from there; sorted after every file."""
    columns = {
        "id": F.col("id"),
        "file": F.lit(2**31 - 1),
        "name": F.lit(None).cast("struct<lang:string,label:string,aliases:array<string>>"),
        "description": F.lit(None).cast("string"),
        "types": types.cast("array<string>"),
        "in_graph": F.lit(True),
    }
    counters = {name: F.lit(None).cast("long" if name == "_n" else "string") for name in COUNTERS.names}
    return frame.select(*(value.alias(name) for name, value in {**columns, **counters}.items()))


def _parse(context: Context, class_relation: str) -> DataFrame:
    places = range(len(context.sources))
    dumps = [i for i in places if is_wikidata_dump(context.sources[i].path)]
    lists = [i for i in places if i not in dumps]
    frames = [_parse_lists(context, lists)] if lists else []
    frames += [_parse_dumps(context, dumps, class_relation)] if dumps else []
    return reduce(DataFrame.unionByName, frames)


def _parse_lists(context: Context, places: list[int]) -> DataFrame:
    """The tab-separated ones of the sources, which lie at these places."""
    policy, limits = context.on_bad_input, context.limits
    languages = context.config.languages
    sources = list(context.sources)
    serving = {language_key(code) for lang in languages for code in fallback_codes(lang)}

    def parse(files: Iterator[Row], tally: Tally) -> Iterator[Row]:
        bad = on_bad(policy, tally)
        for file in files:
            place = places[file["ordinal"]]
            parser = parser_of(sources[place], languages, limits)
            for row in read_records(file["path"], parser, tally=tally, on_bad=bad, limits=limits):
                if isinstance(row, readers.NameRow) and language_key(row.lang) not in serving:
                    tally.drop("other_language")
                    continue
                if isinstance(row, readers.NameRow) and not (row.label or row.aliases):
                    tally.drop("row_without_name")
                    continue
                yield {"id": row[0], "file": place, **_part(row)}

    return context.map_files([sources[place].path for place in places], parse, _PART)


def _parse_dumps(context: Context, places: list[int], class_relation: str) -> DataFrame:
    """Wikidata's dumps; one that several fields name is read once."""
    languages = context.config.languages
    fields: dict[str, list[str]] = {}
    first: list[int] = []
    for place in places:
        source = context.sources[place]
        if source.path not in fields:
            first.append(place)
        fields.setdefault(source.path, []).append(source.role.rpartition(".")[2])
    paths = list(fields)

    def draw(entity: Entity, ordinal: int) -> Iterator[Row]:
        for field in fields[paths[ordinal]]:
            for row in rows_in(entity, field, languages, class_relation=class_relation):
                yield {"id": row[0], "file": first[ordinal], **_part(row)}

    return map_entities(context, paths, draw, _PART)


def parser_of(source: Source, languages: Sequence[str], limits: Limits) -> Any:
    """The parser of a file of labels, relations, descriptions or types, by its field and its first lines."""
    if source.role == "graph.descriptions":
        return readers.parse_description
    if source.role == "graph.types":
        return readers.parse_types
    if readers.sniff_names(source.path, languages, limits=limits).layout == "wikidata5m":
        return readers.parse_wikidata5m_names
    return readers.parse_relation if source.role == "graph.relations" else readers.parse_names


def _part(row: Any) -> Row:
    match row:
        case readers.NameRow(_, lang, label, aliases):
            return {"name": {"lang": lang, "label": label, "aliases": aliases}}
        case readers.DescriptionRow(_, text):
            return {"description": text}
        case _:
            return {"types": row.types}


def _merge_names(parts: list[Row], languages: Sequence[str], tally: Tally) -> list[Name]:
    """Return one name a language: the first file's label wins, the others become aliases.

    A language without a label, or without an alias, has those of the first of its fallback codes with one.
    """
    merged: dict[str, dict[str, Any]] = {}
    for part in parts:
        if part["name"] is None:
            continue
        label, aliases = _visible(part["name"], tally)
        known = merged.setdefault(language_key(part["name"]["lang"]), {"label": None, "aliases": []})
        if known["label"] is None:
            known["label"] = label
        elif label and label != known["label"]:
            known["aliases"].append(label)
            tally.count("second_label")
        known["aliases"] += aliases
    for known in merged.values():
        known["aliases"] = [alias for alias in dict.fromkeys(known["aliases"]) if alias != known["label"]]
    return [name for lang in sorted(languages) if (name := _served(lang, merged))]


def _visible(name: Row, tally: Tally) -> tuple[str | None, list[str]]:
    """The label and the aliases as lines of visible text; what is changed or becomes empty is counted."""
    given = [text for text in (name["label"], *(name["aliases"] or ())) if text]
    label, aliases = one_line(name["label"] or ""), [one_line(alias) for alias in name["aliases"] or ()]
    kept = [text for text in (label, *aliases) if text]
    if changed := len(set(given) - set(kept)):
        tally.count("name_normalised", changed)
    if emptied := len(given) - len(kept):
        tally.drop("name_without_text", emptied)
    return label or None, [alias for alias in aliases if alias]


def _served(lang: str, merged: dict[str, dict[str, Any]]) -> Name | None:
    codes = dict.fromkeys(map(language_key, fallback_codes(lang)))
    names = [merged[code] for code in codes if code in merged]
    label = next((name["label"] for name in names if name["label"]), None)
    known = next((name["aliases"] for name in names if name["aliases"]), ())
    aliases = [alias for alias in known if alias != label]
    return {"lang": lang, "label": label, "aliases": aliases} if label or aliases else None


ENTITIES = Stage(
    table="entities",
    version=5,
    run=run_entities,
    inputs=("triples",),
    sources=("graph.labels", "graph.descriptions", "graph.types"),
    needs=("graph.labels",),
    params=("languages", "limits", "jaket.category_relation"),
)

RELATIONS = Stage(
    table="relations",
    version=5,
    run=run_relations,
    sources=("graph.relations",),
    needs=("graph.relations",),
    params=("languages", "limits"),
    growth=1 / 200,
)
