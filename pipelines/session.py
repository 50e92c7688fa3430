"""The Spark session of a build. A submitted master and conf win over the configuration's `spark` section."""

import contextlib
import logging
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from kgcorpus.config import SparkConfig
from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.contracts.links import open_to_append
from kgcorpus.contracts.secrets import is_secret
from kgcorpus.contracts.signals import killing_children
from kgcorpus.java import find_java

_log = logging.getLogger(__name__)
_LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# Its libraries alone are some 300 files.
_FEWEST_OPEN_FILES = 512
_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_QUIET = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}"
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    # A page may be 2 MB; small batches bound a worker's memory.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(64 << 20),
}


def create_session(config: SparkConfig, *, log: Path | None = None) -> SparkSession:
    """Start Spark, or take the session that spark-submit prepared.

    Args:
        log: where the JVM's and its workers' own words go; a terminal is for the build's.

    Raises:
        EnvironmentLacksError: no Java 17 or newer is to be found, or Spark does not start.
    """
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    _allow_open_files()
    builder = SparkSession.builder.appName("kgcorpus")
    settings = {**_ALWAYS, "spark.sql.shuffle.partitions": str(config.partitions)}
    if not submitted:
        os.environ["JAVA_HOME"] = str(find_java().home)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        # Workers otherwise take python3 from PATH.
        os.environ["PYSPARK_PYTHON"] = sys.executable
        builder = builder.master(config.master)
        settings |= {**_LOCAL, "spark.driver.memory": config.memory, **config.conf}
        # A user's own folder of settings may have Java options, which those given here would replace.
        if "SPARK_CONF_DIR" not in os.environ:
            settings[_JAVA_OPTIONS] = f"{_QUIET} {settings.get(_JAVA_OPTIONS, '')}".rstrip()
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        with (
            _output_to(log) if log and not submitted else contextlib.nullcontext(),
            killing_children(),
            _without_working_directory(),
        ):
            _start_java({key: value for key, value in settings.items() if not _is_hidden(key, value)})
            session = builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise EnvironmentLacksError(
            "Spark does not start",
            where=f"master {config.master}",
            hint="Correct spark.master, spark.memory or spark.conf"
            + (f"; Spark's own words are in {log}" if log and not submitted else ""),
        ) from error
    # A JVM that dies breaks its connection to the accumulators off, and socketserver would print a trace.
    server: Any = session.sparkContext._accumulatorServer
    server.handle_error = _logged
    return session


@contextlib.contextmanager
def _without_working_directory() -> Iterator[None]:
    """Start Java so that Spark's workers import no module of the working directory, unless this process does.

    Spark starts them by `python -m`, which puts the directory first on the path. It may be a corpus of
    others, and a file `pyspark.py` in it would run as code.
    """
    trusted = {"", "."}
    with contextlib.suppress(FileNotFoundError):
        trusted.add(os.getcwd())
    if trusted & set(sys.path) or "PYTHONSAFEPATH" in os.environ:
        yield
        return
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        del os.environ["PYTHONSAFEPATH"]


def _allow_open_files() -> None:
    """Raise the soft limit of open files to the hard one, which Spark's JVM inherits.

    Raises:
        EnvironmentLacksError: the hard limit is too low for Spark.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FEWEST_OPEN_FILES:
        raise EnvironmentLacksError(
            f"{hard} files may be open at once, Spark needs {_FEWEST_OPEN_FILES}",
            where="ulimit -n",
            hint=f"Raise it: ulimit -n {4 * _FEWEST_OPEN_FILES}",
        )
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _is_hidden(key: str, value: str) -> bool:
    """Whether a setting stays off the JVM's command line, which all users of the machine can read."""
    return key.startswith("spark.hadoop.") or is_secret(key, value)


def _start_java(settings: Mapping[str, str]) -> None:
    """Start the JVM, unless one is there; the session's other settings reach it through its connection."""
    conf = SparkConf(loadDefaults=False)
    for key, value in settings.items():
        conf.set(key, value)
    SparkContext._ensure_initialized(conf=conf)


def _logged(request: object, address: object) -> None:
    _log.debug("the JVM's connection from %s broke", address, exc_info=True)


@contextlib.contextmanager
def _output_to(file: Path) -> Iterator[None]:
    """What is started inside inherits the file as its stdout and stderr; this process has its own back after.

    The reader of this process's stdout may have gone (`| head`), and Java would end at its first word.
    """
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    try:
        with open_to_append(file) as stream:
            for number in saved:
                os.dup2(stream.fileno(), number)
        yield
    finally:
        for number, own in saved.items():
            os.dup2(own, number)
            os.close(own)
