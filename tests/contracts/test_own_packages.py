"""A foreign package named `trainer` or `pipelines` is reported in one line, before any of its code runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOREIGN = 'raise SystemExit("the foreign package ran")\n'
COMMANDS = [
    ("trainer", ["train", "kmlm", "--corpus", "corpus", "--out", "run"]),
    ("trainer", ["train", "--help"]),
    ("trainer", ["evaluate", "--help"]),
    ("trainer", ["evaluate", "--list"]),
    ("pipelines", ["plan", "--out", "out"]),
]


def python(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, check=False)


def kgcorpus(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(path, "-m", "kgcorpus", *arguments)


def write_foreign(path: Path, name: str) -> None:
    (path / name).mkdir()
    (path / name / "__init__.py").write_text(FOREIGN)


@pytest.mark.parametrize(("name", "arguments"), COMMANDS, ids=lambda value: "-".join(value[:2]))
def test_a_command_reports_a_foreign_package_in_one_line(
    tmp_path: Path, name: str, arguments: list[str]
) -> None:
    write_foreign(tmp_path, name)
    done = kgcorpus(tmp_path, *arguments)
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / name) in line
    assert "Rename it" in line


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("trainer", "import kgcorpus.torch"),
        ("trainer", "import kgcorpus; kgcorpus.train('kmlm', 'corpus', 'run')"),
        ("trainer", "from kgcorpus import register_benchmark"),
        ("pipelines", "from kgcorpus import register_stage"),
        ("pipelines", "import kgcorpus; kgcorpus.build(None, 'out')"),
        # The user's program has imported its own module of that name before.
        (
            "trainer",
            "import sys; sys.modules['trainer'] = type(sys)('t'); from kgcorpus import register_objective",
        ),
    ],
)
def test_an_import_reports_a_foreign_package_in_one_line(tmp_path: Path, name: str, code: str) -> None:
    write_foreign(tmp_path, name)
    done = python(tmp_path, "-c", code)
    assert done.returncode == 1
    assert "the foreign package ran" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("kgcorpus.contracts.errors.EnvironmentLacksError: ")
    assert f"the package `{name}` is not kgcorpus's" in last


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
        [sys.executable, "-E", "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "the package `trainer` is not kgcorpus's" in done.stderr
    assert "pip uninstall trainer" in done.stderr
    assert done.returncode == 1


def test_commands_without_the_package_still_run(tmp_path: Path) -> None:
    for name in ("trainer", "pipelines"):
        write_foreign(tmp_path, name)
    done = kgcorpus(tmp_path, "status", "--out", "out")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "holds no finished build" in done.stderr
