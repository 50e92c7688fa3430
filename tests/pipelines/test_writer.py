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
from pipelines.packed import PACKED, Rendered, rows_of
from pipelines.shard_folders import read_counters
from pipelines.spark_functions import COUNTERS, map_rows, with_split
from pipelines.writer import ROW_GROUP, shard_names, write_batches, write_shards

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TRIPLES, PLAIN = table("triples"), table("plain_text")
KEYS = with_split(pa.schema([("key", pa.string())]))


def triples(spark: "SparkSession", n: int, partitions: int) -> "DataFrame":
    frame = spark.range(n, numPartitions=partitions)
    return frame.select(
        *(
            F.concat(F.lit(c), (F.col("id") * k % 997).cast("string"), F.lit("-"), "id").alias(c)
            for c, k in zip("hrt", (1, 7, 13), strict=True)
        )
    )


def write(
    frame: "DataFrame | Rendered",
    folder: Path,
    *,
    shards: dict[str, int],
    partitions: int = 2,
    table_: object = TRIPLES,
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
    stream = io.BytesIO()
    cuts = []
    with pa.ipc.new_stream(stream, PACKED) as writer:
        for shard in range(3):
            keys = [{"h": f"Q{i}", "r": "P1", "t": "Q1"} for i in range(5)]
            packed = [pa.RecordBatch.from_pylist([key], schema=TRIPLES.schema).serialize() for key in keys]
            rows = [{"_shard": shard, "_keys": keys.to_pybytes()} for keys in packed]
            for row in [*rows, {"_shard": shard, "_counter": "end", "_n": 1}]:
                cuts.append(stream.tell())
                writer.write_batch(pa.RecordBatch.from_pylist([row], schema=PACKED))
    for at, cut in enumerate(cuts):
        folder = tmp_path / str(cut)
        folder.mkdir()
        batches = pa.ipc.open_stream(io.BytesIO(stream.getvalue()[:cut])) if at else iter(())
        whole, more = divmod(at, 6)
        breaks = (
            pytest.raises(EnvironmentLacksError, match="end within") if more else contextlib.nullcontext()
        )
        made = rows_of(table("triples"), 5)
        with breaks:
            write_batches(
                iter(batches),
                TRIPLES,
                folder,
                names=names,
                quarantine=folder / "q.jsonl",
                schema=made.schema,
                render=made.render,
            )
        found = {path.name: pq.read_metadata(path).num_rows for path in folder.iterdir()}
        assert found == dict.fromkeys(names[:whole], 5)


def test_row_functions_declare_the_split(spark: "SparkSession") -> None:
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


def rendered(spark: "SparkSession", n: int, partitions: int) -> Rendered:
    """Keys of which each becomes two rows of `plain_text`, in the order of the numbers backwards."""

    def keys(batches, tally):
        for batch in batches:
            ids = [f"r{i:05d}" for i in batch.column("id").to_pylist()]
            tally.count("keys", len(ids))
            splits = ["test" if int(ident[1:]) % 10 == 0 else "train" for ident in ids]
            yield pa.RecordBatch.from_pydict({"key": ids, "split": splits}, schema=KEYS)
            yield pa.RecordBatch.from_pylist([], schema=KEYS)

    def render(keys, tally):
        tally.count("rendered", len(keys))
        names = sorted(f"{key}-{i}" for key in keys.column("key").to_pylist() for i in range(2))[::-1]
        for at in range(0, len(names), 7):
            rows = [
                {"id": name, "lang": "en", "text": "é", "length": 128, "split": "x"}
                for name in names[at : at + 7]
            ]
            yield pa.RecordBatch.from_pylist(rows, schema=with_split(PLAIN.schema))

    source = spark.range(n, numPartitions=partitions)
    return Rendered(sources=[(source, keys)], schema=KEYS, by=["key"], render=render)


def test_rendered_rows_do_not_depend_on_the_partitioning(spark: "SparkSession", tmp_path: Path) -> None:
    shards = {"train": 3, "validation": 1, "test": 1}
    one = write(rendered(spark, 500, 1), tmp_path / "a", shards=shards, partitions=1, table_=PLAIN)
    many = write(rendered(spark, 500, 7), tmp_path / "b", shards=shards, partitions=4, table_=PLAIN)
    assert one == many
    rows = {path.name: pq.read_table(path) for path in (tmp_path / "a").glob("*.parquet")}
    assert sum(map(len, rows.values())) == 1000
    assert len(rows["test-00000-of-00001.parquet"]) == 100
    assert len(rows["validation-00000-of-00001.parquet"]) == 0
    assert rows["train-00001-of-00003.parquet"].schema.names == PLAIN.schema.names
    ids = rows["train-00001-of-00003.parquet"]["id"].to_pylist()
    assert ids == sorted(ids, reverse=True)
    sums = sum((read_counters(path) for path in (tmp_path / "a").glob("*.parquet")), Counter())
    assert sums == {"count.keys": 500, "count.rendered": 500}


def test_only_missing_shards_are_rendered_again(spark: "SparkSession", tmp_path: Path) -> None:
    shards = {"train": 3, "validation": 1, "test": 1}
    first = write(rendered(spark, 300, 2), tmp_path, shards=shards, table_=PLAIN)
    names = shard_names(PLAIN, shards)
    kept = (tmp_path / names[1]).stat().st_mtime_ns
    for name in (names[0], names[2]):
        (tmp_path / name).unlink()
    assert write(rendered(spark, 300, 3), tmp_path, shards=shards, table_=PLAIN) == first
    assert (tmp_path / names[1]).stat().st_mtime_ns == kept
