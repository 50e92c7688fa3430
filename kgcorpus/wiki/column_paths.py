"""Paths to the values of nested columns: `sections.has_parts.value`, or `sections.**.value` at any depth.

A path is names of fields, separated by dots; lists on the way are walked element by element. `**` means
any number of fields.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

from kgcorpus.inputs import BadRecord

TextField = Literal["text", "lang", "title", "qid", "links"]
# Field -> the column's name, where a configuration names no other.
COLUMNS: Mapping[TextField, str] = {
    "text": "text",
    "lang": "lang",
    "title": "title",
    "qid": "qid",
    "links": "links",
}
_ANY = "**"


def values_at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield the values at a path, in their order; null is left out.

    Below `**` a struct's own field comes before those of the structs within it.

    Args:
        value: of dicts, lists and scalars, as of `to_pylist` or JSON.
        path: names of fields; empty for the value itself, or the elements of a list.
    """
    if isinstance(value, list):
        for element in value:
            yield from values_at(element, path)
    elif not path:
        if value is not None:
            yield value
    elif isinstance(value, dict):
        first, *rest = path
        if first != _ANY:
            yield from values_at(value.get(first), rest)
            return
        yield from values_at(value.get(rest[0]), rest[1:])
        for name, child in value.items():
            if name != rest[0] and isinstance(child, dict | list):
                yield from values_at(child, path)


def has_path(kind: pa.DataType, path: Sequence[str]) -> bool:
    """Whether values of a type can have a path."""
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    if not path:
        return True
    if not pa.types.is_struct(kind):
        return False
    first, *rest = path
    if first == _ANY:
        below = any(has_path(field.type, path) for field in kind)
        return below or has_path(kind, rest)
    place = kind.get_field_index(first)
    return place >= 0 and has_path(kind.field(place).type, rest)


def field_of(row: Mapping[str, Any], field: TextField, column: str) -> Any:
    """The value of a document's field.

    Args:
        row: column -> value, nested or not.
        column: its name, or a path. Of several strings `text` is one a line; `title`, `lang` and `qid` are
            the first of theirs.

    Raises:
        BadRecord: a value at the path is no string.
    """
    if column in row:
        found = row[column]
        if field == "links" or not isinstance(found, list):
            return found
        path: Sequence[str] = ()
    else:
        name, *path = column.split(".")
        found = row.get(name)
        # The column is missing in this row, as optional keys of JSON are.
        if not path:
            return None
    try:
        values = list(values_at(found, path))
    except RecursionError:
        raise BadRecord(f"`{column}` is nested too deeply") from None
    if field == "links":
        return values
    if not all(isinstance(value, str) for value in values):
        raise BadRecord(f"`{column}` has a value that is no string")
    return "\n".join(values) if field == "text" else next(iter(values), None)
