"""Errors with what happened, where, and a hint what to do. Each class has its own exit code."""

import contextlib
import difflib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from kgcorpus.contracts.extras import extra_for, install_command

_NO_ROOM = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk's quota is used up"}
_NO_ROOM[errno.EFBIG] = "the file grew past the limit of this shell or disk"
_HINTS = {
    errno.ENOENT: "Correct the path",
    errno.ENOTDIR: "A file is where a folder should be: choose another path",
    errno.EISDIR: "A folder is where a file should be: choose another path",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Choose a place that you may read and write"),
}
_ROOM = 1 << 20
_LOOK = "See whether the place can be read and written, then run the same command"
# Texts of tokenizers and safetensors (Rust), and of torch.save, for errors of the operating system.
_RUST_ERRNO = re.compile(r"\(os error (\d+)\)")
_TORCH_WRITE_FAILED = "file write failed"
# RuntimeErrors of torch on a GPU and on the CPU.
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory", re.IGNORECASE)


class KgcorpusError(Exception):
    """An internal error (bug), and the base class of the errors below.

    Args:
        what: one sentence without a trailing period.
        where: file, line, table or field, as precisely as known.
        hint: what the user can do, as a sentence that starts with a verb.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text}. {hint}" if hint else text)

    @property
    def mend(self) -> str:
        """The former name of `hint`, for callers of version 0.1."""
        return self.hint

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        # Spark pickles errors raised in a worker; the default would lose keyword-only arguments.
        return _rebuild, (type(self), self.what, self.where, self.hint)


class UsageError(KgcorpusError):
    """Wrong use or configuration."""

    exit_code = 2


class InputError(KgcorpusError):
    """Bad input data."""

    exit_code = 3


class EnvironmentLacksError(KgcorpusError):
    """The machine lacks something: Java, an extra, disk space."""

    exit_code = 4


def as_error(error: Exception, *, folder: str = "") -> KgcorpusError:
    """Convert any exception to a `KgcorpusError`; unexpected ones are reported as internal errors.

    Args:
        error: the exception.
        folder: the folder that was written to, for errors that name no file.
    """
    if isinstance(error, KgcorpusError):
        return error
    names = (getattr(error, "filename", None), getattr(error, "filename2", None))
    where = " -> ".join(str(name) for name in names if name) or folder
    if full := _NO_ROOM.get(_errno(error)):
        return EnvironmentLacksError(full, where=where, hint="Free space there, then run the same command")
    message = " ".join(str(error).split())
    if lack := _no_memory(error, message) or _no_library(error):
        return lack
    if isinstance(error, OSError):
        hint = _HINTS.get(error.errno or 0, _LOOK)
        return EnvironmentLacksError(error.strerror or str(error), where=where, hint=hint)
    return KgcorpusError(
        f"{type(error).__name__}: {message}",
        hint="Run with --debug for the trace, and report it: this is a fault of kgcorpus",
    )


def _no_memory(error: Exception, message: str) -> EnvironmentLacksError | None:
    if isinstance(error, MemoryError):
        return EnvironmentLacksError(
            f"there is not enough memory ({message or 'MemoryError'})", hint="Free some"
        )
    sentence = next(filter(_NO_MEMORY.search, message.split(". ")), None)
    if isinstance(error, RuntimeError) and sentence:
        return EnvironmentLacksError(
            f"there is not enough memory ({sentence})",
            hint="Free some, or train with a lower rows_per_forward into another --out",
        )
    return None


def _no_library(error: Exception) -> EnvironmentLacksError | None:
    extra = extra_for(error) if isinstance(error, ImportError) else None
    if extra is None:
        return None
    name = (getattr(error, "name", None) or "").partition(".")[0]
    return EnvironmentLacksError(
        f"the library {name} is not installed", hint=f"Run: {install_command(extra)}"
    )


def known_names(name: str, known: Iterable[str], *, listed: str) -> str:
    """Return the hint for an unknown name: all valid names, and the closest one if it is similar.

    Args:
        name: the name that the user gave.
        known: the valid names.
        listed: introduction of the list, e.g. `The tables are`.
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"{listed}: {', '.join(names)}" + (f". Did you mean {near[0]}?" if near else "")


@contextlib.contextmanager
def with_path_on_disk_full(folder: Path) -> Iterator[None]:
    """Add the folder to errors about a full disk, because a failed write does not name the file.

    The error names a folder for temporary files instead if that one has no room and `folder` has.

    Raises:
        EnvironmentLacksError: the disk is full.
    """
    try:
        yield
    except Exception as error:
        if _errno(error) not in _NO_ROOM or isinstance(error, KgcorpusError):
            raise
        raise as_error(error, folder=_without_room(str(folder))) from error


def _without_room(folder: str) -> str:
    """The first of a folder and those for temporary files that has less than 1 MiB free, else the folder."""
    scratch = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")
    existing = (place for place in (folder, *scratch, tempfile.gettempdir()) if os.path.isdir(place))
    return next((place for place in existing if shutil.disk_usage(place).free < _ROOM), folder)


def _errno(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if _TORCH_WRITE_FAILED in str(error):
        return errno.ENOSPC
    match = _RUST_ERRNO.search(str(error))
    return int(match[1]) if match else 0


def _rebuild(kind: type[KgcorpusError], what: str, where: str, hint: str) -> KgcorpusError:
    return kind(what, where=where, hint=hint)
