"""Writing of rows to shards, with the same bytes for any partitioning.

A row's shard is a hash of its key; within a shard the order is total; pyarrow writes (Spark's own writer is
not byte-stable); each shard is renamed into place when whole, so a killed stage redoes only what is missing.

Whether a shard is whole, its worker cannot tell from the stream: a worker may outlive its executor's JVM, and
Arrow takes the end of a socket between two batches for the end of the data. A row of its own ends each shard.
"""

import functools
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, KgcorpusError
from kgcorpus.contracts.meter import meter
from kgcorpus.contracts.store import replacing
from kgcorpus.contracts.tables import Table
from kgcorpus.contracts.tally import Notes, Tally
from pipelines.packed import PACKED, Rendered, RenderFunction, pack, rows_of, unchanged, unpack
from pipelines.shard_folders import METADATA_KEY, LocalShards, ShardFolder
from pipelines.spark_functions import COUNTERS, QUARANTINE, collect_rarely
from pipelines.worker_counts import counted

FileOpener = Callable[[], AbstractContextManager[Path]]
ROW_GROUP = 20_000
# Columns whose values do not repeat.
_DISTINCT = frozenset({"id", "text", "passage_id", "sentence_id", "cycle_id", "start", "end", "cos", "si"})
_DONE = pa.schema([("_shard", pa.int32())])
_END = "end"


def shard_names(table: Table, shards: Mapping[str, int]) -> list[str]:
    """File names in shard order; `shards` maps split (`part` for an unpublished table) to shard count."""
    return [f"{split}-{i:05d}-of-{n:05d}.parquet" for split, n in shards.items() for i in range(n)]


def write_shards(
    rows: DataFrame | Rendered,
    table: Table,
    folder: Path | ShardFolder,
    *,
    shards: Mapping[str, int],
    seed: int,
    partitions: int,
    quarantine: Path | FileOpener,
) -> None:
    """Write the missing shards of a table into `folder`.

    Args:
        rows: the table's columns, `split` where it is published, and optionally the counter columns; or keys
            that are rendered to such rows.
        quarantine: the file for pieces of bad input, or a function that opens it; written only where there
            are any.
    """
    names = shard_names(table, shards)
    target = LocalShards(folder) if isinstance(folder, Path) else folder
    whole = target.whole()
    missing = [i for i, name in enumerate(names) if name not in whole]
    if not missing:
        return
    if not isinstance(rows, Rendered):
        rows = rows_of(table, seed, (rows, unchanged))
    schema, render = rows.schema, rows.render
    frame = pack(rows, shards, missing, seed=seed)
    ends = (
        frame.sparkSession.range(0, len(names), 1, numPartitions=1)
        .select(F.col("id").cast("int").alias("_shard"), F.lit(_END).alias("_counter"), F.lit(1).alias("_n"))
        .where(F.col("_shard").isin(missing))
    )
    is_end = F.coalesce(F.col("_counter") == _END, F.lit(False))
    frame = (
        frame.unionByName(ends, allowMissingColumns=True)
        .repartition(max(1, min(partitions, len(missing))), "_shard")
        .sortWithinPartitions("_shard", is_end)
        .select(*PACKED.names)
    )

    @counted
    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        collect_rarely()
        written = write_batches(
            batches, table, target, names=names, quarantine=quarantine, schema=schema, render=render
        )
        yield pa.RecordBatch.from_pylist([{"_shard": shard} for shard in written], schema=_DONE)

    frame.mapInArrow(write, "_shard int").collect()


def write_batches(
    batches: Iterator[pa.RecordBatch],
    table: Table,
    folder: Path | ShardFolder,
    *,
    names: Sequence[str],
    quarantine: Path | FileOpener,
    schema: pa.Schema,
    render: RenderFunction,
) -> list[int]:
    """Write the shards that the batches hold: sorted by shard, of which the last row says that it ends.

    Args:
        batches: of `PACKED`.
        names: the files' names by shard.
        schema, render: as of `Rendered`.

    Returns:
        The shards.

    Raises:
        EnvironmentLacksError: the batches end within a shard; it is left out.
    """
    target = LocalShards(folder) if isinstance(folder, Path) else folder
    set_aside = partial(replacing, quarantine) if isinstance(quarantine, Path) else quarantine
    written = []
    for shard, pieces in _by_shard(batches):
        _write_shard(target, names[shard], table, _Shard(pieces, schema, render), set_aside)
        written.append(shard)
    return written


def _by_shard(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, Iterator[pa.RecordBatch]]]:
    """Group sorted batches by shard, each group lazily; a group must be read before the next is asked for."""
    pieces = (piece for batch in batches if batch.num_rows for piece in _cut(batch))
    ahead = next(pieces, None)
    while ahead is not None:
        current = ahead[0]

        def group() -> Iterator[pa.RecordBatch]:
            nonlocal ahead
            while ahead is not None and ahead[0] == current:  # noqa: B023  read before the next iteration
                yield ahead[1]
                ahead = next(pieces, None)

        yield current, group()


def _cut(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    shard = batch.column("_shard")
    values = shard.to_numpy(zero_copy_only=False)
    borders = [0, *(i for i in range(1, len(values)) if values[i] != values[i - 1]), len(values)]
    for start, end in itertools.pairwise(borders):
        yield int(values[start]), batch.slice(start, end - start)


class _Shard:
    """One shard's rows, and the counters and notes that come with them and with their making."""

    def __init__(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema, render: RenderFunction) -> None:
        self._batches, self._schema, self._render = batches, schema, render
        self.sums: Counter[str] = Counter()
        self.notes = Notes()

    def rows(self) -> Iterator[pa.RecordBatch]:
        tally = Tally()
        keys = (self._without_counters(batch) for batch in self._batches)
        yield from self._render(unpack(keys, self._schema), tally)
        self.sums.update(dict(tally.rows()))

    def _without_counters(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.column("_counter").null_count == len(batch):
            return batch
        is_counter = pc.is_valid(batch.column("_counter"))
        for row in batch.filter(is_counter).select(COUNTERS.names).to_pylist():
            if row["_counter"] == QUARANTINE:
                self.notes.add(row["_note"])
            else:
                self.sums[row["_counter"]] += row["_n"]
        return batch.filter(pc.invert(is_counter))


def _write_shard(
    folder: ShardFolder,
    name: str,
    table: Table,
    made: _Shard,
    quarantine: FileOpener,
) -> None:
    with (
        folder.writing(name) as temporary,
        pq.ParquetWriter(temporary, table.schema, **_options(table)) as writer,
    ):
        buffer = table.schema.empty_table()
        last_key: list[Any] | None = None
        for records in made.rows():
            if not records.num_rows:
                continue
            meter.add(rows=records.num_rows)
            piece = pa.table({name: records.column(name) for name in table.schema.names}).cast(table.schema)
            last_key = _check_unique(piece, table, last_key)
            buffer = pa.concat_tables([buffer, piece])
            while buffer.num_rows >= ROW_GROUP:
                writer.write_table(buffer.slice(0, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)
                buffer = buffer.slice(ROW_GROUP)
        if buffer.num_rows:
            writer.write_table(buffer.combine_chunks(), row_group_size=ROW_GROUP)
        if not made.sums.pop(_END, 0):
            raise EnvironmentLacksError(
                "the rows end within a shard: Spark's executor died", where=name, hint="Run it again"
            )
        writer.add_key_value_metadata({METADATA_KEY: json.dumps(dict(sorted(made.sums.items()))).encode()})
        if kept := made.notes.sorted():
            with quarantine() as part:
                part.write_text("\n".join(kept) + "\n", encoding="utf-8")


def _options(table: Table) -> dict[str, Any]:
    """How Parquet is written: a dictionary only where values repeat, and statistics for the page index.

    A dictionary of distinct texts costs a third of the time, and is then thrown away.
    """
    return {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": [name for name in leaves(table.schema) if name.rpartition(".")[2] not in _DISTINCT],
        "write_page_index": True,
    }


def leaves(schema: pa.Schema) -> list[str]:
    """The paths of a schema's Parquet columns."""
    return [path for field in schema for path in _leaves(field.name, field.type)]


def _leaves(path: str, kind: pa.DataType) -> list[str]:
    if pa.types.is_list(kind):
        return _leaves(f"{path}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(f"{path}.{field.name}", field.type)]
    return [path]


def _check_unique(piece: pa.Table, table: Table, before: list[Any] | None) -> list[Any]:
    """Check that no key occurs twice in sorted rows after the key `before`; returns the last key."""
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
    return InputError(what, where=where, hint="Name no input twice, and no two that hold the same records")
