"""Reading a build's Parquet files outside Spark: damage ends in an error that names the file and the mend."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.errors import InputError

# What writes a build's tables anew, for the mends.
BUILD = "kgcorpus build-corpus"


def read_shard(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    filters: Any = None,
    command: str = BUILD,
) -> pa.Table:
    """A file as a table.

    Args:
        path: of the file.
        columns: default: all.
        filters: as `pyarrow.parquet.read_table` takes them.
        command: what makes the file anew, for the error.

    Raises:
        InputError: the file is damaged or missing.
    """
    with damage_named(path, command=command):
        return pq.read_table(path, columns=columns and list(columns), filters=filters)


def read_batches(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    rows: int = 1 << 16,
    command: str = BUILD,
) -> Iterator[pa.RecordBatch]:
    """A file by batches of at most `rows` rows; arguments and errors as of `read_shard`."""
    with damage_named(path, command=command), pq.ParquetFile(path) as file:
        yield from file.iter_batches(rows, columns=columns and list(columns))


@contextlib.contextmanager
def damage_named(path: str | Path, *, command: str = BUILD) -> Iterator[None]:
    """Make an `InputError` of what Arrow says of damage while it reads `path`."""
    try:
        yield
    except (MemoryError, pa.ArrowCancelled):
        # Of the machine and the user; Arrow's own kinds of them are ArrowExceptions as well.
        raise
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise InputError("is missing", where=str(path), mend=f"Run {command} again") from error
        # With a number it is the system's: no right to it, a bad disk. Arrow's own errors have none.
        if isinstance(error, OSError) and error.errno:
            raise
        # What is too large for Arrow would be as large again.
        too_large = isinstance(error, pa.ArrowCapacityError)
        raise InputError(
            f"cannot be read ({' '.join(str(error).split())})",
            where=str(path),
            mend="" if too_large else f"Delete it and run {command} again",
        ) from error
