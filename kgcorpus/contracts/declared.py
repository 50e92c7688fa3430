"""Access to the configuration fields that a stage declares, as typed sections and as JSON."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from kgcorpus.contracts.errors import KgcorpusError

C = TypeVar("C")


def config_value(config: Any, path: str) -> Any:
    """The value at a dotted path; the path goes through tuples elementwise."""
    for name in path.split("."):
        config = (
            tuple(getattr(item, name) for item in config)
            if isinstance(config, tuple)
            else getattr(config, name)
        )
    return config


def config_json(config: Any, paths: Collection[str]) -> dict[str, Any]:
    """Dotted path -> its value, as JSON has it."""
    return {path: _plain(config_value(config, path)) for path in paths}


def declared(config: C, paths: Collection[str], *, reader: str) -> C:
    """Return a configuration that has only some of its fields.

    A section that is declared as a whole is the section itself.

    Args:
        config: the whole configuration.
        paths: the dotted fields that can be read.
        reader: who declares them, for the error.

    Raises:
        KgcorpusError: another field is read.
    """
    return cast(C, _Declared(config, frozenset(paths), reader, ""))


@dataclass(frozen=True)
class _Declared:
    """A section of which some fields can be read."""

    _section: Any
    _paths: frozenset[str]
    _reader: str
    _prefix: str

    def __getattr__(self, name: str) -> Any:
        # Protocols such as pickle's look methods up that may be absent.
        if name.startswith("__"):
            raise AttributeError(name)
        path = f"{self._prefix}{name}"
        value = getattr(self._section, name)
        if path in self._paths:
            return value
        if not any(field.startswith(f"{path}.") for field in self._paths):
            raise KgcorpusError(
                f"the stage reads {path}, which it does not declare",
                where=self._reader,
                hint="Add it to the stage's params",
            )
        if isinstance(value, tuple):
            return tuple(_Declared(item, self._paths, self._reader, f"{path}.") for item in value)
        return _Declared(value, self._paths, self._reader, f"{path}.")


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
