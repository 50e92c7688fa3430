"""The types of rows are those of the tables' schemas."""

import types
from typing import Any, Literal, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pyarrow as pa
import pytest

from kgcorpus.contracts.rows import ROW_TYPES
from kgcorpus.contracts.tables import TABLES

KINDS = {
    bool: pa.types.is_boolean,
    int: pa.types.is_integer,
    float: pa.types.is_floating,
    str: pa.types.is_string,
}


def fields_of(row: type) -> dict[str, Any]:
    hints = get_type_hints(row, include_extras=True)
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not NotRequired}


def fits(hint: Any, kind: pa.DataType) -> bool:
    """Whether values of an Arrow type have the Python type."""
    if get_origin(hint) is types.UnionType:
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is Literal:
        return all(KINDS[type(value)](kind) for value in get_args(hint))
    if get_origin(hint) is list:
        return pa.types.is_list(kind) and fits(get_args(hint)[0], kind.value_type)
    if is_typeddict(hint):
        fields = fields_of(hint)
        return {field.name for field in kind} == set(fields) and all(
            fits(fields[field.name], field.type) for field in kind
        )
    return KINDS[hint](kind)


def test_every_table_has_a_type_of_row() -> None:
    assert list(ROW_TYPES) == list(TABLES)


@pytest.mark.parametrize("name", ROW_TYPES)
def test_a_rows_fields_are_the_tables_columns(name: str) -> None:
    columns, fields = TABLES[name].columns, fields_of(ROW_TYPES[name])
    assert set(fields) == set(columns)
    wrong = [column for column, (kind, _) in columns.items() if not fits(fields[column], kind)]
    assert wrong == []


@pytest.mark.parametrize("name", ROW_TYPES)
def test_a_column_that_may_be_null_is_optional(name: str) -> None:
    fields = fields_of(ROW_TYPES[name])
    said = {column for column, (kind, meaning) in TABLES[name].columns.items() if "null" in meaning}
    of_names = {"names"}  # a label within them
    optional = {column for column, hint in fields.items() if type(None) in get_args(hint)}
    assert said - of_names <= optional


@pytest.mark.parametrize("name", TABLES)
def test_each_mention_has_its_confidence(name: str) -> None:
    """A slot's span is rendered from a triple, and no mention that the linker found."""

    def structs(kind: pa.DataType) -> Any:
        if pa.types.is_list(kind):
            yield from structs(kind.value_type)
        elif pa.types.is_struct(kind):
            yield {field.name for field in kind}
            for field in kind:
                yield from structs(field.type)

    columns = TABLES[name].columns
    groups = [set(columns), *(names for kind, _ in columns.values() for names in structs(kind))]
    for names in groups:
        if {"start", "end", "qid"} <= names and "slot" not in names and name != "jaket_entities":
            assert "confidence" in names
