"""Finds and reads the files of a benchmark; an error names the file and the line."""

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import read_lines

T = TypeVar("T")
_BOM = codecs.BOM_UTF8


def matching_files(folder: str | Path, pattern: str) -> list[Path]:
    """The regular files under a folder that match a pattern, sorted."""
    return sorted(path for path in Path(folder).rglob(pattern) if path.is_file())


def only_file(folder: str | Path, *patterns: str) -> Path:
    """The one file under a folder that matches the first pattern that any matches.

    Raises:
        InputError: there is none, or more than one.
    """
    for pattern in patterns:
        found = matching_files(folder, pattern)
        if len(found) > 1:
            raise InputError(
                f"holds several files {pattern}: {', '.join(map(str, found[:3]))}", where=str(folder)
            )
        if found:
            return found[0]
    raise InputError(f"holds no file {' or '.join(patterns)}", where=str(folder))


def read_optional(read: Callable[[Path], T], folder: str | Path, *patterns: str) -> T | None:
    """What `read` returns for `only_file(folder, *patterns)`; None if no file matches."""
    found = any(matching_files(folder, pattern) for pattern in patterns)
    return read(only_file(folder, *patterns)) if found else None


def text_lines(path: Path, *, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end or a byte order mark).

    Args:
        path: a text file, plain or packed (.gz, .bz2, .xz, .zst).
        encoding: of its bytes.

    Raises:
        InputError: the file cannot be read, a line is not in the encoding, holds a NUL byte, or is longer
            than the limit of 32 MiB.
    """
    for number, raw in read_lines(str(path)):
        where = f"{path}, line {number}"
        try:
            line = raw.decode(encoding)
        except UnicodeDecodeError as error:
            raise InputError(
                f"is not {encoding.upper()}: byte 0x{raw[error.start]:02x} at column {error.start + 1}",
                where=where,
                hint=f"Save the file as {encoding.upper()}",
            ) from None
        if "\0" in line:
            raise InputError(
                "holds a NUL byte", where=where, hint="Fetch the file again; it is no text or is damaged"
            )
        yield number, line


def read_tsv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, fields) of a tab-separated file, in which quotes mean nothing."""
    for number, line in text_lines(path):
        yield number, line.split("\t")


def read_table(
    path: Path, *columns: str, on_short: Callable[[int], None] | None = None
) -> Iterator[tuple[str, ...]]:
    """The named columns of a tab-separated file with a header.

    Args:
        path: the file.
        columns: names in its header.
        on_short: called with the number of each line that lacks a column, which is then left out; None
            makes such a line an error.

    Raises:
        InputError: a column is missing, or a line is short.
    """
    rows = read_tsv(path)
    _, header = next(rows, (1, []))
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(f"has no column {', '.join(missing)}", where=f"{path}, line 1")
    places = [header.index(name) for name in columns]
    for number, row in rows:
        if len(row) > max(places):
            yield tuple(row[place] for place in places)
        elif on_short is not None:
            on_short(number)
        else:
            raise InputError(f"has {len(row)} columns, not {len(header)}", where=f"{path}, line {number}")


def read_json(path: Path, shape: Any, *, form: str) -> Any:
    """A JSON file of a given shape.

    Args:
        path: the file, UTF-8.
        shape: the type of its value, as pydantic takes it; fields that it does not name are ignored.
        form: the format's name, for the error.

    Raises:
        InputError: it is not JSON (also nested too deep, or not UTF-8), or not of the shape.
    """
    return _validated(TypeAdapter(shape), path.read_bytes().removeprefix(_BOM), where=str(path), form=form)


def read_json_lines(path: Path, shape: Any, *, form: str) -> Iterator[Any]:
    """The values of a file with one JSON value a line; as `read_json`. Blank lines are skipped."""
    adapter = TypeAdapter(shape)
    for number, line in text_lines(path):
        if line.strip():
            yield _validated(adapter, line.encode(), where=f"{path}, line {number}", form=form)


def _validated(adapter: TypeAdapter[Any], data: bytes, *, where: str, form: str) -> Any:
    try:
        return adapter.validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        raise InputError(f"is not JSON: {first['msg'].removeprefix('Invalid JSON: ')}", where=where)
    *above, last = [str(part) for part in first["loc"]] or [""]
    place = ".".join(above if first["type"] == "missing" else [*above, last])
    message = f"has no {last}" if first["type"] == "missing" else first["msg"]
    raise InputError(f"is not in {form}'s format: {message}", where=f"{where}, {place}" if place else where)


def required(items: list[T], path: Path) -> list[T]:
    """The items that were read from a file.

    Raises:
        InputError: there are none.
    """
    if not items:
        raise InputError("holds no example", where=str(path), hint="Fetch the file again")
    return items
