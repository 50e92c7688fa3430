"""Reading of Parquet files outside Spark; damaged files raise an error with the file and a hint."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.object_store import is_object_store, open_object

# The command that rewrites a build's tables, for hints.
BUILD = "kgcorpus build-corpus"


def read_shard(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    filters: Any = None,
    command: str = BUILD,
) -> pa.Table:
    """Read a Parquet file as a table.

    Args:
        path: the file, or its URL in an object store.
        columns: columns to read; default: all.
        filters: filters of `pyarrow.parquet.read_table`.
        command: the command that recreates the file, for the hint.

    Raises:
        InputError: the file is damaged or missing.
    """
    with damage_named(path, command=command), open_shard(path) as file:
        return pq.read_table(file, columns=columns and list(columns), filters=filters)


def row_groups_of(path: str | Path, *, command: str = BUILD) -> int:
    """The number of row groups of a file.

    Raises:
        InputError: the file is damaged or missing.
    """
    with damage_named(path, command=command), open_shard(path) as file:
        return int(pq.read_metadata(file).num_row_groups)


def read_batches(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    rows: int = 1 << 16,
    command: str = BUILD,
) -> Iterator[pa.RecordBatch]:
    """Yield a Parquet file's rows in batches of at most `rows`; arguments and errors as for `read_shard`."""
    with damage_named(path, command=command), open_shard(path) as opened, pq.ParquetFile(opened) as file:
        yield from batches_of(file, rows, columns)


def batches_of(
    file: pq.ParquetFile, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an open file in batches of at most `rows`, as `iter_batches`.

    pyarrow before version 19 fails on a file without a row group, as a shard without rows may be.
    """
    if file.num_row_groups:
        yield from file.iter_batches(rows, columns=columns and list(columns))


@contextlib.contextmanager
def open_shard(path: str | Path) -> Iterator[Any]:
    """Yield what pyarrow reads a Parquet file from: the path, or the object of a URL as a file.

    Raises:
        InputError: there is no such object.
        EnvironmentLacksError: the store cannot be reached, or refuses access.
    """
    if not is_object_store(str(path)):
        yield path
        return
    with open_object(str(path)) as stream:
        yield stream


@contextlib.contextmanager
def damage_named(path: str | Path, *, command: str = BUILD) -> Iterator[None]:
    """Convert Arrow's errors about damaged files to an `InputError` that names `path`."""
    try:
        yield
    except (MemoryError, pa.ArrowCancelled):
        # Out of memory or interrupted: not damage, although Arrow's versions are ArrowExceptions.
        raise
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise InputError("is missing", where=str(path), hint=f"Run {command} again") from error
        # An errno means a fault of the system (permissions, disk); Arrow's own errors have none.
        if isinstance(error, OSError) and error.errno:
            raise
        # Rebuilding does not help if the file is too large for Arrow.
        too_large = isinstance(error, pa.ArrowCapacityError)
        raise InputError(
            f"cannot be read ({' '.join(str(error).split())})",
            where=str(path),
            hint="" if too_large else f"Delete it and run {command} again",
        ) from error
