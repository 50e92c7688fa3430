"""Errors a user can act on: what happened, where, and what to do. Each kind has its exit code."""

import contextlib
import difflib
import errno
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from kgcorpus.contracts.extras import extra_for, install_command

_NO_ROOM = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk's quota is used up"}
_NO_ROOM[errno.EFBIG] = "the file grew past the limit of this shell or disk"
_MENDS = {
    errno.ENOENT: "Correct the path",
    errno.ENOTDIR: "A file stands where a folder should: choose another path",
    errno.EISDIR: "A folder stands where a file should: choose another path",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Choose a place that you may read and write"),
}
_LOOK = "See whether the place can be read and written, then run the same command"
# How tokenizers and safetensors (Rust) name it, and torch.save.
_RUST_ERRNO = re.compile(r"\(os error (\d+)\)")
_TORCH_WRITE_FAILED = "file write failed"
# torch's RuntimeErrors, of a GPU and of the CPU.
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory", re.IGNORECASE)


class KgcorpusError(Exception):
    """A fault of ours, or the base of the errors below.

    Args:
        what: one sentence, without a trailing period.
        where: file, line, table or field, as precisely as known.
        mend: what the user can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text}. {mend}" if mend else text)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        # Keyword-only arguments would be lost when Spark pickles an error raised in a worker.
        return _rebuild, (type(self), self.what, self.where, self.mend)


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
    """Any exception as one that a user can act on; what we did not foresee is a fault of ours.

    Args:
        error: the exception.
        folder: what was written to, for errors that name no file.
    """
    if isinstance(error, KgcorpusError):
        return error
    names = (getattr(error, "filename", None), getattr(error, "filename2", None))
    where = " -> ".join(str(name) for name in names if name) or folder
    if full := _NO_ROOM.get(_errno(error)):
        return EnvironmentLacksError(full, where=where, mend="Free space there, then run the same command")
    told = " ".join(str(error).split())
    if lack := _no_memory(error, told) or _no_library(error):
        return lack
    if isinstance(error, OSError):
        mend = _MENDS.get(error.errno or 0, _LOOK)
        return EnvironmentLacksError(error.strerror or str(error), where=where, mend=mend)
    return KgcorpusError(
        f"{type(error).__name__}: {told}",
        mend="This is a fault of ours: run with --debug for the trace, and report it",
    )


def _no_memory(error: Exception, told: str) -> EnvironmentLacksError | None:
    if isinstance(error, MemoryError):
        return EnvironmentLacksError(
            f"there is not enough memory ({told or 'MemoryError'})", mend="Free some"
        )
    sentence = next(filter(_NO_MEMORY.search, told.split(". ")), None)
    if isinstance(error, RuntimeError) and sentence:
        return EnvironmentLacksError(
            f"there is not enough memory ({sentence})",
            mend="Free some, or train with a lower rows_per_forward into another --out",
        )
    return None


def _no_library(error: Exception) -> EnvironmentLacksError | None:
    extra = extra_for(error) if isinstance(error, ImportError) else None
    if extra is None:
        return None
    name = (getattr(error, "name", None) or "").partition(".")[0]
    return EnvironmentLacksError(
        f"the library {name} is not installed", mend=f"Run: {install_command(extra)}"
    )


def known_names(name: str, known: Iterable[str], *, listed: str) -> str:
    """The hint for an unknown name: all known ones, and the nearest to it if one is near.

    Args:
        name: as the user wrote it.
        known: the valid names.
        listed: what introduces the list, e.g. `The tables are`.
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"{listed}: {', '.join(names)}" + (f". Did you mean {near[0]}?" if near else "")


@contextlib.contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Let a full disk be told with the folder that is written to: a failed write names no file.

    Raises:
        EnvironmentLacksError: there was no room.
    """
    try:
        yield
    except Exception as error:
        if _errno(error) not in _NO_ROOM or isinstance(error, KgcorpusError):
            raise
        raise as_error(error, folder=str(folder)) from error


def _errno(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if _TORCH_WRITE_FAILED in str(error):
        return errno.ENOSPC
    match = _RUST_ERRNO.search(str(error))
    return int(match[1]) if match else 0


def _rebuild(kind: type[KgcorpusError], what: str, where: str, mend: str) -> KgcorpusError:
    return kind(what, where=where, mend=mend)
