"""Rendering of rows in the task that writes their shard, from keys that are smaller than the rows.

Only the keys are shuffled, and packed: a task sends each shard its keys as a few binary values in Arrow's IPC
format, so that Spark moves and sorts some hundred rows a task whatever the number of keys.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from kgcorpus.contracts.columns import runs
from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.contracts.meter import meter
from kgcorpus.contracts.splits import split_of_page
from kgcorpus.contracts.tables import Table
from kgcorpus.contracts.tally import Tally
from pipelines.spark_functions import (
    COUNTERS,
    BatchFunction,
    Row,
    counter_batches,
    records_of,
    with_split,
    without_secrets,
)
from pipelines.worker_counts import counted

RenderFunction = Callable[[pa.RecordBatch, Tally], Iterator[pa.RecordBatch]]

PACKED = pa.schema([("_shard", pa.int32()), *COUNTERS, ("_keys", pa.binary())])
# A task holds so many bytes of keys before it sends them; a value is at most as large.
_PENDING_BYTES = 16 << 20
_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What a stage returns whose rows are rendered from keys.

    Attributes:
        sources: what the keys are made of, each with the function to batches of `schema`.
        schema: of the keys; with `split` if the table is published.
        by: columns whose hash chooses the shard: of strings or integers, of which none may dominate.
        render: (the keys of one shard in any order, tally) -> the shard's rows in their order, which may not
            depend on the keys' order; with more columns than the table's.
    """

    sources: Sequence[tuple[DataFrame, BatchFunction]]
    schema: pa.Schema
    by: Sequence[str]
    render: RenderFunction


def rows_of(made: Table, seed: int, *sources: tuple[DataFrame, BatchFunction]) -> Rendered:
    """Rows that are their own keys, in the table's order.

    That of a published table is the order of a hash of its key, so that any prefix is a random sample.

    Args:
        made: the table.
        sources: each with the function to the table's rows, with `split` if it is published.
    """
    schema = with_split(made.schema) if made.published else made.schema

    def render(rows: pa.RecordBatch, tally: Tally) -> Iterator[pa.RecordBatch]:
        yield from in_order(rows, made, made.key, seed)

    return Rendered(sources=sources, schema=_with_large_text(schema), by=made.shard_by, render=render)


def in_order(
    rows: pa.RecordBatch, made: Table, key: Sequence[str], seed: int, *, most: int = _ROWS
) -> Iterator[pa.RecordBatch]:
    """A shard's rows in the table's order, in batches of at most `most` rows.

    Args:
        key: the columns of `rows` that are the table's key.
    """
    if made.published:
        order = np.argsort(_digests(rows, key, seed, "row-order"), kind="stable")
    else:
        order = pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in key]).to_numpy()
    sizes = np.zeros(len(order), np.int64)
    if "text" in rows.schema.names:
        sizes += pc.fill_null(pc.binary_length(rows.column("text")), 0).to_numpy()[order]
    for start, end in runs(sizes, most):
        yield rows.take(pa.array(order[start:end]))


def tally_source(session: SparkSession, tally: Tally) -> tuple[DataFrame, BatchFunction]:
    """The source of a stage that counted before its job."""
    return counter_source(session, [{"_counter": name, "_n": n, "_note": None} for name, n in tally.rows()])


def counter_source(session: SparkSession, counters: Sequence[Row]) -> tuple[DataFrame, BatchFunction]:
    """A source that gives only counters: rows of `COUNTERS`."""

    def nothing(batches: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            yield from ()

    return session.createDataFrame(counters, from_arrow_schema(COUNTERS)), nothing


def unchanged(batches: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
    """The function of a source whose rows are the table's."""
    yield from batches


def _with_large_text(schema: pa.Schema) -> pa.Schema:
    """The schema of a shard's rows in memory: its text may pass 2 GB."""
    place = schema.get_field_index("text")
    return schema if place < 0 else schema.set(place, schema.field(place).with_type(pa.large_string()))


def page_splits(seed: int, langs: pa.Array, pages: pa.Array) -> pa.StringArray:
    """[n] the splits of pages by language and page id."""
    keys = list(zip(langs.to_pylist(), pages.to_pylist(), strict=True))
    found = {key: split_of_page(seed, *key) for key in dict.fromkeys(keys)}
    return pa.array([found[key] for key in keys], pa.string())


def pack(rendered: Rendered, shards: Mapping[str, int], missing: Iterable[int], *, seed: int) -> DataFrame:
    """The keys as rows of `PACKED`.

    Args:
        shards: split (`part` for an unpublished table) -> number of shards.
        missing: the shards whose keys are sent.
    """
    wanted = frozenset(missing)
    frames = [
        source.mapInArrow(
            packing(keys, rendered.schema, tuple(rendered.by), dict(shards), wanted, seed=seed),
            from_arrow_schema(PACKED),
        )
        for source, keys in rendered.sources
    ]
    packed = reduce(DataFrame.unionByName, frames)
    # Counters go to the first shard: if it is whole, it has them.
    return packed if 0 in wanted else packed.where(F.col("_counter").isNull())


def packing(
    keys: BatchFunction,
    schema: pa.Schema,
    by: Sequence[str],
    shards: Mapping[str, int],
    wanted: Collection[int],
    *,
    seed: int,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function from batches of a source to batches of `PACKED`; arguments as of `Rendered` and `pack`."""

    @counted
    @without_secrets
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tally = Tally()
        sums: list[Row] = []
        pending: dict[int, list[pa.RecordBatch]] = {}
        size = 0
        for found in keys(records_of(batches, sums, tally), tally):
            meter.add(rows=found.num_rows)
            columns = [found.column(field.name).cast(field.type) for field in schema]
            batch = pa.RecordBatch.from_arrays(columns, schema=schema)
            for shard, piece in _by_shard(batch, shards_of(batch, by, shards, seed=seed)):
                if shard in wanted:
                    pending.setdefault(shard, []).append(piece)
            size += batch.nbytes
            if size > _PENDING_BYTES:
                yield _packed(pending)
                pending, size = {}, 0
        yield _packed(pending)
        for counters in counter_batches(sums, tally, COUNTERS):
            yield _with_columns(counters)

    return run


def unpack(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """The keys in the column `_keys` of the batches."""
    values = (value for batch in batches for value in batch.column("_keys"))
    found = [pa.ipc.read_record_batch(value.as_buffer(), schema) for value in values]
    return _one(found or [pa.RecordBatch.from_pylist([], schema=schema)])


def _one(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """All rows of at least one batch. pyarrow has `concat_batches` since version 19 only."""
    joined = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return joined[0] if joined else batches[0]


def shards_of(
    keys: pa.RecordBatch, by: Sequence[str], shards: Mapping[str, int], *, seed: int
) -> NDArray[np.int32]:
    """[n] the shard of each key, numbered over the splits in their order.

    Raises:
        KgcorpusError: a key's split is none of the splits.
    """
    digest = _digests(keys, by, seed, "shard")
    if "split" not in keys.schema.names:
        return (digest % np.uint64(shards["part"])).astype(np.int32)
    splits = keys.column("split").fill_null("null").dictionary_encode()
    found = np.empty(len(keys), np.int32)
    for code, split in enumerate(splits.dictionary.to_pylist()):
        if split not in shards:
            raise KgcorpusError(f"no split is called {split}")
        own = splits.indices.to_numpy() == code
        names = list(shards)
        first = sum(shards[name] for name in names[: names.index(split)])
        found[own] = first + (digest[own] % np.uint64(shards[split])).astype(np.int32)
    return found


def _digests(rows: pa.RecordBatch, by: Sequence[str], seed: int, purpose: str) -> NDArray[np.uint64]:
    """[n] hashes of the columns `by`, of strings or integers."""
    from kgcorpus.kg.strings import hash_rows

    return hash_rows(*(rows.column(name) for name in by), start=hash64(seed, purpose))


def _by_shard(batch: pa.RecordBatch, shards: NDArray[np.int32]) -> Iterator[tuple[int, pa.RecordBatch]]:
    if not len(batch):
        return
    order = np.argsort(shards, kind="stable")
    ordered = batch.take(pa.array(order))
    numbers, starts = np.unique(shards[order], return_index=True)
    for number, start, end in zip(numbers.tolist(), starts, [*starts[1:], len(order)], strict=True):
        yield number, ordered.slice(start, end - start)


def _packed(pending: Mapping[int, Sequence[pa.RecordBatch]]) -> pa.RecordBatch:
    values = [_one(pieces).serialize().to_pybytes() for pieces in pending.values()]
    return _with_columns(pa.record_batch({"_shard": pa.array(pending, pa.int32()), "_keys": values}))


def _with_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The columns of `PACKED`: a sum goes to the first shard, what is missing is null."""
    zeros = pa.array(np.zeros(len(batch), np.int32))
    columns = [
        batch.column(field.name)
        if field.name in batch.schema.names
        else zeros
        if field.name == "_shard"
        else pa.nulls(len(batch), field.type)
        for field in PACKED
    ]
    return pa.RecordBatch.from_arrays(columns, schema=PACKED)
