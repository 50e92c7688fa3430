"""The error of a damaged file names it and gives a hint."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.shards import damage_named, read_batches, read_shard


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"h": ["Q1"] * 9, "t": list("abcdefghi")}), path, compression="zstd")
    return path


def test_rows_and_columns(shard: Path) -> None:
    assert read_shard(shard, ["t"], filters=[("t", "=", "c")]).to_pylist() == [{"t": "c"}]
    assert [batch.num_rows for batch in read_batches(shard, rows=4)] == [4, 4, 1]


@pytest.mark.parametrize("read", [read_shard, lambda path: list(read_batches(path))])
@pytest.mark.parametrize("first", [4, -60])
def test_damage_of_equal_length(shard: Path, read, first: int) -> None:
    data = bytearray(shard.read_bytes())
    data[first : first + 40] = bytes(40)
    shard.write_bytes(data)
    with pytest.raises(
        InputError, match=rf"{shard.name}: cannot be read \(.*\)\. Delete it and run kgcorpus build"
    ):
        read(shard)


@pytest.mark.parametrize("read", [read_shard, lambda path: list(read_batches(path))])
def test_an_absent_file(tmp_path: Path, read) -> None:
    with pytest.raises(InputError, match=r"absent\.parquet: is missing\. Run kgcorpus build-corpus"):
        read(tmp_path / "absent.parquet")


@pytest.mark.parametrize("error", [pa.ArrowMemoryError, pa.ArrowCancelled, MemoryError])
def test_a_lack_of_memory_and_an_interrupt_are_no_damage(shard: Path, error: type[Exception]) -> None:
    with pytest.raises(error, match="malloc"), damage_named(shard):
        raise error("malloc of size 64 failed")


def test_what_is_too_large_for_arrow_is_not_to_be_deleted(shard: Path) -> None:
    with (
        pytest.raises(InputError, match=rf"{shard.name}: cannot be read \(List array\)$"),
        damage_named(shard),
    ):
        raise pa.ArrowCapacityError("List array")
