"""Counts of what a process has read so far, for displays of progress. No result depends on them."""

import io
import time
from collections.abc import Callable
from typing import Any

# Seconds between two reports.
_INTERVAL = 1.0


class Meter:
    """Counts of one process.

    Attributes:
        bytes: bytes read from input files, as stored (compressed), and bytes hashed.
        rows: rows that the functions of a stage received.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.rows = 0
        self._report: Callable[[], None] | None = None
        self._due = 0.0

    def add(self, *, bytes: int = 0, rows: int = 0) -> None:
        """Count, and report once a second if `report_to` was called."""
        self.bytes += bytes
        self.rows += rows
        if self._report is not None and (now := time.monotonic()) >= self._due:
            self._due = now + _INTERVAL
            self._report()

    def report_to(self, report: Callable[[], None]) -> None:
        """Set both counts to 0 and call `report` about once a second while something is counted."""
        self.bytes = self.rows = 0
        self._report, self._due = report, 0.0


meter = Meter()


def count_reads(raw: Any, *, readers: int = 1) -> io.BufferedReader:
    """Return a reader of an unbuffered binary file whose bytes are counted by `meter` as they are read.

    Args:
        readers: tasks that read the whole file. Each counts its share, so their sum is the file's size.
    """
    return io.BufferedReader(_CountedReader(raw, readers))


class _CountedReader(io.RawIOBase):
    def __init__(self, raw: Any, readers: int) -> None:
        self._raw, self._readers = raw, readers
        # Bytes that were read, modulo `readers`.
        self._rest = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._raw.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return int(self._raw.seek(offset, whence))

    def tell(self) -> int:
        return int(self._raw.tell())

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = int(self._raw.readinto(buffer) or 0)
        share, self._rest = divmod(count + self._rest, self._readers)
        meter.add(bytes=share)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
