"""The table of cycles: the same bytes for any parts of the graph and partitions, with every cap at work."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.declared import declared
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_records, refuse
from kgcorpus.kg.readers import parse_triple
from pipelines.context import Context
from pipelines.cycles import STAGE
from pipelines.scratch import LocalScratch
from pipelines.shard_folders import read_counters
from pipelines.writer import write_shards

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CAPS = {"dedup": "cycle", "wings_per_edge": 6, "pairs_per_edge": 4, "per_pair": 2, "per_combination": 40}


@pytest.fixture(scope="module")
def shards(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    file = str(real_data / "demo-small" / "triples.txt.gz")
    rows = list(read_records(file, parse_triple, tally=Tally(), on_bad=refuse))
    rows += [(rows[0][0], "P1", rows[0][0]), rows[1]]
    folder = tmp_path_factory.mktemp("triples")
    paths = []
    for part in range(2):
        columns = dict(zip("hrt", zip(*rows[part::2], strict=True), strict=True))
        paths.append(str(folder / f"{part}.parquet"))
        pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), paths[-1])
    return paths


def build(
    spark: "SparkSession", shards: list[str], folder: Path, *, parts: int, partitions: int
) -> tuple[dict[str, str], dict[str, int]]:
    context = Context(
        spark=spark,
        seed=11,
        config=declared(BuildConfig(cycles=CAPS), STAGE.params, reader="cycles"),
        inputs={"triples": shards},
        sources=(),
        partitions=partitions,
        graph_parts=parts,
        scratch=LocalScratch(folder / "scratch"),
        on_bad_input="fail",
    )
    write_shards(
        STAGE.run(context),
        table("cycles"),
        folder,
        shards={"part": 2},
        seed=11,
        partitions=partitions,
        quarantine=folder / "bad.jsonl",
    )
    files = sorted(folder.glob("*.parquet"))
    counters = sum((read_counters(path) for path in files), start=read_counters(files[0]).__class__())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}, counters


@pytest.mark.parametrize("partitionings", [((2, 3),), pytest.param(((3, 2), (5, 1)), marks=pytest.mark.slow)])
def test_no_byte_depends_on_parts_or_partitions(
    spark: "SparkSession", shards: list[str], tmp_path: Path, partitionings: tuple[tuple[int, int], ...]
) -> None:
    expected, counters = build(spark, shards, tmp_path / "1", parts=1, partitions=1)
    assert counters["count.length3"] == 19_321
    assert counters["count.length4_cycles"] == 619_747
    assert counters["drop.self_loop"] == 1
    assert counters["drop.duplicate_triple"] == 1
    for cap in ("wings_per_edge", "dedup", "pairs_per_edge", "per_pair", "per_combination"):
        assert counters[f"drop.{cap}"] > 0
    for parts, partitions in partitionings:
        found, others = build(spark, shards, tmp_path / str(parts), parts=parts, partitions=partitions)
        assert others == counters
        assert found == expected
