"""The batch kernel, over the iterators that Spark hands to `mapInArrow`."""

from collections.abc import Callable, Iterator

import pyarrow as pa

from kgcorpus.contracts.tally import Tally
from pipelines.kernels import map_batches

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


def test_nothing_in_nothing_out():
    assert map_batches(Partition(), shout, SCHEMA).rows() == []
