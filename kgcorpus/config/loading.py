"""Loading of YAML, `${VAR:-default}` and `--set a.b=c` into a validated configuration; writing it as YAML."""

import copy
import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from kgcorpus.config.build import BuildConfig
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.remote import is_text
from kgcorpus.contracts.secrets import redact_all, remember
from kgcorpus.contracts.yaml_reader import parse_yaml, read_yaml
from kgcorpus.presets import preset

M = TypeVar("M", bound=BaseModel)


Source = str | Path | Mapping[str, Any] | BaseModel | None


def load(
    model: type[M],
    source: Source,
    *,
    overrides: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> M:
    """Read a YAML file into `model`, apply `a.b=c` overrides, validate.

    Args:
        source: a YAML file, the name of one in conf/ (`preset`), a mapping of the same keys, or a
            configuration; None for the defaults only.
        overrides: `dotted.key=value`, the value in YAML.
        variables: values of `${VAR}`; default: the environment.

    Raises:
        UsageError: unreadable file, bad YAML, unknown key (naming the nearest), wrong value.
    """
    data = settings(source, overrides=overrides, variables=variables)
    return validated(model, data, where=str(source) if isinstance(source, str | Path) else "configuration")


def settings(
    source: Source, *, overrides: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return a source's keys with the overrides, not yet validated; arguments and errors as of `load`."""
    match source:
        case None:
            data = {}
        case BaseModel():
            data = source.model_dump(mode="json")
        case Mapping():
            data = copy.deepcopy(dict(source))
        case _:
            data = _mapping(preset(Path(source)), os.environ if variables is None else variables)
    for override in overrides:
        _apply(data, override)
    remember(data)
    return data


def load_resolved(folder: Path, *, overrides: Sequence[str] = ()) -> BuildConfig:
    """Read the config.yaml of a build, which may come from others: `${VAR}` in it is text.

    Raises:
        UsageError: as `load`.
    """
    data = _mapping(folder / "config.yaml", None)
    for override in overrides:
        _apply(data, override)
    return validated(BuildConfig, data, where=str(folder / "config.yaml"))


def validated(model: type[M], data: Mapping[str, Any], *, where: str) -> M:
    """`data` as a `model`.

    Raises:
        UsageError: unknown key (naming the nearest), wrong value, or a value that is not UTF-8.
    """
    for value in _strings(data):
        if not is_text(value):
            raise UsageError(
                f"the value {value!a} holds bytes that are not UTF-8",
                where=where,
                hint="Rename the file or folder",
            )
    try:
        return model.model_validate(data)
    except ValidationError as error:
        message = "; ".join(_explain(model, item) for item in _roots(error.errors()))
        raise UsageError(message, where=where) from None


def _strings(data: Any) -> Iterator[str]:
    """All strings within mappings and lists."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        yield from (text for value in data.values() for text in _strings(value))
    elif isinstance(data, list | tuple):
        yield from (text for value in data for text in _strings(value))


def put(data: dict[str, Any], key: str, value: Any, *, where: str) -> None:
    """Set a dotted key.

    Raises:
        UsageError: one of its parents is no section.
    """
    *parents, last = key.split(".")
    node = data
    for name in parents:
        if node.get(name) is None:
            node[name] = {}
        child = node[name]
        if not isinstance(child, dict):
            raise UsageError(f"{key}: {name} is not a section", where=where)
        # An alias of YAML makes one object of two sections.
        node[name] = node = dict(child)
    node[last] = value


def to_yaml(config: BaseModel) -> str:
    """The configuration as resolved, fit to be published: without `spark`, and without secrets in URLs."""
    values = redact_all(config.model_dump(mode="json", exclude={"spark"}))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def is_publishable(data: Any) -> bool:
    """Whether a configuration that was read back holds no Spark settings, and no secrets in URLs."""
    spark = data.get("spark") if isinstance(data, Mapping) else None
    return not (isinstance(spark, Mapping) and spark.get("conf")) and redact_all(data) == data


def _mapping(file: Path, variables: Mapping[str, str] | None) -> dict[str, Any]:
    data = read_yaml(file, variables)
    if data is not None and not isinstance(data, dict):
        raise UsageError("must be a mapping of keys to values", where=str(file))
    return data or {}


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise UsageError(f"--set needs key=value, not {override!r}")
    put(data, key, parse_yaml(value, where=f"--set {key}"), where="--set")


def _roots(errors: Sequence[Any]) -> list[Any]:
    """The errors without those that only follow: a list lacks an item because the item is wrong."""
    inner = {error["loc"][:n] for error in errors for n in range(len(error["loc"]))}
    return [error for error in errors if error["loc"] not in inner]


def _explain(model: type[BaseModel], error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        # A check of several fields has no path.
        return ": ".join(filter(None, (path, error["msg"].removeprefix("Value error, "))))
    near = difflib.get_close_matches(path, list(_keys(model)), n=1, cutoff=0.5)
    return f"unknown key {path}" + (f", did you mean {near[0]}?" if near else "")


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _keys(kind, f"{prefix}{name}.")
