"""A foreign package named `trainer` or `pipelines` is reported in one line, before any of its code runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOREIGN = 'raise SystemExit("the foreign package ran")\n'
COMMANDS = {
    "trainer": ["train", "kmlm", "--corpus", "corpus", "--out", "run"],
    "pipelines": ["plan", "--out", "out"],
}


def kgcorpus(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])}
    command = [sys.executable, "-m", "kgcorpus", *arguments]
    return subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_package_of_another_project_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text(FOREIGN)
    done = kgcorpus(tmp_path, *COMMANDS[name])
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / name) in line
    assert f"pip uninstall {name}" in line


@pytest.mark.parametrize("left", ["overwritten", "removed"])
def test_files_that_another_project_overwrote_are_told(tmp_path: Path, left: str) -> None:
    """`pip install` of the other project replaces `__init__.py`; its removal takes the file away."""
    shutil.copytree(ROOT / "trainer", tmp_path / "trainer", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("kgcorpus", "pipelines"):
        (tmp_path / name).symlink_to(ROOT / name)
    init = tmp_path / "trainer" / "__init__.py"
    init.write_text(FOREIGN) if left == "overwritten" else init.unlink()
    code = (
        "from kgcorpus.contracts.own_packages import require_own_package as r; r('pipelines'); r('trainer')"
    )
    # An interpreter that sees no other installation of kgcorpus, as in a user's environment.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "the package `trainer` is not kgcorpus's" in done.stderr
    assert done.returncode == 1


def test_commands_without_the_package_still_run(tmp_path: Path) -> None:
    for name in COMMANDS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(FOREIGN)
    done = kgcorpus(tmp_path, "status", "--out", "out")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "holds no finished build" in done.stderr
