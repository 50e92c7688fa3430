"""Conversion of a failed Spark job's exception into one error that a user can act on."""

import contextlib
import logging
import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from kgcorpus.contracts import errors
from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, KgcorpusError, as_error
from kgcorpus.contracts.manifest import File
from kgcorpus.contracts.secrets import redact
from kgcorpus.contracts.store import sha256_of

log = logging.getLogger(__name__)
# A worker's exceptions, an executor's, and those of a JVM that went away.
SPARK_FAILURES = (PySparkException, Py4JError, ConnectionError)
_RAISED = re.compile(r"kgcorpus\.contracts\.errors\.(\w+): (.*)")
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large")
_WORKER_DIED = re.compile(r"Python worker exited unexpectedly|MemoryError|ExecutorLostFailure")
_JVM_GONE = re.compile(r"Answer from Java side is empty|Connection refused|while sending or receiving")
_FRAME = re.compile(r"\s|at |Traceback|An error occurred while calling|An exception was thrown from")


@contextlib.contextmanager
def redacted_errors() -> Iterator[None]:
    """Replace an error that holds a secret, in its text or its causes, by one without: Spark logs traces."""
    try:
        yield
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        if redact(trace) == trace:
            raise
        shown = as_error(error)
        raise type(shown)(redact(shown.what), where=redact(shown.where), hint=redact(shown.hint)) from None


def translated(error: Exception, stage: str, *, out: Path, inputs: Sequence[File]) -> KgcorpusError:
    """The error to show.

    Args:
        error: one of `SPARK_FAILURES`.
        stage: the failed stage.
        out: the build's folder.
        inputs: the files that the stage read; they are hashed to find damage.
    """
    log.debug("stage %s", stage, exc_info=error)
    text = str(error)
    if match := _RAISED.search(text):
        kind: type[KgcorpusError] = getattr(errors, match[1], KgcorpusError)
        return kind(match[2], where=stage)
    if full := _DISK_FULL.search(text):
        return EnvironmentLacksError(
            f"the disk is full ({full[0]})",
            where=stage,
            hint=f"Free space for {out} and for Spark's scratch (SPARK_LOCAL_DIRS, else the temporary "
            "folder), then run the same command",
        )
    for file in inputs:
        if sha256_of(out / file.path) != file.sha256:
            return InputError(
                "its bytes are not those that the manifest names",
                where=str(out / file.path),
                hint=f"Delete it and run the same command: {stage} needs it, and it is built again",
            )
    if _WORKER_DIED.search(text):
        return EnvironmentLacksError(
            "a worker died, most often for lack of memory",
            where=stage,
            hint="Raise spark.memory or spark.partitions, then run the same command",
        )
    if isinstance(error, ConnectionError) or _JVM_GONE.search(text):
        return EnvironmentLacksError(
            "Spark's JVM is gone",
            where=stage,
            hint=f"See {out / 'spark.log'}; if it lacked memory, raise spark.memory",
        )
    return KgcorpusError(
        f"Spark failed: {_said(text)}", where=stage, hint="Run with --debug for the whole trace"
    )


def _said(text: str) -> str:
    """The first line that is not part of a stack trace."""
    lines = [line for line in text.strip().splitlines() if line and not _FRAME.match(line)]
    return lines[0].lstrip(": ") if lines else text.split("\n", 1)[0]
