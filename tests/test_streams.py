"""Output that is closed, cut off or of another encoding never changes what a command does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.made import finished_build


def through_bash(line: str, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", line, "bash", sys.executable, "-m", "kgcorpus", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("line", ['"$@" | true; exit ${PIPESTATUS[0]}', '"$@" >&-', '"$@" <&- >&- 2>&-'])
def test_a_command_ends_as_ever_when_no_one_reads_what_it_prints(tmp_path, line) -> None:
    out, config = finished_build(tmp_path)
    (out / "report.json").unlink()
    manifest = (out / "manifest.json").read_bytes()
    done = through_bash(line, "build-corpus", "--out", out, "--config", config)
    told = [words for words in done.stderr.splitlines() if "left out: " not in words]
    assert (done.returncode, told) == (0, [])
    assert (out / "report.json").exists()
    assert (out / "manifest.json").read_bytes() == manifest
    assert through_bash(line, "status", "--out", out, "--json").returncode == 0


@pytest.mark.parametrize("words", [["--help"], ["evaluate", "--help"]])
def test_help_ends_quietly_when_its_reader_goes_away(words) -> None:
    done = through_bash('"$@" | true; exit ${PIPESTATUS[0]}', *words)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nonsense"], 2),
        (["status", "--nonsense"], 2),
        (["train"], 2),
        (["inspect", "triples", "--out", "/nowhere"], 3),
        (["evaluate", "nonsense", "--model", "x", "--data", ".", "--out", "y"], 2),
    ],
)
def test_an_error_that_nobody_reads_keeps_its_exit_code(words, code) -> None:
    # The reader is gone before anything is written.
    done = through_bash('"$@" 2> >(exec 0<&-; true); exit $?', *words)
    assert done.returncode == code
    assert through_bash('"$@" > >(true) 2>&1; exit $?', *words).returncode == code


def test_messages_for_a_closed_stderr_land_in_no_file(tmp_path) -> None:
    out, config = finished_build(tmp_path)
    done = through_bash('"$@" 2>&-', "build-corpus", "--out", out, "--config", config, "--set", "seed=-1")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    assert not [path for path in out.rglob("*") if path.is_file() and b"error: " in path.read_bytes()]


def test_an_ascii_terminal_gets_escapes_and_json_of_the_same_values(tmp_path) -> None:
    out, _ = finished_build(tmp_path)
    other = tmp_path / "Zürich 🏔"
    out.rename(other)
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = through_bash('"$@"', "report", "--out", other, **ascii_only)
    assert done.returncode == 0, done.stderr
    assert "Z\\xfcrich" in done.stdout
    done = through_bash('"$@"', "inspect", "relations", "--out", other, "--json", **ascii_only)
    assert json.loads(done.stdout)[0]["pid"] == "P1"
