"""The Spark session of a build. A submitted master and conf win over the configuration's `spark` section.

No other module uses a SparkContext, which sessions of Spark Connect lack.
"""

import contextlib
import logging
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from kgcorpus.config import SparkConfig
from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.contracts.links import open_to_append
from kgcorpus.contracts.secrets import is_secret
from kgcorpus.contracts.signals import killing_children
from kgcorpus.java import find_java
from kgcorpus.report.progress import Counts
from pipelines.connect import connect, server_url

_log = logging.getLogger(__name__)
_LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# Its libraries are about 300 files.
_FEWEST_OPEN_FILES = 512
_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_QUIET = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}"
# Of a local master, whose JVM plans, and moves packed keys between workers. With the optimising compiler
# half of the JVM's CPU time was compilation, even in builds of some minutes. A user's own options win.
_BRIEF_COMPILATION = "-XX:TieredStopAtLevel=1"
# Of a heap of up to 8 GiB: less CPU time, and the heap grows only as far as it is used. Java refuses two
# collectors, so it is left out where a user names one.
_ONE_COLLECTOR = "-XX:+UseSerialGC"
_SMALL_HEAP = re.compile(r"[1-8]g|\d{1,3}m|[1-7]\d{3}m", re.IGNORECASE)
_OPTIONS_OF_JAVA = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    # Spark 3.5 has it off by default: it would turn a bad cast or index into null.
    "spark.sql.ansi.enabled": "true",
    # A page may be 2 MB; small batches bound a worker's memory.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(64 << 20),
}


def create_session(config: SparkConfig, *, log: Path | None = None) -> SparkSession:
    """Start Spark, take the session that spark-submit prepared, or connect to a server of Spark Connect.

    Args:
        log: where the JVM's and its workers' own words go; a terminal is for the build's.

    Raises:
        EnvironmentLacksError: this Spark finds no Java that it supports, or Spark does not start.
    """
    settings = {**_ALWAYS, "spark.sql.shuffle.partitions": str(config.partitions)}
    if url := server_url(config.master):
        return connect(url, settings, config.conf)
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    _allow_open_files()
    builder = SparkSession.builder.appName("kgcorpus")
    if not submitted:
        os.environ["JAVA_HOME"] = str(find_java().home)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        # Workers otherwise take python3 from PATH.
        os.environ["PYSPARK_PYTHON"] = sys.executable
        builder = builder.master(config.master)
        settings |= {**_LOCAL, "spark.driver.memory": config.memory, **config.conf}
        # A user's own folder of settings may have Java options, which those given here would replace.
        if "SPARK_CONF_DIR" not in os.environ:
            settings[_JAVA_OPTIONS] = java_options(config.master, settings)
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        with (
            killing_children(),
            _without_working_directory(),
        ):
            shown = {key: value for key, value in settings.items() if not _is_hidden(key, value)}
            _start_java(shown, log=None if submitted else log)
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


def java_options(master: str, settings: Mapping[str, str]) -> str:
    """Return the options of the JVM that is started: brief compilation with a local master, then the user's.

    Args:
        settings: Spark's, with `spark.driver.memory`.
    """
    own = settings.get(_JAVA_OPTIONS, "")
    options = [_QUIET]
    if master.partition("[")[0] == "local":
        options.append(_BRIEF_COMPILATION)
        given = " ".join([own, *(os.environ.get(name, "") for name in _OPTIONS_OF_JAVA)])
        if _SMALL_HEAP.fullmatch(settings["spark.driver.memory"]) and "GC" not in given:
            options.append(_ONE_COLLECTOR)
    return " ".join([*options, own]).rstrip()


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


def _start_java(settings: Mapping[str, str], *, log: Path | None) -> None:
    """Start the JVM, unless one is there; the session's other settings reach it through its connection.

    Args:
        log: the file to which the JVM and its workers write. The reader of this process's stdout may have
            gone (`| head`), which would end Java at its first word.
    """
    if SparkContext._gateway is not None:
        return
    conf = SparkConf(loadDefaults=False)
    for key, value in settings.items():
        conf.set(key, value)
    with open_to_append(log) if log else contextlib.nullcontext() as stream:
        streams = {"stdout": stream, "stderr": stream} if stream else None
        SparkContext._ensure_initialized(gateway=launch_gateway(conf, streams))


def _logged(request: object, address: object) -> None:
    _log.debug("the JVM's connection from %s broke", address, exc_info=True)


def cores_of(session: SparkSession) -> int | None:
    """Return how many tasks run at once; None where Spark does not say, as through Spark Connect."""
    try:
        return session.sparkContext.defaultParallelism
    except (AttributeError, NotImplementedError, PySparkException):
        return None


def is_on_one_machine(session: SparkSession) -> bool:
    """Whether the workers are processes of this machine that see its disk (master `local` or `local[N]`)."""
    try:
        master = str(session.sparkContext.master)
    except (AttributeError, NotImplementedError, PySparkException):
        # Spark Connect.
        return False
    return master.partition("[")[0] == "local"


def count_tasks(session: SparkSession, name: str) -> Callable[[], Counts | None]:
    """Count the tasks of the jobs that this thread starts from now on.

    Args:
        name: what the jobs do; Spark's own interface shows it.

    Returns:
        A function that returns the tasks of the Spark stages started so far, which may grow: Spark plans the
        next stage when one has ended. It returns None where Spark offers no counts.
    """
    known: dict[int, Counts] = {}

    def total() -> Counts:
        found = list(known.values())
        return Counts(
            done=sum(one.done for one in found),
            active=sum(one.active for one in found),
            total=sum(one.total or 0 for one in found) or None,
        )

    def update(
        stages: Iterable[Any] | None, inflight_tasks: int, operation_id: str | None, done: bool
    ) -> None:
        """Spark Connect calls it during each action, with these names."""
        for info in stages or ():
            active = 0 if info.done else min(inflight_tasks, info.num_tasks - info.num_completed_tasks)
            known[info.stage_id] = Counts(done=info.num_completed_tasks, active=active, total=info.num_tasks)

    try:
        # Spark Connect from 4.0 on; it has no context.
        session.clearProgressHandlers()
        session.registerProgressHandler(cast(Any, update))
        return total
    except (AttributeError, PySparkException):
        pass
    try:
        context = session.sparkContext
    except (AttributeError, NotImplementedError, PySparkException):
        return lambda: None
    # The same stage may run twice in one process.
    group = f"{name} {time.monotonic_ns()}"
    context.setJobGroup(group, name)
    tracker = context.statusTracker()
    ended: set[int] = set()

    def ask() -> Counts:
        for job in tracker.getJobIdsForGroup(group):
            if job in ended or (found := tracker.getJobInfo(job)) is None:
                continue
            for stage in found.stageIds:
                info = tracker.getStageInfo(stage)
                # A stage whose output is there already never starts, and stays in its job's list.
                if info and (info.numActiveTasks or info.numCompletedTasks):
                    known[stage] = Counts(
                        done=info.numCompletedTasks, active=info.numActiveTasks, total=info.numTasks
                    )
            if found.status in ("SUCCEEDED", "FAILED"):
                ended.add(job)
        return total()

    return ask
