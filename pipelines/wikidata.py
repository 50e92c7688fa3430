"""Wikidata's JSON dumps to the table `wikidata`: one pass for all fields of `graph` that name a dump.

Each task reads a part of a file and decodes it where it is read, so raw text is never shuffled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord, FilePart, split_file
from kgcorpus.kg.wikidata import DUMP_FORMAT, entity_lines, is_wikidata_dump, require_whole_list
from kgcorpus.kg.wikidata_decoding import Decoded, EntityDecoder
from pipelines.context import Context, on_bad
from pipelines.lookup import read_row_groups
from pipelines.packed import Rendered, rows_of
from pipelines.spark_functions import Row, batches_of

TABLE = "wikidata"
_FIELDS = ("triples", "labels", "relations", "descriptions", "types")


@dataclass(frozen=True)
class _Dump:
    """A dump and the fields that name it.

    Attributes:
        ranks: field -> position of the dump among the dumps of the field.
    """

    path: str
    ranks: dict[str, int]


class NamePlaces(NamedTuple):
    """Rank of a dump among the dumps of a field -> position of the dump among the stage's sources."""

    names: Sequence[int]
    descriptions: Sequence[int]


def run_wikidata(context: Context) -> Rendered:
    """Decode each dump once."""
    languages = tuple(context.config.languages)
    class_relation = context.config.jaket.category_relation
    policy, limits = context.on_bad_input, context.limits
    dumps = _dumps(context)
    parts: list[tuple[int, FilePart]] = []
    for ordinal, dump in enumerate(dumps):
        of_dump = split_file(dump.path, parts=context.partitions)
        require_whole_list(of_dump, limits=limits)
        parts += [(ordinal, part) for part in of_dump]

    def read(tasks: Iterator[Row], tally: Tally) -> Iterator[Row]:
        bad = on_bad(policy, tally)
        for task in tasks:
            ordinal, part = parts[task["ordinal"]]
            ranks, file = dumps[ordinal].ranks, file_name(part.path)
            decoder = EntityDecoder(ranks, languages, class_relation=class_relation)
            for line in entity_lines(part, limits=limits):
                try:
                    found = decoder.decode(line.text)
                    fault = found.fault
                except BadRecord as error:
                    # The tolerant reader refuses what it cannot read either.
                    found, fault = Decoded("", is_typed=False), error
                if fault is not None:
                    text = line.text.decode("utf-8", "backslashreplace")
                    bad(BadRecord(fault.reason, where=line.where(file), text=text))
                else:
                    tally.good()
                if not found.is_typed:
                    tally.count("entities_read_tolerantly")
                if any(found[1:5]):
                    place = {"dump": ordinal, "block": line.block, "offset": line.offset}
                    yield {**place, **_columns(found, ranks)}

    made = table(TABLE)
    files = context.files([part.path for _, part in parts])
    return rows_of(made, context.seed, (files, batches_of(read, made.schema)))


def _dumps(context: Context) -> list[_Dump]:
    ranks: dict[str, dict[str, int]] = {}
    for field in _FIELDS:
        sources = context.of_role(f"graph.{field}")
        for rank, path in enumerate(dict.fromkeys(source.path for source in sources)):
            ranks.setdefault(path, {})[field] = rank
    return [_Dump(path, of_path) for path, of_path in ranks.items()]


def _columns(found: Decoded, ranks: dict[str, int]) -> Row:
    names_field = "labels" if found.id.startswith("Q") else "relations"
    return {
        "id": found.id,
        "facts": [{"r": relation, "t": item} for relation, item in found.facts],
        "names": [{"lang": row.lang, "label": row.label, "aliases": row.aliases} for row in found.names],
        "names_rank": ranks[names_field] if found.names else None,
        "description": found.description,
        "description_rank": ranks["descriptions"] if found.description else None,
        "types": list(found.types),
    }


def read_facts(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
    """The facts of all dumps that `graph.triples` names, as columns h, r, t.

    Args:
        units: row groups of the table, as of `Context.row_groups`.
    """
    for batch in read_row_groups(units, ["id", "facts"]):
        owners, facts = _flattened(batch, "facts")
        yield pa.record_batch({"h": owners, "r": facts.field("r"), "t": facts.field("t")})


def read_name_parts(
    units: Iterator[pa.RecordBatch], *, kind: str, places: NamePlaces
) -> Iterator[tuple[int, dict[str, pa.Array]]]:
    """Parts of the rows of `entities` or `relations`: (position of the source, columns), each of one field.

    Args:
        units: row groups of the table, as of `Context.row_groups`.
        kind: first letter of the ids: Q for `entities`, P for `relations`.
        places: of `name_places`.
    """
    columns = ["id", "names", "names_rank", "description", "description_rank", "types"]
    for entities in read_row_groups(units, columns):
        batch = entities.filter(pc.starts_with(entities.column("id"), kind))
        for rank, place in enumerate(places.names):
            owners, names = _flattened(batch.filter(pc.equal(batch.column("names_rank"), rank)), "names")
            yield place, {"id": owners, **{name: names.field(name) for name in ("lang", "label", "aliases")}}
        for rank, place in enumerate(places.descriptions):
            own = batch.filter(pc.equal(batch.column("description_rank"), rank))
            yield place, {"id": own.column("id"), "description": own.column("description")}
        typed = batch.filter(pc.greater(pc.list_value_length(batch.column("types")), 0))
        yield 0, {"id": typed.column("id"), "types": typed.column("types")}


def name_places(context: Context, *, kind: str) -> NamePlaces:
    """The positions among the stage's sources of the dumps that name the entities of a kind (Q or P)."""
    names = _places(context, "graph.labels" if kind == "Q" else "graph.relations")
    return NamePlaces(names, _places(context, "graph.descriptions") if kind == "Q" else [])


def _places(context: Context, role: str) -> list[int]:
    """Rank of a dump of the field -> position of its first mention among the stage's sources."""
    places: dict[str, int] = {}
    for i, source in enumerate(context.sources):
        if source.role == role and is_wikidata_dump(source.path):
            places.setdefault(source.path, i)
    return list(places.values())


def _flattened(batch: pa.RecordBatch, column: str) -> tuple[pa.Array, pa.StructArray]:
    """The elements of a column of lists, each with the id of its row."""
    lists = batch.column(column)
    return batch.column("id").take(pc.list_parent_indices(lists)), pc.list_flatten(lists)


STAGE = Stage(
    table=TABLE,
    version=1,
    run=run_wikidata,
    sources=tuple(f"graph.{field}" for field in _FIELDS),
    formats=(DUMP_FORMAT,),
    needs=tuple(f"graph.{field}" for field in _FIELDS),
    params=("languages", "limits", "jaket.category_relation"),
    growth=1 / 1_000,
)
