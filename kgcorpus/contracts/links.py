"""Symbolic links below OUT or RUN: no command writes, deletes or publishes through one.

OUT or RUN itself may be a link. A link to a file is followed when reading. Writing or removing affects the
link itself and leaves its target unchanged.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kgcorpus.contracts.errors import UsageError

_HINT = "Replace the link by what it points to, or link the whole folder"


def refuse_links(root: Path, *names: str | Path, enter: bool = True) -> None:
    """Check that paths below `root` contain no symbolic link to a folder.

    Args:
        root: OUT or RUN, which may be a link itself.
        names: paths relative to `root`; paths that do not exist are accepted.
        enter: also check all folders below each path; otherwise only the parts of the path.

    Raises:
        UsageError: a part of a path, or a folder below it, is a link.
    """
    for name in names:
        place = root
        for part in Path(name).parts:
            place /= part
            if place.is_symlink():
                raise _is_link(place)
        for folder, inner, _ in os.walk(place) if enter else ():
            for link in (Path(folder, one) for one in sorted(inner) if Path(folder, one).is_symlink()):
                raise _is_link(link)


def _is_link(path: Path) -> UsageError:
    return UsageError("is a symbolic link, which is not followed here", where=str(path), hint=_HINT)


def entries_of(folder: Path) -> list[Path]:
    """Return the entries of a folder, sorted; empty if it does not exist or is a link."""
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files and links to files below a folder, without entering linked folders."""
    for path in entries_of(folder):
        if path.is_dir():
            yield from files_below(path)
        else:
            yield path


def remove(path: Path) -> None:
    """Delete a file, a folder with its contents, or a link (not its target), if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def open_to_append(path: Path) -> BinaryIO:
    """Open a lock or log file for reading and appending; create it if it does not exist.

    Raises:
        UsageError: the file is a symbolic link, has several hard links, or is not a regular file.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _is_link(path) from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        what = "is no regular file" if not stat.S_ISREG(status.st_mode) else "is a hard link to another file"
        raise UsageError(what, where=str(path), hint="Remove it, then run the same command")
    return os.fdopen(descriptor, "a+b")
