"""Spark Connect: our code and the libraries travel to a server in whose processes the stages run."""

import atexit
import contextlib
import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from weakref import WeakSet

from pyspark import __version__ as spark_version
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.package import write_code

_PORT = 15002
_SECONDS = 10
# Sessions whose server has our code.
_supplied: "WeakSet[SparkSession]" = WeakSet()


def server_url(master: str) -> str | None:
    """Return the server's URL: the variable SPARK_REMOTE, or a master `sc://...`. None means no Connect."""
    return os.environ.get("SPARK_REMOTE") or (master if master.startswith("sc://") else None)


def connect(url: str, settings: Mapping[str, str], conf: Mapping[str, str]) -> SparkSession:
    """Return the session of a server, with our code sent to it.

    Args:
        url: of `server_url`.
        settings: for every session.
        conf: `spark.conf` of the configuration. Of it, a session on a server takes `spark.sql.*`,
            `spark.archives` (sent to the server) and `spark.pyspark.python` (the workers' Python, which may
            be in an archive).

    Raises:
        EnvironmentLacksError: Spark is older than 4, lacks the libraries of Connect, or finds no server.
    """
    if spark_version.startswith("3."):
        raise EnvironmentLacksError(
            f"Spark Connect needs Spark 4, here is {spark_version}", where=url, hint="Install pyspark 4"
        )
    _require_open_port(url)
    # A server refuses a name.
    builder = SparkSession.builder
    if "SPARK_REMOTE" not in os.environ:
        builder = builder.remote(url)
    runtime = {key: value for key, value in conf.items() if key.startswith("spark.sql.")}
    if python := conf.get("spark.pyspark.python"):
        runtime["spark.sql.execution.pyspark.python"] = python
    try:
        for key, value in {**settings, **runtime}.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        if session not in _supplied:
            # From now on the server keeps our files and the results of plans for it.
            atexit.register(close, session, url)
            _send(session, conf.get("spark.archives", ""))
            _supplied.add(session)
    except ImportError as error:
        raise EnvironmentLacksError(
            "Spark Connect lacks a library",
            where=url,
            hint=f"Run: pip install 'pyspark[connect]=={spark_version}'",
        ) from error
    except PySparkException as error:
        raise EnvironmentLacksError(
            f"Spark Connect does not start ({' '.join(str(error).split())[:200]})",
            where=url,
            hint="Correct spark.master or SPARK_REMOTE, and start the server",
        ) from error
    return session


def close(session: SparkSession, url: str) -> None:
    """End a session on its server, which frees what it holds there; nothing if the server is gone."""
    with contextlib.suppress(EnvironmentLacksError, PySparkException):
        _require_open_port(url)
        session.stop()


def _require_open_port(url: str) -> None:
    """Report a port that nobody listens on at once: Connect's client would retry for ten minutes."""
    place = urlsplit(url)
    if place.scheme != "sc" or not place.hostname:
        return
    try:
        socket.create_connection((place.hostname, place.port or _PORT), timeout=_SECONDS).close()
    except ConnectionRefusedError:
        raise EnvironmentLacksError(
            "no server listens there", where=url, hint="Start it, or correct the URL"
        ) from None
    except OSError:
        pass  # There may be a way through a proxy.


def _send(session: SparkSession, archives: str) -> None:
    """Send our packages, and archives by path, `PATH#FOLDER` each, separated by commas."""
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "kgcorpus.zip"
        write_code(code)
        session.addArtifacts(str(code), pyfile=True)
    for archive in filter(None, archives.split(",")):
        session.addArtifacts(archive.strip(), archive=True)
