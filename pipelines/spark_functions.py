"""Adapters between Spark's Arrow batches and the library's row functions.

Counters travel with the records: a row whose `_counter` is set is no record but a sum (`_n`) or a piece of
quarantined input (`_note`). They go through every function of a stage, sums untouched and notes sampled, and
end in the shards' metadata, so they survive a kill as the shards do and a retried task is not counted twice.
"""

import functools
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from kgcorpus.contracts.tally import Tally
from pipelines.failures import redacted_errors
from pipelines.worker_counts import counted

# A row within a stage, between its functions; rows of tables have types in `kgcorpus.contracts.rows`.
Row = dict[str, Any]
RowFunction = Callable[[Iterator[Any], Tally], Iterator[Mapping[str, Any]]]
GroupFunction = Callable[[list[Any], Tally], Iterator[Mapping[str, Any]]]
_Batches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
BatchFunction = Callable[[Iterator[pa.RecordBatch], Tally], Iterator[pa.RecordBatch]]

COUNTERS = pa.schema([("_counter", pa.string()), ("_n", pa.int64()), ("_note", pa.string())])
QUARANTINE = "quarantine"
_BATCH = 1000
# A page may be megabytes; a batch's text must fit Arrow's 32-bit offsets, and memory. An element of a list,
# such as a link, is a Python object of some hundred bytes.
_BATCH_CHARACTERS = 32 << 20
_ELEMENT_CHARACTERS = 256


def map_rows(records: DataFrame, function: RowFunction, schema: pa.Schema) -> DataFrame:
    """Run a row function over each partition.

    Args:
        function: (rows, tally) -> rows of `schema`; pickled to the workers.
        schema: of its output; the counter columns are added.
    """
    return map_batches(records, batches_of(function, schema), schema)


def batches_of(function: RowFunction, schema: pa.Schema) -> BatchFunction:
    """Make a function of batches of one of rows, whose output has the schema."""

    def run(batches: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        pending: list[Mapping[str, Any]] = []
        characters = 0
        for row in function((row for batch in batches for row in batch.to_pylist()), tally):
            pending.append(row)
            characters += _characters(row)
            if len(pending) == _BATCH or characters > _BATCH_CHARACTERS:
                yield pa.RecordBatch.from_pylist(pending, schema=schema)
                pending, characters = [], 0
        if pending:
            yield pa.RecordBatch.from_pylist(pending, schema=schema)

    return run


def map_batches(records: DataFrame, function: BatchFunction, schema: pa.Schema) -> DataFrame:
    """Run a function over each partition's Arrow batches, no row of which becomes a Python object.

    Args:
        function: (batches, tally) -> batches of `schema`; pickled to the workers.
        schema: of its output; the counter columns are added.
    """
    full = pa.schema([*schema, *COUNTERS])

    @counted
    @without_secrets
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tally = Tally()
        sums: list[Row] = []
        for batch in function(records_of(batches, sums, tally), tally):
            blanks = [pa.nulls(batch.num_rows, column.type) for column in COUNTERS]
            yield pa.RecordBatch.from_arrays([*batch.columns, *blanks], schema=full)
        yield from counter_batches(sums, tally, full)

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

    def gather(rows: Iterator[Row], tally: Tally) -> Iterator[Mapping[str, Any]]:
        yield from function(list(rows), tally)

    return stream_groups(records, by, gather, schema, then=then)


def stream_groups(
    records: DataFrame,
    by: Sequence[str],
    function: RowFunction,
    schema: pa.Schema,
    *,
    then: Sequence[str] = (),
) -> DataFrame:
    """As `group_rows`, for groups that may be larger than memory: the function is given an iterator."""
    key = itemgetter(*by)

    def run(rows: Iterator[Row], tally: Tally) -> Iterator[Mapping[str, Any]]:
        for _, group in groupby(rows, key):
            yield from function(group, tally)

    return map_rows(records.repartition(*by).sortWithinPartitions(*by, *then), run, schema)


def with_split(schema: pa.Schema) -> pa.Schema:
    """A published table's schema with the column that names the row's split."""
    return schema.append(pa.field("split", pa.string()))


def without_secrets(run: _Batches) -> _Batches:
    """Redact secrets in the errors that a function of a worker raises."""

    @functools.wraps(run)
    def redacted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        collect_rarely()
        with redacted_errors():
            yield from run(batches)

    return redacted


def collect_rarely() -> None:
    """Make Python's garbage collector run after 500,000 new containers instead of 700, in a worker.

    A batch's rows are some hundred thousand acyclic dicts and lists. At the default the collector visits
    them again and again while they are made: `to_pylist` takes two to four times as long. Spark's daemon
    collects after each task; what is there before the task, mostly modules, is left out of that.
    """
    gc.set_threshold(500_000, 20, 100)
    gc.freeze()


def _characters(row: Mapping[str, Any]) -> int:
    """About what a row weighs in a batch."""
    texts = sum(len(value) for value in row.values() if isinstance(value, str))
    return texts + _ELEMENT_CHARACTERS * sum(len(value) for value in row.values() if isinstance(value, list))


def records_of(batches: Iterator[pa.RecordBatch], sums: list[Row], tally: Tally) -> Iterator[pa.RecordBatch]:
    """The batches without their counters: sums are appended to `sums`, notes added to the tally's."""
    for batch in batches:
        if "_counter" not in batch.schema.names:
            yield batch
            continue
        if batch.column("_counter").null_count == len(batch):
            yield batch.drop_columns(COUNTERS.names)
            continue
        is_record = pc.is_null(batch.column("_counter"))
        for counter in batch.filter(pc.invert(is_record)).select(COUNTERS.names).to_pylist():
            _pass_on(counter, sums, tally)
        yield batch.filter(is_record).drop_columns(COUNTERS.names)


def _pass_on(counter: Row, sums: list[Row], tally: Tally) -> None:
    """Of the tasks before, which may be many, the notes are sampled as this task's own are."""
    if counter["_counter"] == QUARANTINE:
        tally.notes.add(counter["_note"])
    else:
        sums.append(counter)


def counter_batches(sums: list[Row], tally: Tally, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """A task's counters and notes as rows of `schema`, which has the counter columns."""
    rows = sums + [{"_counter": name, "_n": n} for name, n in tally.rows()]
    rows += [{"_counter": QUARANTINE, "_n": 1, "_note": note} for note in tally.notes.sorted()]
    remaining = iter(rows)
    while batch := list(islice(remaining, _BATCH)):
        yield pa.RecordBatch.from_pylist(batch, schema=schema)
