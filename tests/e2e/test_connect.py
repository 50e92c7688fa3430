"""Spark Connect: code and libraries travel to a server that has neither, and the bytes are the same."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from kgcorpus.java import find_java
from tests.e2e.cluster import free_port
from tests.e2e.commands import sets
from tests.e2e.test_spark_versions import tables
from tests.second_environment import second_environment
from tests.torture.kills import kill_tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# Files, shuffles, joins, aggregates, and frames that are stored and read by several jobs.
TARGETS = ("surfaces", "linked_sentences")
# It has no libraries.
BARE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
_SERVER = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql.connect.client.core import DefaultChannelBuilder
spark = SparkSession.builder.remote("local[1]").config("spark.ui.enabled", "false").getOrCreate()
print("server", DefaultChannelBuilder.default_port(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def client() -> Path:
    """A Python with the libraries of Connect, beside those of the tests."""
    grpc = f"grpcio-status=={version('grpcio')}"
    return second_environment("spark-connect", "--no-deps", grpc, "googleapis-common-protos", "zstandard")


@pytest.fixture(scope="module")
def server(client: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server whose workers start in a Python without libraries."""
    environ = {
        **os.environ,
        "JAVA_HOME": str(find_java().home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_TESTING": "1",  # a free port instead of 15002
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": "token",
        "PYSPARK_PYTHON": str(BARE),
    }
    folder = tmp_path_factory.mktemp("server")
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [client, "-c", _SERVER],
            env=environ,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            assert running.stdout
            # Java writes there, too.
            lines = (line.decode().split() for line in running.stdout)
            port = next((words[1] for words in lines if words[:1] == ["server"]), None)
            assert port, (folder / "log").read_text()
            # Elsewhere than on localhost, a token needs TLS.
            yield f"sc://localhost:{port}/;token=token"
        finally:
            kill_tree(running.pid)
            running.wait()


def environment(folder: Path) -> Path:
    """An archive with a Python that has the libraries and not our code; a launcher stands for a whole one."""
    libraries = next(place for place in sys.path if (Path(place) / "pyarrow").is_dir())
    launcher = folder / "python"
    # -S: the links of an editable installation are not followed.
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{libraries}" exec {BARE} -S "$@"\n')
    launcher.chmod(0o755)
    archive = folder / "environment.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(launcher, "bin/python")
    return archive


def build(client: Path, url: str, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    archives = f"spark.archives: '{environment(out.parent)}#environment'"
    conf = f"spark.conf={{{archives}, spark.pyspark.python: environment/bin/python}}"
    line = [client, "-m", "kgcorpus", "build-corpus", *words, "--out", out]
    return subprocess.run(
        [*line, *sets(f"spark.master={url}", conf)], capture_output=True, text=True, check=False
    )


def test_a_server_without_our_code_builds_the_same_bytes(
    client: Path, server: str, built: Path, tmp_path: Path
) -> None:
    done = build(client, server, tmp_path / "out", *TARGETS, *sets("spark.partitions=2"))
    assert done.returncode == 0, done.stderr
    made, known = tables(tmp_path / "out"), tables(built)
    assert set(TARGETS) < set(made)
    assert made == {name: known[name] for name in made}


def test_a_bad_input_is_one_line(client: Path, server: str, tmp_path: Path) -> None:
    (tmp_path / "triples.txt").write_text("Q1\tP1\tQ2\n" * 20_000 + "Q2\tP1\n")
    (tmp_path / "my.yaml").write_text(f"graph: {{triples: ['{tmp_path}/triples.txt']}}\n")
    done = build(client, server, tmp_path / "out", "triples", "--config", str(tmp_path / "my.yaml"))
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    (error,) = (line for line in done.stderr.splitlines() if line.startswith("error:"))
    assert "triples.txt:20001: a triple (h, r, t) has at least 3 tab-separated columns, here 2" in error


def test_no_server_is_reported_at_once(client: Path, tmp_path: Path) -> None:
    done = build(client, f"sc://127.0.0.1:{free_port()}", tmp_path / "out", "triples")
    assert done.returncode == 4
    assert "no server listens there" in done.stderr
