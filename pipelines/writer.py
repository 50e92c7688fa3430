"""Rows to shards, the same bytes whatever the partitioning.

A row's shard is a hash of its key; within a shard the order is total; pyarrow writes (Spark's own writer is
not byte-stable); each shard is renamed into place when whole, so a killed stage redoes only what is missing.

Whether a shard is whole, its worker cannot tell from the stream: a worker may outlive its executor's JVM, and
Arrow takes the end of a socket between two batches for the end of the data. A row of its own ends each shard.
"""

import functools
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, KgcorpusError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.store import replacing
from kgcorpus.contracts.tables import Table
from kgcorpus.contracts.tally import Notes
from pipelines.kernels import COUNTERS, QUARANTINE

ROW_GROUP = 20_000
METADATA_KEY = b"kgcorpus"
_DONE = pa.schema([("_shard", pa.int32())])
_END = "end"


def shard_names(table: Table, shards: Mapping[str, int]) -> list[str]:
    """File names in shard order; `shards` maps split (`part` for an unpublished table) to shard count."""
    return [f"{split}-{i:05d}-of-{n:05d}.parquet" for split, n in shards.items() for i in range(n)]


def write_shards(
    frame: DataFrame,
    table: Table,
    folder: Path,
    *,
    shards: Mapping[str, int],
    seed: int,
    partitions: int,
    quarantine: Path,
) -> None:
    """Write the missing shards of a table into `folder`.

    Args:
        frame: the table's columns, `split` where it is published, and optionally the counter columns.
        quarantine: the file for pieces of bad input, written only where there are any.
    """
    names = shard_names(table, shards)
    missing = [i for i, name in enumerate(names) if not (folder / name).exists()]
    if not missing:
        return
    for name in COUNTERS.names:
        if name not in frame.columns:
            frame = frame.withColumn(name, F.lit(None).cast("long" if name == "_n" else "string"))
    ends = frame.sparkSession.createDataFrame(
        [(shard, _END, 1) for shard in missing], "_shard int, _counter string, _n long"
    )
    is_record, is_end = F.col("_counter").isNull(), F.coalesce(F.col("_counter") == _END, F.lit(False))
    order = F.xxhash64(F.lit(seed), *table.key) if table.published else F.lit(0)
    frame = (
        frame.withColumn("_shard", F.when(is_record, _shard_of(table, shards, seed)).otherwise(0).cast("int"))
        .withColumn("_order", order.cast("long"))
        .where(F.col("_shard").isin(missing))
        .unionByName(ends, allowMissingColumns=True)
        .repartition(max(1, min(partitions, len(missing))), "_shard")
        .sortWithinPartitions("_shard", is_end, is_record, "_order", *table.key)
        .select("_shard", *COUNTERS.names, *table.schema.names)
    )

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        written = write_batches(batches, table, folder, names=names, quarantine=quarantine)
        yield pa.RecordBatch.from_pylist([{"_shard": shard} for shard in written], schema=_DONE)

    frame.mapInArrow(write, "_shard int").collect()


def write_batches(
    batches: Iterator[pa.RecordBatch],
    table: Table,
    folder: Path,
    *,
    names: Sequence[str],
    quarantine: Path,
) -> list[int]:
    """Write the shards that the batches hold: rows sorted by shard, of which the last says that it ends.

    Args:
        batches: `_shard`, the counter columns and the table's.
        names: the files' names by shard.

    Returns:
        The shards.

    Raises:
        EnvironmentLacksError: the batches end within a shard; it is left out.
    """
    return [
        _write_shard(folder / names[shard], table, pieces, shard, quarantine)
        for shard, pieces in _by_shard(batches)
    ]


def read_counters(path: Path) -> Counter[str]:
    """The sums that a shard carries.

    Raises:
        InputError: they are damaged.
    """
    metadata = pq.read_metadata(path).metadata or {}
    try:
        return Counter(
            {str(name): int(n) for name, n in parse_json(metadata.get(METADATA_KEY, b"{}")).items()}
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"its counters cannot be read ({error})", where=str(path), mend="Delete it and build again"
        ) from None


def _shard_of(table: Table, shards: Mapping[str, int], seed: int) -> Any:
    digest = F.xxhash64(F.lit(seed), F.lit("shard"), *table.shard_by)
    if not table.published:
        return F.pmod(digest, F.lit(shards["part"]))
    # Raised for a null too: a row that no split takes would be lost in silence.
    first, choice = 0, F.raise_error(F.concat(F.lit("no split is called "), _shown("split"))).cast("int")
    for split, n in shards.items():
        choice = F.when(F.col("split") == split, F.lit(first) + F.pmod(digest, F.lit(n))).otherwise(choice)
        first += n
    return choice


def _shown(column: str) -> Any:
    return F.coalesce(F.col(column), F.lit("null"))


def _by_shard(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, Iterator[pa.RecordBatch]]]:
    """Group sorted batches by shard, each group lazily; a group must be read before the next is asked for."""
    pieces = (piece for batch in batches if batch.num_rows for piece in _cut(batch))
    ahead = next(pieces, None)
    while ahead is not None:
        current = ahead[0]

        def group() -> Iterator[pa.RecordBatch]:
            nonlocal ahead
            while ahead is not None and ahead[0] == current:  # noqa: B023  read before the loop goes on
                yield ahead[1]
                ahead = next(pieces, None)

        yield current, group()


def _cut(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    shard = batch.column("_shard")
    values = shard.to_numpy(zero_copy_only=False)
    borders = [0, *(i for i in range(1, len(values)) if values[i] != values[i - 1]), len(values)]
    for start, end in itertools.pairwise(borders):
        yield int(values[start]), batch.slice(start, end - start)


def _write_shard(
    path: Path, table: Table, batches: Iterator[pa.RecordBatch], shard: int, quarantine: Path
) -> int:
    sums: Counter[str] = Counter()
    notes = Notes()
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, table.schema, compression="zstd", compression_level=3) as writer,
    ):
        buffer = table.schema.empty_table()
        last_key: list[Any] | None = None
        for batch in batches:
            records = _take_counters(batch, sums, notes)
            if not records.num_rows:
                continue
            piece = pa.table({name: records.column(name) for name in table.schema.names}).cast(table.schema)
            last_key = _check_unique(piece, table, last_key)
            buffer = pa.concat_tables([buffer, piece])
            while buffer.num_rows >= ROW_GROUP:
                writer.write_table(buffer.slice(0, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)
                buffer = buffer.slice(ROW_GROUP)
        if buffer.num_rows:
            writer.write_table(buffer.combine_chunks(), row_group_size=ROW_GROUP)
        if not sums.pop(_END, 0):
            raise EnvironmentLacksError(
                "the rows end within a shard: Spark's executor died", where=path.name, mend="Run it again"
            )
        writer.add_key_value_metadata({METADATA_KEY: json.dumps(dict(sorted(sums.items()))).encode()})
        if kept := notes.sorted():
            with replacing(quarantine) as part:
                part.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return shard


def _take_counters(batch: pa.RecordBatch, sums: Counter[str], notes: Notes) -> pa.RecordBatch:
    is_counter = pc.is_valid(batch.column("_counter"))
    if not pc.any(is_counter).as_py():
        return batch
    for row in batch.filter(is_counter).select(COUNTERS.names).to_pylist():
        if row["_counter"] == QUARANTINE:
            notes.add(row["_note"])
        else:
            sums[row["_counter"]] += row["_n"]
    return batch.filter(pc.invert(is_counter))


def _check_unique(piece: pa.Table, table: Table, before: list[Any] | None) -> list[Any]:
    """See that no key stands twice in sorted rows that follow the key `before`; returns the last one."""
    columns = [piece.column(name).combine_chunks() for name in table.key]

    def key(row: int) -> list[Any]:
        return [column[row].as_py() for column in columns]

    alike = (pc.equal(column.slice(1), column.slice(0, len(column) - 1)) for column in columns)
    repeated = 0 if key(0) == before else pc.index(functools.reduce(pc.and_, alike), True).as_py()
    if repeated >= 0:
        raise _two_rows(table, key(repeated))
    return key(piece.num_rows - 1)


def _two_rows(table: Table, key: list[Any]) -> KgcorpusError:
    what = f"two rows of {table.name} have the same key"
    where = ", ".join(f"{name} {value}" for name, value in zip(table.key, key, strict=True))
    if not table.key_of_input:
        return KgcorpusError(what, where=where)
    return InputError(what, where=where, mend="Name no input twice, and no two that hold the same records")
