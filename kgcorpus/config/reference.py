"""The table of a configuration's fields for the documentation, made from the code."""

import typing
from collections.abc import Iterator

from pydantic import BaseModel


def fields_table(model: type[BaseModel]) -> str:
    """Every field of a configuration with its default and meaning, as a Markdown table."""
    rows = [f"| `{path}` | {default} | {meaning} |" for path, default, meaning in _fields(model)]
    return "\n".join(["| field | default | meaning |", "| --- | --- | --- |", *rows])


def cell(text: str) -> str:
    """The text in one cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *typing.get_args(field.annotation)]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        is_list = inner is not None and inner is not field.annotation
        if inner is None or is_list:
            default = (
                "required" if field.is_required() else f"`{field.get_default(call_default_factory=True)}`"
            )
            yield f"{prefix}{name}", cell(default), cell(field.description or "")
        if inner is not None:
            yield from _fields(inner, f"{prefix}{name}{'[]' if is_list else ''}.")
