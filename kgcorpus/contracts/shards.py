"""Reading a build's Parquet files outside Spark: damage ends in an error that names the file and the mend."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.errors import InputError


def read_shard(path: str | Path, columns: Sequence[str] | None = None, *, filters: Any = None) -> pa.Table:
    """A file as a table.

    Args:
        path: of the file.
        columns: default: all.
        filters: as `pyarrow.parquet.read_table` takes them.

    Raises:
        InputError: the file is damaged or missing.
    """
    with damage_named(path):
        return pq.read_table(path, columns=columns and list(columns), filters=filters)


def read_batches(
    path: str | Path, columns: Sequence[str] | None = None, *, rows: int = 1 << 16
) -> Iterator[pa.RecordBatch]:
    """A file by batches of at most `rows` rows.

    Raises:
        InputError: the file is damaged or missing.
    """
    with damage_named(path), pq.ParquetFile(path) as file:
        yield from file.iter_batches(rows, columns=columns and list(columns))


@contextlib.contextmanager
def damage_named(path: str | Path) -> Iterator[None]:
    """Make an `InputError` of what Arrow says of damage while it reads `path`."""
    try:
        yield
    except (MemoryError, pa.ArrowCancelled):
        # Of the machine and the user; Arrow's own kinds of them are ArrowExceptions as well.
        raise
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            mend = "Run kgcorpus build-corpus again"
            raise InputError("is missing", where=str(path), mend=mend) from error
        # With a number it is the system's: no right to it, a bad disk. Arrow's own errors have none.
        if isinstance(error, OSError) and error.errno:
            raise
        # What is too large for Arrow would be as large again.
        mend = (
            ""
            if isinstance(error, pa.ArrowCapacityError)
            else "Delete it and run kgcorpus build-corpus again"
        )
        what = f"cannot be read ({' '.join(str(error).split())})"
        raise InputError(what, where=str(path), mend=mend) from error
