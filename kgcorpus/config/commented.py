"""A configuration file with a comment on every field, for `kgcorpus init`."""

import textwrap
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_WIDTH = 96
_HEAD = """\
# Configuration of `kgcorpus build-corpus --config`. A line that begins with `#` is a comment: fields that are
# commented out show their defaults. Remove the `#` to set a field. Relative paths start at the working
# directory; `${NAME}` and `${NAME:-default}` are replaced by the environment's variables.
"""


def commented_yaml(model: type[BaseModel], values: Mapping[str, Any]) -> str:
    """Render values as YAML; each field has its description above it.

    Fields without a value are commented out and show their default. `loading.load` reads the result as
    `values`.

    Args:
        model: the configuration's class.
        values: the settings, as a mapping of sections and fields.
    """
    return _HEAD + "\n" + "\n".join(_lines(model, values, indent="")) + "\n"


def _lines(model: type[BaseModel], values: Mapping[str, Any], *, indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        section = _section(field)
        if section is not None:
            yield from _section_lines(name, section, values.get(name), indent)
            continue
        item = _item(field)
        described = field.description or ""
        if item is not None:
            described += f"; a list of {{{', '.join(item.model_fields)}}}"
        yield from _comment(described, indent)
        yield from _field_lines(name, field, values, indent, is_list=item is not None)
        if not indent:
            yield ""


def _section_lines(
    name: str, section: type[BaseModel], values: Mapping[str, Any] | None, indent: str
) -> Iterator[str]:
    yield from _comment((section.__doc__ or "").partition("\n\n")[0], indent)
    defaults = {
        key: field.get_default(call_default_factory=True) for key, field in section.model_fields.items()
    }
    lines = [f"{name}:", *_lines(section, values or defaults, indent="  ")]
    # A section without values is commented out as a whole, so that removing each line's first `# ` sets it.
    yield from (f"{indent}{'' if values else '# '}{line}" for line in lines)
    yield ""


def _field_lines(
    name: str, field: FieldInfo, values: Mapping[str, Any], indent: str, *, is_list: bool
) -> Iterator[str]:
    if name not in values:
        yield f"{indent}# {name}: {_value(field.get_default(call_default_factory=True))}"
    elif is_list and values[name]:
        yield f"{indent}{name}:"
        yield from (f"{indent}  - {_value(item)}" for item in values[name])
    else:
        yield f"{indent}{name}: {_value(values[name])}"


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), _WIDTH - len(indent)):
        yield f"{indent}# {line}"


def _value(value: Any) -> str:
    match value:
        case Mapping():
            inner = ", ".join(f"{_value(key)}: {_value(part)}" for key, part in value.items())
            return f"{{{inner}}}"
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case str():
            return _string(value)
        case _:
            return yaml.safe_dump(value).partition("\n")[0]


def _string(value: str) -> str:
    """The string itself where YAML reads it as this string also within `[]` and `{}`, else in quotes."""
    try:
        is_plain = bool(value) and yaml.safe_load(f"[{value}]") == [value] and not value.startswith("-")
    except (yaml.YAMLError, ValueError):
        is_plain = False
    if is_plain and yaml.safe_load(f"{{k: {value}}}") == {"k": value}:
        return value
    return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=float("inf")).rstrip("\n")


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _item(field: FieldInfo) -> type[BaseModel] | None:
    """The class of a list's items, if they are sections."""
    kinds = [kind for kind in typing.get_args(field.annotation) if isinstance(kind, type)]
    return next((kind for kind in kinds if issubclass(kind, BaseModel)), None)
