"""A standalone Spark cluster on loopback: a master and two workers in processes of their own."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyspark

from kgcorpus.java import find_java
from tests.torture.kills import kill_tree

LIMIT = 120.0
_BIN = Path(pyspark.__file__).parent / "bin"


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    master: str
    workers: list[subprocess.Popen[bytes]]

    def submit(self, main: Path, *words: str | Path, code: Path | None = None) -> subprocess.Popen[str]:
        """Start spark-submit with the line that `kgcorpus package` prints for --py-files."""
        options = ["--master", self.master, "--executor-memory", "800m", "--executor-cores", "1"]
        options += ["--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1"]
        options += ["--py-files", str(code)] if code else []
        return subprocess.Popen(
            [_BIN / "spark-submit", *options, main, *words],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "JAVA_HOME": str(find_java().home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a master and two workers of one core each; all that they started is killed in the end."""
    port, web = free_port(), free_port()
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, role: str, *words: str) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("wb") as log:
            line = [
                str(_BIN / "spark-class"),
                f"org.apache.spark.deploy.{role}",
                "--host",
                "127.0.0.1",
                *words,
            ]
            process = subprocess.Popen(line, env=environment(), stdout=log, stderr=log, cwd=folder)
        started.append(process)
        return process

    master = f"spark://127.0.0.1:{port}"
    try:
        start("master", "master.Master", "--port", str(port), "--webui-port", str(web))
        workers = [
            start(
                f"worker{i}", "worker.Worker", "--cores", "1", "--memory", "1g", "--work-dir",
                str(folder / f"work{i}"), "--webui-port", str(free_port()), master,
            )
            for i in range(2)
        ]  # fmt: skip
        _wait_for_workers(web, 2)
        yield Cluster(master, workers)
    finally:
        for process in started:
            kill_tree(process.pid)
            process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for_workers(web: int, n: int) -> None:
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{web}/json/") as answer:
            if json.load(answer)["aliveworkers"] == n:
                return
        time.sleep(0.5)
    raise TimeoutError("the workers did not come")
