"""The functions of workers, over the iterators that Spark hands to `mapInArrow`."""

from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from kgcorpus.contracts.tally import Tally
from pipelines.spark_functions import QUARANTINE, map_batches, map_rows, stream_groups

SCHEMA = pa.schema([("word", pa.string())])


class Partition:
    """One partition of a frame."""

    def __init__(self, *batches: pa.RecordBatch) -> None:
        self.batches = batches

    def mapInArrow(self, function: Callable[..., Iterator[pa.RecordBatch]], _: object) -> "Partition":
        return Partition(*function(iter(self.batches)))

    def rows(self) -> list[dict]:
        return [row for batch in self.batches for row in batch.to_pylist()]


def shout(batches: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        tally.count("words", batch.num_rows)
        yield pa.record_batch([[word.upper() for word in batch.column("word").to_pylist()]], schema=SCHEMA)


def test_counters_of_the_function_and_of_the_stage_before_end_beside_the_records():
    words = pa.record_batch({"word": ["a", "b"]}), pa.record_batch({"word": ["c"]})
    once = map_batches(Partition(*words), shout, SCHEMA)
    twice = map_batches(once, shout, SCHEMA)
    for frame, counted in ((once, [3]), (twice, [3, 3])):
        records = [row for row in frame.rows() if row["_counter"] is None]
        assert [row["word"] for row in records] == ["A", "B", "C"]
        counters = [row for row in frame.rows() if row["_counter"] is not None]
        assert [(row["_counter"], row["_n"]) for row in counters] == [("count.words", n) for n in counted]
        assert {row["word"] for row in counters} == {None}


def set_aside(rows: Iterator[dict], tally: Tally) -> Iterator[dict]:
    for row in rows:
        tally.quarantine(where=f"a.txt:{row['word']}", reason="bad", text="x" * 50_000)
        yield from ()


def test_of_much_bad_input_a_bounded_sample_is_kept_whatever_the_partitions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of another kind may be bad in every line; the count stays exact."""
    monkeypatch.setattr("kgcorpus.contracts.tally.MOST_NOTES", 1_500)
    lines = [pa.record_batch({"word": [str(n) for n in range(k, 5_000, 4)]}) for k in range(4)]
    one = map_rows(Partition(*lines), set_aside, SCHEMA)
    parts = [map_rows(Partition(line), set_aside, SCHEMA) for line in lines]
    many = map_rows(Partition(*(batch for part in parts for batch in part.batches)), set_aside, SCHEMA)
    kept = []
    for frame in (one, many):
        assert max(batch.num_rows for batch in frame.batches) <= 1_000
        assert sum(row["_n"] for row in frame.rows() if row["_counter"] == "drop.bad_input") == 5_000
        kept.append([row["_note"] for row in frame.rows() if row["_counter"] == QUARANTINE])
    assert kept[0] == kept[1]
    assert len(kept[0]) == 1_500
    assert all(len(note) < 2_000 for note in kept[0])


def test_a_batch_of_rows_is_bounded_by_their_links_too() -> None:
    schema = pa.schema([("text", pa.string()), ("links", pa.list_(pa.int32()))])

    def pages(rows: Iterator[dict], tally: Tally) -> Iterator[dict]:
        for _ in rows:
            yield {"text": "", "links": [0] * 50_000}

    found = map_rows(Partition(pa.record_batch({"word": ["a"] * 20})), pages, schema)
    assert sum(batch.num_rows for batch in found.batches) == 20
    assert max(batch.num_rows for batch in found.batches) == 3


def test_a_group_may_be_left_half_read() -> None:
    class Sorted(Partition):
        def repartition(self, *by: str) -> "Sorted":
            return self

        sortWithinPartitions = repartition

    def first(rows: Iterator[dict], tally: Tally) -> Iterator[dict]:
        yield next(rows)

    words = Sorted(pa.record_batch({"word": ["a", "a"]}), pa.record_batch({"word": ["a", "b"]}))
    found = stream_groups(words, ["word"], first, SCHEMA)
    assert [row["word"] for row in found.rows()] == ["a", "b"]


def test_nothing_in_nothing_out():
    assert map_batches(Partition(), shout, SCHEMA).rows() == []
