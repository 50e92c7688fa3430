"""Spark 3.5 gives the bytes of Spark 4."""

import json
import re
import subprocess
from pathlib import Path

import pytest

import pipelines
from pipelines.stages import STAGES
from tests.e2e.commands import ONE_CORE, sets
from tests.second_environment import second_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# With what they need, they call every function of Spark that a stage calls.
TARGETS = ("surfaces", "jaket_edges", "sources")
_BUILD = """
from kgcorpus.cli import build_app
code = build_app()
import pyspark
from pyspark.sql import SparkSession
conf = SparkSession.active().conf
print(pyspark.__version__, conf.get("spark.sql.ansi.enabled"), code)
"""


def tables(out: Path) -> dict[str, str]:
    found = json.loads((out / "manifest.json").read_text())["tables"]
    return {name: entry["digest"] for name, entry in found.items()}


def spark_functions(files: set[Path]) -> set[str]:
    return {name for file in files for name in re.findall(r"\bF\.(\w+)\(", file.read_text())}


def test_spark_3_5_builds_the_bytes_of_spark_4(built: Path, tmp_path: Path) -> None:
    python = second_environment("spark-3.5", "pyspark==3.5.*", "setuptools; python_version >= '3.12'")
    out = tmp_path / "out"
    words = [python, "-c", _BUILD, *TARGETS, "--out", out, *sets(*ONE_CORE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version, ansi, code = done.stdout.splitlines()[-1].split()
    assert (version[:4], ansi, code) == ("3.5.", "true", "0"), done.stderr
    made, known = tables(out), tables(built)
    assert made == {name: known[name] for name in made}
    folder = Path(pipelines.__file__).parent
    stages = {folder / f"{stage.run.__module__.rpartition('.')[2]}.py" for stage in STAGES}
    others = set(folder.glob("*.py")) - stages
    covered = {
        folder / f"{stage.run.__module__.rpartition('.')[2]}.py" for stage in STAGES if stage.table in made
    }
    assert spark_functions(covered | others) == spark_functions(stages | others)
