"""A cache that others can write is not read: its files are pickles, scripts and machine code."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kgcorpus.contracts.caches import is_private, private_folder
from tests.made import command


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


def compile_a_kernel(**environment: str) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import kernel; assert kernel.twice(3) == 6"
    subprocess.run(
        [sys.executable, "-c", code, environment["KERNEL"]], check=True, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a kernel, `source`, and its compiled form, `cache`."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "source").mkdir()
    (folder / "cache").mkdir(mode=0o700)
    kernel = "from kgcorpus.kg.compiled import njit\n\n\n@njit(cache=True)\ndef twice(x):\n    return 2 * x\n"
    (folder / "source" / "kernel.py").write_text(kernel)
    compile_a_kernel(KERNEL=str(folder / "source"), NUMBA_CACHE_DIR=str(folder / "cache"))
    return folder


@pytest.fixture
def planted(compiled: Path, tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """A cache of a kernel whose index files were replaced, the folder that they make, the environment."""
    cache, mark = tmp_path / "cache", tmp_path / "pwned"
    shutil.copytree(compiled / "cache", cache)
    indices = list(cache.rglob("*.nbi"))
    assert indices
    for index in indices:
        index.write_bytes(pickle.dumps(Planted(mark)))
    return cache, mark, {"NUMBA_CACHE_DIR": str(cache), "KERNEL": str(compiled / "source")}


def test_kernels_are_cached_in_a_private_folder_and_numba_runs_what_stands_there(planted) -> None:
    _, mark, environment = planted
    with pytest.raises(subprocess.CalledProcessError):
        compile_a_kernel(**environment)
    assert mark.is_dir()


@pytest.mark.parametrize("how", ["writable for the group", "another owner", "a link", "above"])
def test_a_cache_that_others_can_write_is_not_read(planted, tmp_path, how) -> None:
    cache, mark, environment = planted
    if how == "another owner":
        if os.geteuid():
            pytest.skip("only root can give a folder away")
        os.chown(cache, 65534, 65534)
    elif how == "a link":
        (tmp_path / "link").symlink_to(cache)
        environment["NUMBA_CACHE_DIR"] = str(tmp_path / "link")
    else:
        place = cache.parent if how == "above" else cache
        place.chmod(0o770)
    compile_a_kernel(**environment)
    assert not mark.exists()


def test_a_cache_in_the_temporary_folder_is_the_users_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nope")
    folder = private_folder("numba")
    assert folder == tmp_path / f"kgcorpus-{os.geteuid()}" / "numba"
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    # Someone else was first.
    for spoil in (lambda path: path.chmod(0o777), lambda path: path.rename(tmp_path / "x")):
        spoil(folder.parent)
        if not folder.parent.exists():
            folder.parent.symlink_to(tmp_path / "x")
        other = private_folder("numba")
        assert other.parent == tmp_path
        assert other != folder
        assert is_private(other)


def test_no_command_names_a_cache_that_anyone_could_make(tmp_path, capsys) -> None:
    assert command("package", "--to", tmp_path / "package", "--environment", "pex") == 0
    shown = capsys.readouterr().out.replace(str(tmp_path), "").replace(sys.prefix, "")
    assert "/tmp/" not in shown.replace(str(Path.cwd()), "")
    for name in ("docs/cluster.md", "docker/spark.Dockerfile"):
        assert "NUMBA_CACHE_DIR" not in (Path(__file__).parents[1] / name).read_text()


def test_a_planted_pickle_in_a_folder_of_arrays_is_refused(tmp_path) -> None:
    from kgcorpus.kg.arrays import Folder

    (tmp_path / "spotter").mkdir()
    np.save(
        tmp_path / "spotter" / "keys.npy", np.array([Planted(tmp_path / "pwned")], object), allow_pickle=True
    )
    with pytest.raises(ValueError, match="Python objects"):
        Folder(tmp_path).get("spotter")
    assert not (tmp_path / "pwned").exists()
