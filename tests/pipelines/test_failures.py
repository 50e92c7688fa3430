"""A failed job's cause, found in what Spark says."""

import hashlib
from pathlib import Path

import pytest
from pyspark.errors import PySparkException

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, KgcorpusError
from kgcorpus.contracts.manifest import File
from pipelines.failures import translated

WORKER = """An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/a.py", line 10, in work
    raise problem
"""
RAISED = WORKER + "kgcorpus.contracts.errors."


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (RAISED + "InputError: a.txt:3: bad. Fix it", InputError, "pages: a.txt:3: bad"),
        (WORKER + "OSError: No space left on device: '/x'", EnvironmentLacksError, "the disk is full"),
        ("java.io.IOException: No space left on device\n\tat a.b", EnvironmentLacksError, "the disk is full"),
        (": a.SparkException: Python worker exited unexpectedly", EnvironmentLacksError, "lack of memory"),
        (WORKER + "pyarrow.lib.ArrowMemoryError: no malloc", EnvironmentLacksError, "lack of memory"),
        ("Answer from Java side is empty", EnvironmentLacksError, "JVM is gone"),
        (WORKER + "KeyError: 'x'", KgcorpusError, "Spark failed: KeyError: 'x'. Run with --debug"),
    ],
)  # fmt: skip
def test_what_spark_says_becomes_one_line(
    tmp_path: Path, text: str, kind: type[KgcorpusError], said: str
) -> None:
    shown = translated(PySparkException(text), "pages", out=tmp_path, inputs=())
    assert type(shown) is kind
    assert said in str(shown)
    assert "\n" not in str(shown)


def test_a_damaged_input_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"as it was")
    (tmp_path / "b").write_bytes(b"damaged")
    digest = hashlib.sha256(b"as it was").hexdigest()
    files = [File(name, 1, 9, digest) for name in ("a", "b")]
    shown = translated(PySparkException("cannot read"), "pages", out=tmp_path, inputs=files)
    assert (type(shown), shown.where) == (InputError, str(tmp_path / "b"))
