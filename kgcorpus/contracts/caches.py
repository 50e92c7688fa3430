"""Folders for caches that contain code, writable only by the user.

numba caches pickles and machine code, the Java launcher is a script, and torch.compile caches modules. Anyone
who can write to such a cache can run code as the user who reads it.
"""

import atexit
import os
import shutil
import stat
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path

from kgcorpus.contracts.endpoints import address_of
from kgcorpus.contracts.errors import EnvironmentLacksError

_GROUP_OR_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def is_private(folder: Path) -> bool:
    """Whether the user owns a folder, and no other user can write to it or replace a folder above it.

    Folders above may be writable by everyone if they have the sticky bit, such as /tmp.
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
    """Return a folder for one cache that only the user can read and write (mode 0700).

    Tries XDG_CACHE_HOME/kgcorpus or ~/.cache/kgcorpus, then kgcorpus-UID in the temporary folder (shared by
    all processes of the user), then a folder that is removed when the process exits.

    Raises:
        OSError: the temporary folder is not writable.
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
    """Return the cache folder for compiled kernels; None to keep them next to the code.

    NUMBA_CACHE_DIR is used only if it exists and is private.

    Raises:
        OSError: the temporary folder is not writable.
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
    # Ignore relative paths (also an unset home): they would put the cache into the working directory.
    return [Path(home) / "kgcorpus", shared] if Path(home).is_absolute() else [shared]


def _can_write(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def work_folder(url: str) -> Path:
    """The local folder for scratch of work on a URL: below the temporary folder, for this user only.

    URLs that the environment leads to different servers or accounts have different folders.

    Raises:
        EnvironmentLacksError: another user could write there.
    """
    return temporary_folder_of_user(f"work/{sha256(address_of(url, os.environ).encode()).hexdigest()[:16]}")


def temporary_folder_of_user(name: str) -> Path:
    """Return TMPDIR/kgcorpus-UID/NAME, which only the user can read and write.

    Raises:
        EnvironmentLacksError: another user could write there.
    """
    parent = Path(tempfile.gettempdir()) / f"kgcorpus-{os.geteuid()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    folder = parent / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(folder):
        raise EnvironmentLacksError(
            "other users can write there", where=str(folder), hint="Remove it, or set TMPDIR"
        )
    return folder
