"""One build of the embedded world that the whole folder's tests read and none changes."""

import fcntl
import os
from pathlib import Path

import pytest

from tests.e2e.commands import ONE_CORE, run, sets


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The workers share it; the first one builds.
        folder = folder.parent
    out = folder / "built"
    with open(folder / "built.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "report.json").exists():
            done = run("build-corpus", "--out", out, *sets(*ONE_CORE))
            assert done.returncode == 0, done.stderr
    return out
