"""Wikidata's JSON dump in a build: a task a file finds the lines, all tasks parse them."""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame

from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord
from kgcorpus.kg.wikidata import Entity, entity_lines, parse_entity
from pipelines.context import Context, on_bad
from pipelines.kernels import BatchFunction, Row, batches_of

_LINE = pa.schema([("ordinal", pa.int32()), ("line", pa.int64()), ("text", pa.string())])
# (entity, position of its file) -> rows; raises `BadRecord`.
EntityFunction = Callable[[Entity, int], Iterator[Row]]


def parsed_entities(
    context: Context, paths: Sequence[str], function: EntityFunction, schema: pa.Schema
) -> tuple[DataFrame, BatchFunction]:
    """The lines of some dumps, and what runs a function over the entity of each.

    What the function gives of a bad entity is left out.
    """
    policy, limits = context.on_bad_input, context.limits

    def find(files: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for file in files:
            for line in entity_lines(file["path"], on_bad=on_bad(policy, tally), limits=limits):
                yield {"ordinal": file["ordinal"], "line": line.number, "text": line.text}

    def parse(lines: Iterator[Row], tally: Tally) -> Iterator[Row]:
        bad = on_bad(policy, tally)
        for line in lines:
            try:
                rows = list(function(parse_entity(line["text"]), line["ordinal"]))
            except BadRecord as fault:
                name = file_name(paths[line["ordinal"]])
                bad(BadRecord(fault.reason, where=f"{name}:{line['line']}", text=line["text"]))
                continue
            tally.good()
            yield from rows

    lines = context.map_files(paths, find, _LINE)
    return lines.repartition(context.partitions, "ordinal", "line"), batches_of(parse, schema)
