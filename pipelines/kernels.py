"""From Spark's Arrow batches to the library's row functions and back.

Counters travel with the records: a row whose `_counter` is set is no record but a sum (`_n`) or a piece of
quarantined input (`_note`). They go through every kernel of a stage untouched and end in the shards'
metadata, so they survive a kill as the shards do and a retried task is not counted twice.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from kgcorpus.contracts.tally import Tally

Row = dict[str, Any]
RowFunction = Callable[[Iterator[Row], Tally], Iterator[Row]]
GroupFunction = Callable[[list[Row], Tally], Iterator[Row]]
BatchFunction = Callable[[Iterator[pa.RecordBatch], Tally], Iterator[pa.RecordBatch]]

COUNTERS = pa.schema([("_counter", pa.string()), ("_n", pa.int64()), ("_note", pa.string())])
QUARANTINE = "quarantine"
_BATCH = 1000
# A page may be megabytes; a batch's text must fit Arrow's 32-bit offsets, and memory.
_BATCH_CHARACTERS = 32 << 20


def map_rows(records: DataFrame, function: RowFunction, schema: pa.Schema) -> DataFrame:
    """Run a row function over each partition.

    Args:
        function: (rows, tally) -> rows of `schema`; pickled to the workers.
        schema: of its output; the counter columns are added.
    """
    full = pa.schema([*schema, *COUNTERS])

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tally = Tally()
        counters: list[Row] = []
        pending: list[Row] = []
        characters = 0
        for row in function(_records(batches, counters), tally):
            pending.append(row)
            characters += len(row.get("text") or "")
            if len(pending) == _BATCH or characters > _BATCH_CHARACTERS:
                yield pa.RecordBatch.from_pylist(pending, schema=full)
                pending, characters = [], 0
        pending += counters + _counters_of(tally)
        if pending:
            yield pa.RecordBatch.from_pylist(pending, schema=full)

    return records.mapInArrow(run, from_arrow_schema(full))


def map_batches(records: DataFrame, function: BatchFunction, schema: pa.Schema) -> DataFrame:
    """Run a function over each partition's Arrow batches, no row of which becomes a Python object.

    Args:
        function: (batches, tally) -> batches of `schema`; pickled to the workers.
        schema: of its output; the counter columns are added.
    """
    full = pa.schema([*schema, *COUNTERS])

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tally = Tally()
        counters: list[Row] = []
        for batch in function(_batches(batches, counters), tally):
            blanks = [pa.nulls(batch.num_rows, column.type) for column in COUNTERS]
            yield pa.RecordBatch.from_arrays([*batch.columns, *blanks], schema=full)
        counters += _counters_of(tally)
        if counters:
            yield pa.RecordBatch.from_pylist(counters, schema=full)

    return records.mapInArrow(run, from_arrow_schema(full))


def group_rows(
    records: DataFrame,
    by: Sequence[str],
    function: GroupFunction,
    schema: pa.Schema,
    *,
    then: Sequence[str] = (),
) -> DataFrame:
    """Run a function over each group of rows that agree in the columns `by`.

    Args:
        function: (the group's rows, tally) -> rows of `schema`.
        then: columns that order the rows within a group.
    """
    key = itemgetter(*by)

    def run(rows: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for _, group in groupby(rows, key):
            yield from function(list(group), tally)

    return map_rows(records.repartition(*by).sortWithinPartitions(*by, *then), run, schema)


def with_split(schema: pa.Schema) -> pa.Schema:
    """A published table's schema with the column that names the row's split."""
    return schema.append(pa.field("split", pa.string()))


def _records(batches: Iterator[pa.RecordBatch], counters: list[Row]) -> Iterator[Row]:
    for batch in batches:
        if "_counter" not in batch.schema.names:
            yield from batch.to_pylist()
            continue
        for row in batch.to_pylist():
            counter = {name: row.pop(name) for name in COUNTERS.names}
            if counter["_counter"] is None:
                yield row
            else:
                counters.append(counter)


def _batches(batches: Iterator[pa.RecordBatch], counters: list[Row]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if "_counter" not in batch.schema.names:
            yield batch
            continue
        is_record = pc.is_null(batch.column("_counter"))
        counters += batch.filter(pc.invert(is_record)).select(COUNTERS.names).to_pylist()
        yield batch.filter(is_record).drop_columns(COUNTERS.names)


def _counters_of(tally: Tally) -> list[Row]:
    sums = [{"_counter": name, "_n": n} for name, n in tally.rows()]
    return sums + [{"_counter": QUARANTINE, "_n": 1, "_note": _note(bad)} for bad in tally.quarantined]


def _note(bad: Any) -> str:
    return json.dumps(asdict(bad), ensure_ascii=False, sort_keys=True)
