"""A build on a real cluster gives the CLI's bytes, also when a worker dies in the middle."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from tests.e2e.cluster import BIN, Cluster, cluster, environment, wait_for_workers
from tests.e2e.commands import bytes_of, sets
from tests.torture.kills import kill_tree

DOCKER = Path(__file__).parents[2] / "docker"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


def test_the_printed_line_gives_the_bytes_of_the_command(
    running: Cluster, built: Path, tmp_path: Path
) -> None:
    # All paths are relative to where the line is given; an executor's working directory is another.
    world = Path(str(files("kgcorpus.demo")))
    shutil.copytree(world / "world", tmp_path / "world")
    shutil.copytree(built / "world", tmp_path / "dumps")
    shutil.copy(world / "config.yaml", tmp_path / "my.yaml")
    out = tmp_path / "OUT"
    words = ("--config", "my.yaml", "--out", "OUT", *sets("spark.partitions=3", "spark.colours=3"))
    done = running.submit(*words, cwd=tmp_path, WORLD="world", DUMPS="dumps")
    said, _ = done.communicate()
    assert done.returncode == 0, said
    assert bytes_of(out) == bytes_of(built)
    # The names were mapped from files that the executors share, and the graph's parts are gone.
    assert len(list((out / "cache" / "names").iterdir())) == 2
    assert not (out / "scratch").exists()


def test_a_fault_on_the_cluster_ends_in_one_clear_line(running: Cluster, tmp_path: Path) -> None:
    (tmp_path / "triples.txt").write_text("Q1\tP1\tQ2\nQ2\tP1\n")
    (tmp_path / "my.yaml").write_text("graph: {triples: [triples.txt]}\n")
    job = running.submit("triples", "--config", "my.yaml", "--out", "OUT", cwd=tmp_path)
    # spark-submit puts a Python driver's stderr on stdout.
    said = "".join(job.communicate())
    assert job.returncode == 3, said
    assert "Traceback" not in said
    (error,) = (line for line in said.splitlines() if line.startswith("error:"))
    assert "triples.txt:2: a triple (h, r, t) has at least 3 tab-separated columns, here 2" in error


def test_a_worker_of_compose_starts_where_spark_s_folder_cannot_be_written(
    running: Cluster, tmp_path: Path
) -> None:
    home = tmp_path / "spark"
    home.mkdir()
    for path in BIN.parent.iterdir():
        (home / path.name).symlink_to(path)
    # A worker without a folder of its own makes this one, or ends; a file stops root as well.
    (home / "work").write_text("")
    image = (DOCKER / "spark.Dockerfile").read_text()
    (folder,) = re.findall(r"SPARK_WORKER_DIR=(\S+)", image)
    variables = {"SPARK_HOME": str(home), "SPARK_WORKER_DIR": str(tmp_path / Path(folder).name)}
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    program, *words, _ = services["worker"]["command"]
    line = [BIN / program, *words, running.master]
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(line, env=environment() | variables, stdout=log, stderr=log, cwd=tmp_path)
    try:
        wait_for_workers(running.web, 3)
    finally:
        kill_tree(worker.pid)
        worker.wait()


def test_a_worker_killed_while_cycles_are_mined_changes_nothing(
    running: Cluster, built: Path, tmp_path: Path
) -> None:
    out = tmp_path / "OUT"
    words = ("cycles", "--out", "OUT", *sets("spark.partitions=2", "spark.colours=4"))
    job = running.submit(*words, cwd=tmp_path)
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
