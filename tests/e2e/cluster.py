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
from kgcorpus.package import make_package, submit_command
from tests.torture.kills import kill_tree

LIMIT = 120.0
_SETTINGS = """\
spark.executor.memory 800m
spark.executor.cores 1
spark.ui.enabled false
spark.driver.host 127.0.0.1
"""
BIN = Path(pyspark.__file__).parent / "bin"


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        master: its URL.
        workers: their processes.
        web: the port where the master tells of itself.
        settings: a folder of Spark's settings for those who submit.
    """

    master: str
    workers: list[subprocess.Popen[bytes]]
    web: int
    settings: Path

    def submit(self, *words: str | Path, cwd: Path, **variables: str) -> subprocess.Popen[str]:
        """Package for --py-files into a folder of `cwd`, and give a shell there the line that is printed."""
        with contextlib.chdir(cwd):
            package = make_package(Path("package"))
        line = submit_command(
            package,
            environment="py-files",
            master=self.master,
            image="",
            arguments=[str(word) for word in words],
        )
        # What is this machine's own stands in Spark's settings, not in the line.
        own = {"SPARK_CONF_DIR": str(self.settings), **variables}
        return subprocess.Popen(
            ["/bin/sh", "-c", line],
            cwd=cwd,
            env=environment() | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def environment() -> dict[str, str]:
    """Of every node: `python3` and `spark-submit` are those that run the tests."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "JAVA_HOME": str(find_java().home),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def without(hidden: Path) -> list[str]:
    """The begin of a command line whose processes find this folder empty: a mount namespace of their own."""
    return [
        *("unshare", "--map-root-user", "--mount"),
        *("/bin/sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden)),
    ]


@contextlib.contextmanager
def cluster(folder: Path, *, hidden: Path | None = None, **variables: str) -> Iterator[Cluster]:
    """Start a master and two workers of one core each; all that they started is killed in the end.

    Args:
        hidden: a folder that the workers and their executors do not see.
        variables: of the workers' environment.
    """
    port, web = free_port(), free_port()
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, role: str, *words: str) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("wb") as log:
            line = [
                str(BIN / "spark-class"),
                f"org.apache.spark.deploy.{role}",
                "--host",
                "127.0.0.1",
                *words,
            ]
            if hidden and role == "worker.Worker":
                line = [*without(hidden), *line]
            process = subprocess.Popen(
                line, env=environment() | variables, stdout=log, stderr=log, cwd=folder
            )
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
        wait_for_workers(web, 2)
        settings = folder / "conf"
        settings.mkdir()
        (settings / "spark-defaults.conf").write_text(_SETTINGS)
        yield Cluster(master, workers, web, settings)
    finally:
        for process in started:
            kill_tree(process.pid)
            process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_workers(web: int, n: int) -> None:
    """Return when the master at this port counts `n` workers."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{web}/json/") as answer:
            if json.load(answer)["aliveworkers"] == n:
                return
        time.sleep(0.5)
    raise TimeoutError("the workers did not come")
