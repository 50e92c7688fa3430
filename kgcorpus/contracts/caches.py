"""Folders for caches that hold code: of the user's own, so that no one else can plant anything there.

numba's cache files are pickles and machine code, the launcher of Java is a script, and torch.compile keeps
modules: whoever can write there runs code as the user who reads them.
"""

import atexit
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path

_GROUP_OR_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def is_private(folder: Path) -> bool:
    """Whether a folder is the user's own and neither it nor a folder above it can be replaced by others.

    A folder above may be writable for all if it has the sticky bit, as /tmp has.
    """
    try:
        own = os.lstat(folder)
        above = [os.stat(parent) for parent in folder.resolve().parents]
    except OSError:
        return False
    if not stat.S_ISDIR(own.st_mode) or own.st_uid != os.geteuid() or own.st_mode & _GROUP_OR_OTHERS:
        return False
    return all(
        status.st_uid in (0, os.geteuid())
        and (not status.st_mode & _GROUP_OR_OTHERS or bool(status.st_mode & stat.S_ISVTX))
        for status in above
    )


def private_folder(name: str) -> Path:
    """A folder for one cache, readable and writable by the user alone (0700).

    The first that is private and writable of: XDG_CACHE_HOME/kgcorpus or ~/.cache/kgcorpus; kgcorpus-UID in
    the temporary folder, which all processes of the user share; else one that goes when the process ends.

    Raises:
        OSError: not even the temporary folder can be written.
    """
    for parent in _parents():
        folder = parent / name
        try:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not is_private(parent):
                continue
            folder.mkdir(mode=0o700, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        if is_private(folder):
            return folder
    return _temporary_folder(name)


@cache
def _temporary_folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"kgcorpus-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def kernel_cache() -> Path | None:
    """Where compiled kernels are kept; None: beside the code, which only its owner can write anyway.

    NUMBA_CACHE_DIR is followed only if it is private and exists.

    Raises:
        OSError: not even the temporary folder can be written.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given and is_private(Path(given)):
        return Path(given)
    package = Path(__file__).parents[1]
    beside = [package / part / "__pycache__" for part in ("kg", "linking")]
    if all(_can_write(folder if folder.exists() else folder.parent) for folder in beside):
        return None
    return private_folder("numba")


def _parents() -> list[Path]:
    shared = Path(tempfile.gettempdir()) / f"kgcorpus-{os.geteuid()}"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # Without a home, and with a relative path, a cache would go to the working directory.
    return [Path(home) / "kgcorpus", shared] if Path(home).is_absolute() else [shared]


def _can_write(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
