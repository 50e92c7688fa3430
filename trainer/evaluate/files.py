"""Finding and reading the files of a benchmark."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json

T = TypeVar("T")


def only_file(folder: str | Path, *patterns: str) -> Path:
    """The one file under a folder that matches the first pattern that any matches.

    Raises:
        InputError: there is none, or more than one.
    """
    for pattern in patterns:
        found = sorted(path for path in Path(folder).rglob(pattern) if path.is_file())
        if len(found) > 1:
            raise InputError(
                f"holds several files {pattern}: {', '.join(map(str, found[:3]))}", where=str(folder)
            )
        if found:
            return found[0]
    raise InputError(f"holds no file {' or '.join(patterns)}", where=str(folder))


def read_optional(read: Callable[[Path], T], folder: str | Path, *patterns: str) -> T | None:
    """What `read` returns for `only_file(folder, *patterns)`; None if no file matches."""
    matches = (path for pattern in patterns for path in Path(folder).rglob(pattern))
    return read(only_file(folder, *patterns)) if any(path.is_file() for path in matches) else None


def read_tsv(path: Path) -> Iterator[list[str]]:
    """Rows of a tab-separated file, in which quotes mean nothing."""
    csv.field_size_limit(1 << 24)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        yield from csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)


def read_table(path: Path, *columns: str) -> Iterator[tuple[str, ...]]:
    """The named columns of a tab-separated file with a header.

    Raises:
        InputError: a column is missing, or a line is short.
    """
    rows = read_tsv(path)
    header = next(rows, [])
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(f"has no column {', '.join(missing)}", where=str(path))
    places = [header.index(name) for name in columns]
    for number, row in enumerate(rows, 2):
        if len(row) <= max(places):
            raise InputError(f"has {len(row)} columns, not {len(header)}", where=f"{path}, line {number}")
        yield tuple(row[place] for place in places)


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        InputError: it is none.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", where=str(path)) from None


def read_json_lines(path: Path, *fields: str) -> Iterator[dict[str, Any]]:
    """The objects of a file with one a line, each with these fields.

    Raises:
        InputError: a line is no JSON object, or lacks a field.
    """
    with path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            where = f"{path}, line {number}"
            try:
                row = parse_json(line)
            except ValueError as error:
                raise InputError(f"is not JSON: {error}", where=where) from None
            missing = [name for name in fields if name not in row] if isinstance(row, dict) else fields
            if missing:
                raise InputError(f"has no {', '.join(missing)}", where=where)
            yield row
