"""Counts of Spark's workers: each leaves them in a small file, and the driver adds the files up.

They need no interface of Spark, so they work with any master and through Spark Connect. They serve only the
display of progress: a task that runs twice is counted twice, and a file that cannot be written is skipped.
"""

import contextlib
import functools
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from kgcorpus.contracts.links import entries_of
from kgcorpus.contracts.meter import meter

_Batches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# In the driver: where the workers of the stage at work leave their counts.
_folder: list[Path] = []
# In a worker: the folder to which it reports.
_reported: list[str] = []


@contextlib.contextmanager
def collecting(folder: Path) -> Iterator[Callable[[], tuple[int, int]]]:
    """Let the functions that are made for Spark inside the block leave their counts in `folder`.

    Yields:
        A function that returns (rows, bytes) of all workers up to now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known: dict[str, tuple[int, int]] = {}

    def total() -> tuple[int, int]:
        for path in entries_of(folder):
            # A file that is being written keeps its former counts.
            with contextlib.suppress(OSError, ValueError):
                rows, size = map(int, path.read_text(encoding="ascii").split())
                known[path.name] = (rows, size)
        return sum(rows for rows, _ in known.values()), sum(size for _, size in known.values())

    _folder[:] = [folder]
    try:
        yield total
    finally:
        _folder.clear()


def counted(run: _Batches) -> _Batches:
    """Count the rows that a function of a worker receives, and the bytes that it reads from input files."""
    if not _folder:
        return run
    folder = str(_folder[0])

    @functools.wraps(run)
    def counting(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        _report_to(folder)
        yield from run(_passing(batches))
        _write(folder)

    return counting


def _passing(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        meter.add(rows=batch.num_rows)
        yield batch


def _report_to(folder: str) -> None:
    """Start from 0 when this process begins another stage."""
    if _reported != [folder]:
        _reported[:] = [folder]
        meter.report_to(functools.partial(_write, folder))


def _write(folder: str) -> None:
    # The driver makes the folder; where it is gone, the stage is over.
    with contextlib.suppress(OSError):
        path = os.path.join(folder, f"{platform.node()}-{os.getpid()}")
        with open(path, "w", encoding="ascii") as stream:
            stream.write(f"{meter.rows} {meter.bytes}")
