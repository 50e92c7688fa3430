"""The options of a configuration, read from its model, so that a new one cannot be left out of the tests."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel


def options_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted paths of the fields that are no sections; the path goes through lists of sections."""
    for name, field in model.model_fields.items():
        inner = next(_sections(field.annotation), None)
        if inner is None:
            yield prefix + name
        else:
            yield from options_of(inner, f"{prefix}{name}.")


def merged(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """The trees as one; of two values the later one."""
    found: dict[str, Any] = {}
    for tree in trees:
        for name, value in tree.items():
            inner = found.get(name)
            if isinstance(value, Mapping) and isinstance(inner, Mapping):
                found[name] = merged(inner, value)
            else:
                found[name] = value
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": c}` as `{"a": {"b": c}}`."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        tree = value
        for name in reversed(path.split(".")):
            tree = {name: tree}
        found = merged(found, tree)
    return found


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)
