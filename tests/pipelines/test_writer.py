"""Shards: the same bytes for any partitioning, whole or absent, with their counters."""

import contextlib
import hashlib
import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.contracts.tables import table
from pipelines.kernels import COUNTERS, map_rows, with_split
from pipelines.writer import ROW_GROUP, read_counters, shard_names, write_batches, write_shards

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TRIPLES, PLAIN = table("triples"), table("plain_text")


def triples(spark: "SparkSession", n: int, partitions: int) -> "DataFrame":
    frame = spark.range(n, numPartitions=partitions)
    return frame.select(
        *(
            F.concat(F.lit(c), (F.col("id") * k % 997).cast("string"), F.lit("-"), "id").alias(c)
            for c, k in zip("hrt", (1, 7, 13), strict=True)
        )
    )


def write(
    frame: "DataFrame", folder: Path, *, shards: dict[str, int], partitions: int = 2, table_: object = TRIPLES
) -> dict[str, str]:
    write_shards(
        frame, table_, folder, shards=shards, seed=5, partitions=partitions, quarantine=folder / "q.jsonl"
    )
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.parquet"))
    }


def test_bytes_do_not_depend_on_the_partitioning(spark: "SparkSession", tmp_path: Path) -> None:
    one = write(triples(spark, 3000, 1), tmp_path / "a", shards={"part": 3}, partitions=1)
    many = write(triples(spark, 3000, 7), tmp_path / "b", shards={"part": 3}, partitions=5)
    assert len(one) == 3
    assert one == many


def test_every_row_lands_once_in_key_order(spark: "SparkSession", tmp_path: Path) -> None:
    n = ROW_GROUP + 500
    write(triples(spark, n, 3), tmp_path, shards={"part": 1})
    (path,) = tmp_path.glob("*.parquet")
    rows = pq.read_table(path).to_pylist()
    keys = [(row["h"], row["r"], row["t"]) for row in rows]
    assert len(set(keys)) == n
    assert keys == sorted(keys)
    assert pq.read_metadata(path).row_group(0).num_rows == ROW_GROUP


def test_only_missing_shards_are_written_again(spark: "SparkSession", tmp_path: Path) -> None:
    first = write(triples(spark, 500, 2), tmp_path, shards={"part": 4})
    names = shard_names(TRIPLES, {"part": 4})
    kept = (tmp_path / names[0]).stat().st_mtime_ns
    (tmp_path / names[2]).unlink()
    assert write(triples(spark, 500, 3), tmp_path, shards={"part": 4}) == first
    assert (tmp_path / names[0]).stat().st_mtime_ns == kept


def test_a_published_table_is_split_and_shuffled_and_an_empty_split_has_its_file(
    spark: "SparkSession", tmp_path: Path
) -> None:
    frame = spark.range(2000).select(
        F.format_string("r%05d", "id").alias("id"),
        F.lit("en").alias("lang"),
        F.lit("text").alias("text"),
        F.lit(128).alias("length"),
        F.when(F.col("id") < 1900, "train").otherwise("test").alias("split"),
    )
    write(frame, tmp_path, shards={"train": 2, "validation": 1, "test": 1}, table_=PLAIN)
    rows = Counter({path.name: pq.read_metadata(path).num_rows for path in tmp_path.glob("*.parquet")})
    assert sum(rows.values()) == 2000
    assert rows["validation-00000-of-00001.parquet"] == 0
    assert rows["test-00000-of-00001.parquet"] == 100
    ids = pq.read_table(tmp_path / "train-00000-of-00002.parquet")["id"].to_pylist()
    assert ids != sorted(ids)


def test_counters_and_quarantine_travel_to_the_shards(spark: "SparkSession", tmp_path: Path) -> None:
    def half(rows, tally):
        for row in rows:
            tally.count("seen")
            if int(row["h"].rsplit("-")[-1]) % 2:
                tally.drop("odd")
            else:
                yield row
        tally.quarantine(where="a.txt:3", reason="bad", text="x")

    frame = map_rows(triples(spark, 1000, 4), half, TRIPLES.schema)
    frame = map_rows(frame.repartition(3, "h"), lambda rows, tally: rows, TRIPLES.schema)
    write(frame, tmp_path, shards={"part": 2})
    sums = sum((read_counters(path) for path in tmp_path.glob("*.parquet")), Counter())
    assert sums == {"count.seen": 1000, "drop.odd": 500, "drop.bad_input": 4}
    assert (tmp_path / "q.jsonl").read_text().count('"where": "a.txt:3"') == 4


def test_two_rows_with_one_key_are_refused(spark: "SparkSession", tmp_path: Path) -> None:
    frame = triples(spark, 10, 2)
    with pytest.raises(Exception, match="two rows of triples have the same key"):
        write(frame.union(frame), tmp_path, shards={"part": 1})
    assert not list(tmp_path.glob("*.parquet"))


def test_a_stream_that_breaks_off_leaves_no_short_shard(tmp_path: Path) -> None:
    """What a worker reads when its executor dies: the bytes so far, which Arrow takes for all."""
    names = shard_names(TRIPLES, {"part": 3})
    schema = pa.schema([("_shard", pa.int32()), *COUNTERS, *TRIPLES.schema])
    stream = io.BytesIO()
    cuts = []
    with pa.ipc.new_stream(stream, schema) as writer:
        for shard in range(3):
            rows = [{"_shard": shard, "h": f"Q{i}", "r": "P1", "t": "Q1"} for i in range(5)]
            for row in [*rows, {"_shard": shard, "_counter": "end", "_n": 1}]:
                cuts.append(stream.tell())
                writer.write_batch(pa.RecordBatch.from_pylist([row], schema=schema))
    for at, cut in enumerate(cuts):
        folder = tmp_path / str(cut)
        folder.mkdir()
        batches = pa.ipc.open_stream(io.BytesIO(stream.getvalue()[:cut])) if at else iter(())
        whole, more = divmod(at, 6)
        breaks = (
            pytest.raises(EnvironmentLacksError, match="end within") if more else contextlib.nullcontext()
        )
        with breaks:
            write_batches(iter(batches), TRIPLES, folder, names=names, quarantine=folder / "q.jsonl")
        found = {path.name: pq.read_metadata(path).num_rows for path in folder.iterdir()}
        assert found == dict.fromkeys(names[:whole], 5)


def test_kernels_declare_the_split(spark: "SparkSession") -> None:
    assert with_split(PLAIN.schema).names == [*PLAIN.schema.names, "split"]
    assert not set(COUNTERS.names) & set(PLAIN.schema.names)


@pytest.mark.parametrize("split", [None, "dev"])
def test_a_row_that_no_split_takes_is_an_error(
    spark: "SparkSession", tmp_path: Path, split: str | None
) -> None:
    frame = spark.range(20).select(
        F.format_string("r%05d", "id").alias("id"),
        F.lit("en").alias("lang"),
        F.lit("text").alias("text"),
        F.lit(128).alias("length"),
        F.when(F.col("id") > 0, "train").otherwise(F.lit(split)).alias("split"),
    )
    with pytest.raises(Exception, match=f"no split is called {split or 'null'}"):
        write(frame, tmp_path, shards={"train": 1, "validation": 1, "test": 1}, table_=PLAIN)
