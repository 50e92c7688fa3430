"""Errors a user can act on: what happened, where, and what to do. Each kind has its exit code."""

from typing import ClassVar


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


def _rebuild(kind: type[KgcorpusError], what: str, where: str, mend: str) -> KgcorpusError:
    return kind(what, where=where, mend=mend)
