"""One build of the embedded world that the whole folder's tests read and none changes."""

from pathlib import Path

import pytest

from tests.e2e.commands import ONE_CORE, run, sets


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built")
    done = run("build-corpus", "--out", out, *sets(*ONE_CORE))
    assert done.returncode == 0, done.stderr
    return out
