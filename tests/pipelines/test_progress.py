"""Where the counts of a build's progress come from."""

import bz2
import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.meter import meter
from kgcorpus.inputs import open_input, part_lines, split_file
from kgcorpus.report.progress import Counts
from pipelines.bound import bind
from pipelines.execute import stage_counts
from pipelines.session import count_tasks
from pipelines.source_digests import SourceDigests
from pipelines.spark_functions import map_rows
from pipelines.stage_times import StageTime, expected_seconds, read_times, source_bytes
from pipelines.worker_counts import collecting, counted


@pytest.mark.parametrize(
    ("time", "size", "seconds"),
    [
        (None, 100, None),
        (StageTime(10, 4, 50), 100, 20),
        (StageTime(10, 4, 0), 100, 10),
        (StageTime(10, 4, 50), 0, 10),
    ],
)
def test_the_last_time_is_scaled_by_the_bytes_of_the_sources(
    time: StageTime | None, size: int, seconds: float | None
) -> None:
    assert expected_seconds(time, size) == seconds


@pytest.mark.parametrize(
    "times",
    [
        "",
        "[]",
        "{}",
        '{"times": 1}',
        '{"times": {"triples": {"seconds": -1, "tasks": 1, "source_bytes": 1}}}',
    ],
)
def test_times_that_cannot_be_read_are_unknown(tmp_path: Path, times: str) -> None:
    (tmp_path / "run.json").write_text(times)
    assert read_times(tmp_path) == {}


def test_times_of_one_stage_survive_damage_to_another(tmp_path: Path) -> None:
    good = {"seconds": 1.5, "tasks": 3, "source_bytes": 9}
    (tmp_path / "run.json").write_text(json.dumps({"times": {"triples": good, "cycles": {"seconds": "x"}}}))
    assert read_times(tmp_path) == {"triples": StageTime(1.5, 3, 9)}


def test_a_stage_counts_the_bytes_of_all_files_that_it_is_made_from(tmp_path: Path) -> None:
    (tmp_path / "triples.txt").write_text("Q1\tP1\tQ2\n")
    (tmp_path / "relations.txt").write_text("P1\ten\tpart of\n")
    graph = {name: [str(tmp_path / f"{name}.txt")] for name in ("triples", "relations")}
    stages = bind(BuildConfig.model_validate({"graph": graph}))
    sizes = source_bytes(stages, SourceDigests(tmp_path))
    assert sizes["triples"] == sizes["cycles"] == 9
    assert sizes["relations"] == 14


def test_only_what_was_not_hashed_before_is_to_be_hashed(tmp_path: Path) -> None:
    (tmp_path / "triples.txt").write_text("Q1\tP1\tQ2\n")
    bound = bind(BuildConfig.model_validate({"graph": {"triples": [str(tmp_path / "triples.txt")]}}))
    digests = SourceDigests(tmp_path)
    sources = bound["triples"].sources
    assert digests.bytes_to_hash(sources) == 9
    before = meter.bytes
    digests.digest(sources[0])
    assert meter.bytes - before == 9
    assert digests.bytes_to_hash(sources) == 0
    (tmp_path / "triples.txt").unlink()
    assert digests.bytes_to_hash(sources) == 0


def test_a_worker_leaves_its_rows_and_bytes_until_the_stage_is_over(tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_bytes(b"x" * 30_000)
    batch = pa.record_batch({"n": [1, 2, 3]})

    def work(batches: Any) -> Any:
        with open_input(str(tmp_path / "input.txt")) as stream:
            stream.read()
        yield from batches

    assert counted(work) is work
    with collecting(tmp_path / "counts") as total:
        run = counted(work)
        assert total() == (0, 0)
        assert list(run(iter([batch, batch]))) == [batch, batch]
        assert total() == (6, 30_000)
        # A file that is just being written keeps its former counts.
        (left,) = (tmp_path / "counts").iterdir()
        left.write_text("")
        assert total() == (6, 30_000)
        left.unlink()
        (tmp_path / "counts").rmdir()
        assert list(run(iter([batch]))) == [batch]
    meter.report_to(lambda: None)


def test_a_file_that_the_driver_scans_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgcorpus.inputs.parts.PART_BYTES", 100_000)
    path = tmp_path / "input.bz2"
    path.write_bytes(b"".join(bz2.compress(random.Random(n).randbytes(20_000) + b"\n") for n in range(20)))
    size, tasks = path.stat().st_size, Counts()
    with collecting(tmp_path / "counts") as workers:
        counts = stage_counts(lambda: tasks, workers)
        parts = split_file(str(path), parts=2)
        assert len(parts) > 1
        assert counts() == Counts(bytes=size, doing="preparing")
        tasks = Counts(active=2, total=2)
        assert counts() == tasks

        def read(batches: Any) -> Any:
            for part in parts:
                assert len(list(part_lines(part))) > 1
            yield from batches

        list(counted(read)(iter([pa.record_batch({"n": [1]})])))
        found = counts()
        # Neighbouring parts read the block at their border.
        assert (found.rows, found.doing) == (1, "")
        assert size <= found.bytes <= 1.4 * size
    meter.report_to(lambda: None)


@pytest.mark.slow
def test_the_tasks_of_sparks_stages_are_counted(spark: Any) -> None:
    count = count_tasks(spark, "numbers")
    assert count().total is None
    schema = pa.schema([("id", pa.int64())])
    rows = map_rows(spark.range(0, 100, 1, 3), lambda rows, tally: rows, schema)
    rows.where("id is not null").repartition(2, "id").collect()
    found = count()
    assert (found.done, found.active, found.total) == (5, 0, 5)
    # Jobs of what was counted before are not counted again.
    assert count_tasks(spark, "numbers")().total is None


def test_spark_connect_passes_them_to_a_handler() -> None:
    handlers: list[Any] = []
    session = SimpleNamespace(clearProgressHandlers=handlers.clear, registerProgressHandler=handlers.append)
    count = count_tasks(session, "numbers")  # type: ignore[arg-type]

    def stage(number: int, done: int, tasks: int) -> SimpleNamespace:
        return SimpleNamespace(
            stage_id=number, num_tasks=tasks, num_completed_tasks=done, num_bytes_read=0, done=done == tasks
        )

    (handler,) = handlers

    def tell(stages: list[SimpleNamespace] | None, running: int, *, done: bool = False) -> None:
        # Spark calls a handler by these names.
        handler(stages=stages, inflight_tasks=running, operation_id="operation", done=done)

    assert count().total is None
    tell([stage(1, 1, 3)], 2)
    assert (count().done, count().active, count().total) == (1, 2, 3)
    tell([stage(1, 3, 3), stage(2, 1, 4)], 1)
    tell(None, 0, done=True)
    assert (count().done, count().active, count().total) == (4, 1, 7)


def test_without_counts_of_spark_shards_are_counted() -> None:
    class Bare:
        @property
        def sparkContext(self) -> None:
            raise NotImplementedError

    assert count_tasks(Bare(), "numbers")() is None  # type: ignore[arg-type]
