"""Spark 3.5, Spark 4 and Spark Connect give the same bytes."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipelines.stages import STAGES
from tests.e2e.commands import ONE_CORE, command, sets
from tests.e2e.connect import serving
from tests.e2e.test_lock import LOCK, is_same, result
from tests.second_environment import second_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
NOT_BUILT = {"wikidata": "the embedded world has no dump of Wikidata"}
_VERSION = "import pyspark; print(pyspark.__version__)"
_BUILD = """
from kgcorpus.cli import build_app
code = build_app()
import pyspark
from pyspark.sql import SparkSession
conf = SparkSession.active().conf
print(pyspark.__version__, conf.get("spark.sql.ansi.enabled"), code)
"""


def tables(out: Path) -> dict[str, list[Any]]:
    """Table -> what `stages.lock` has of it: hashes, and of floats that a model computed their sums."""
    found = json.loads((out / "manifest.json").read_text())["tables"]
    versions = {stage.table: stage.version for stage in STAGES}
    return {name: [versions[name], *result(out, entry)] for name, entry in found.items()}


def built_on_spark_4(out: Path) -> dict[str, list[Any]]:
    # The fixture `built` and the server of Connect run in a process of this environment.
    done = subprocess.run([*command()[:1], "-c", _VERSION], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("4."), done.stdout
    return tables(out)


def built_on_spark_3_5(out: Path) -> dict[str, list[Any]]:
    python = second_environment("spark-3.5", "pyspark==3.5.*", "setuptools; python_version >= '3.12'")
    words = [python, "-c", _BUILD, "--out", out, *sets(*ONE_CORE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version, ansi, code = done.stdout.splitlines()[-1].split()
    assert (version[:4], ansi, code) == ("3.5.", "true", "0"), done.stderr
    return tables(out)


def built_through_connect(out: Path) -> dict[str, list[Any]]:
    (folder := out.with_name("server")).mkdir()
    with serving(folder) as server:
        done = server.build(out, *sets("spark.partitions=2"))
    assert done.returncode == 0, done.stderr
    return tables(out)


def test_spark_3_5_and_connect_build_every_table_with_the_bytes_of_spark_4(
    built: Path, tmp_path: Path
) -> None:
    tables_of = {
        "4": built_on_spark_4(built),
        "3.5": built_on_spark_3_5(tmp_path / "old"),
        "Connect": built_through_connect(tmp_path / "connect"),
    }
    locked = json.loads(LOCK.read_text())
    assert locked.keys() == {stage.table for stage in STAGES} - NOT_BUILT.keys()
    for found in tables_of.values():
        assert found.keys() == locked.keys()
    differ = {
        spark: [name for name in locked if not is_same(found[name], locked[name])]
        for spark, found in tables_of.items()
    }
    assert differ == {"4": [], "3.5": [], "Connect": []}
