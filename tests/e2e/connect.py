"""A server of Spark Connect whose workers have neither our code nor the libraries, and builds on it."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

from kgcorpus.java import find_java
from tests.e2e.commands import sets
from tests.second_environment import second_environment
from tests.torture.kills import kill_tree

# It has no libraries.
BARE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
# It prints its port, and for each line that it reads the number of its sessions, of which one is its own.
_SERVER = """
import sys
from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql.connect.client.core import DefaultChannelBuilder
spark = SparkSession.builder.remote("local[1]").config("spark.ui.enabled", "false").getOrCreate()
print("server", DefaultChannelBuilder.default_port(), flush=True)
spark.range(1).count()
package = SparkContext._gateway.jvm.org.apache.spark.sql.connect.service
manager = getattr(getattr(package, "SparkConnectService$"), "MODULE$").sessionManager()
for line in sys.stdin:
    print("sessions", manager.listActiveSessions().size() - 1, flush=True)
"""


@dataclass
class Server:
    """A server, and the Python of a client.

    Attributes:
        url: with its token.
    """

    url: str
    client: Path
    _stdin: IO[bytes]
    _stdout: Iterator[list[str]]

    def sessions(self) -> int:
        """How many sessions of clients it has."""
        self._stdin.write(b"\n")
        self._stdin.flush()
        return int(next(words[1] for words in self._stdout if words[:1] == ["sessions"]))

    def build(self, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run build-corpus on it, in processes whose libraries come from an archive."""
        return build(self.client, self.url, out, *words)


def connect_client() -> Path:
    """A Python with the libraries of Connect, beside those of the tests."""
    grpc = f"grpcio-status=={version('grpcio')}"
    return second_environment("spark-connect", "--no-deps", grpc, "googleapis-common-protos", "zstandard")


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start a server whose workers start in a Python without libraries."""
    client = connect_client()
    environ = {
        **os.environ,
        "JAVA_HOME": str(find_java().home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_TESTING": "1",  # a free port instead of 15002
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": "token",
        "PYSPARK_PYTHON": str(BARE),
    }
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
            assert running.stdin
            assert running.stdout
            # Java writes there, too.
            lines = (line.decode().split() for line in running.stdout)
            port = next((words[1] for words in lines if words[:1] == ["server"]), None)
            assert port, (folder / "log").read_text()
            # Elsewhere than on localhost, a token needs TLS.
            yield Server(f"sc://localhost:{port}/;token=token", client, running.stdin, lines)
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
    line: list[str | Path] = [client, "-m", "kgcorpus", "build-corpus", *words, "--out", out]
    return subprocess.run(
        [*line, *sets(f"spark.master={url}", conf)], capture_output=True, text=True, check=False
    )
