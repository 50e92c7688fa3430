"""A build on a real cluster gives the CLI's bytes, also when a worker dies in the middle."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgcorpus.package import make_package
from tests.e2e.cluster import Cluster, cluster
from tests.e2e.commands import bytes_of, sets
from tests.torture.kills import kill_tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


def test_spark_submit_gives_the_bytes_of_the_command(running: Cluster, built: Path, tmp_path: Path) -> None:
    made = make_package(tmp_path / "package")
    out = tmp_path / "OUT"
    done = running.submit(
        made.main, "--out", out, *sets("spark.partitions=3", "spark.colours=3"), code=made.code
    )
    said, _ = done.communicate()
    assert done.returncode == 0, said
    assert bytes_of(out) == bytes_of(built)
    # The names were mapped from files that the executors share, and the graph's parts are gone.
    assert len(list((out / "cache" / "names").iterdir())) == 2
    assert not (out / "scratch").exists()


def test_a_worker_killed_while_cycles_are_mined_changes_nothing(
    running: Cluster, built: Path, tmp_path: Path
) -> None:
    main = make_package(tmp_path / "package").main
    out = tmp_path / "OUT"
    words = ("cycles", "--out", out, *sets("spark.partitions=2", "spark.colours=4"))
    job = running.submit(main, *words)
    scratch = out / "scratch" / "cycles"
    while job.poll() is None and len(list(scratch.rglob("*.npy"))) < 10:
        time.sleep(0.01)
    assert job.poll() is None
    kill_tree(running.workers[0].pid)
    said, _ = job.communicate()
    assert job.returncode == 0, said
    tables = [
        json.loads((folder / "manifest.json").read_text())["tables"]["cycles"] for folder in (built, out)
    ]
    assert tables[0] == tables[1]
    assert not [path for path in (out / "tables").rglob("*") if path.suffix == ".tmp"]
