"""Resource limits of inputs, and what happens to malformed parts: fail, or quarantine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from kgcorpus.contracts.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Resource limits of inputs; larger ones are rejected. Config section `limits`.

    Attributes:
        decompression_ratio: unpacked bytes a packed byte, past the first 64 MiB.
        record_mib: size of one page, line, SQL row or JSON entity, in MiB.
    """

    decompression_ratio: int = 100
    record_mib: int = 32

    @property
    def record_bytes(self) -> int:
        """`record_mib` in bytes."""
        return self.record_mib << 20


DEFAULT_LIMITS = Limits()


class BadRecord(ValueError):  # noqa: N818 - something to set aside, not a failure
    """A malformed page, line or row.

    Attributes:
        reason: what is wrong with it.
        where: the file's name and the line or position; empty while only the reader knows.
        text: the record itself, for the quarantine.
    """

    def __init__(self, reason: str, *, where: str = "", text: str = "") -> None:
        super().__init__(reason)
        self.reason, self.where, self.text = reason, where, text


OnBad = Callable[[BadRecord], None]


def refuse(bad: BadRecord) -> NoReturn:
    """The `on_bad` of a build that stops at bad input.

    Raises:
        InputError: always.
    """
    raise InputError(
        bad.reason, where=bad.where, hint="Fix it, or set on_bad_input: quarantine to set such records aside"
    )
