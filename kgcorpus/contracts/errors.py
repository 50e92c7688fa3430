"""Errors a user can act on: what happened, where, and what to do. Each kind has its exit code."""

import errno
import re
from typing import ClassVar

_NO_ROOM = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk's quota is used up"}
_NO_ROOM[errno.EFBIG] = "the file grew past the limit of this shell or disk"
# How tokenizers and safetensors (Rust) name it, and torch.save.
_RUST_ERRNO = re.compile(r"\(os error (\d+)\)")
_TORCH_WRITE_FAILED = "file write failed"


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


def as_error(error: Exception) -> KgcorpusError:
    """Any exception as one that a user can act on; what we did not foresee is a fault of ours."""
    if isinstance(error, KgcorpusError):
        return error
    names = (getattr(error, "filename", None), getattr(error, "filename2", None))
    where = " -> ".join(str(name) for name in names if name)
    if full := _NO_ROOM.get(_errno(error)):
        return EnvironmentLacksError(full, where=where, mend="Free space there, then run the same command")
    if isinstance(error, OSError):
        return EnvironmentLacksError(error.strerror or str(error), where=where)
    return KgcorpusError(
        f"{type(error).__name__}: {' '.join(str(error).split())}",
        mend="This is a fault of ours: run with --debug for the trace, and report it",
    )


def _errno(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if _TORCH_WRITE_FAILED in str(error):
        return errno.ENOSPC
    match = _RUST_ERRNO.search(str(error))
    return int(match[1]) if match else 0


def _rebuild(kind: type[KgcorpusError], what: str, where: str, mend: str) -> KgcorpusError:
    return kind(what, where=where, mend=mend)
