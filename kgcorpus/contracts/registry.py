"""Registries of named values: built-in, from entry points of packages, and registered by a program.

A package registers a value by an entry point of the registry's group. Its object is the value itself; nothing
else of the package is called.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, TypeVar

from kgcorpus.contracts.errors import EnvironmentLacksError, KgcorpusError, UsageError, known_names


class Named(Protocol):
    """What can be registered."""

    @property
    def name(self) -> str:
        """What it is found by."""


V = TypeVar("V", bound=Named)


class Registry(Mapping[str, V]):
    """Name -> value, in the order of registration: built-in, from entry points, by calls.

    Entry points are loaded when a name is not built in, or when all names are asked for.

    Args:
        kind: what a value is called in messages, e.g. `table`.
        values: the built-in ones.
        of: the type of the values.
        group: the group of entry points, e.g. `kgcorpus.tables`.
    """

    def __init__(self, kind: str, values: Iterable[V], *, of: type[V], group: str) -> None:
        self.kind, self.group = kind, group
        self._of = of
        self._values = {value.name: value for value in values}
        self._built_in = frozenset(self._values)
        self._called: set[str] = set()
        self._loaded = False

    def register(self, value: V) -> V:
        """Add a value and return it; one that an earlier call added under the same name is replaced.

        Raises:
            UsageError: the value has another type, or its name belongs to a built-in or a package's value.
        """
        self._load()
        if isinstance(value, self._of) and value.name in self._called:
            del self._values[value.name]
        self._add(value, where="")
        self._called.add(value.name)
        return value

    def unregister(self, name: str) -> None:
        """Remove a value that a call added; another name is ignored."""
        if name in self._called:
            self._called.remove(name)
            del self._values[name]

    def find(self, name: str) -> V:
        """Return the value of a name that a user gave.

        Raises:
            UsageError: there is none; the error lists all names.
        """
        if name not in self:
            hint = known_names(name, self, listed=f"The {self.kind}s are")
            raise UsageError(f"no such {self.kind}", where=name, hint=hint)
        return self[name]

    def __getitem__(self, name: str) -> V:
        if name not in self._values:
            self._load()
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(self._values)

    def __len__(self) -> int:
        self._load()
        return len(self._values)

    def _add(self, value: object, *, where: str) -> None:
        if not isinstance(value, self._of):
            raise UsageError(f"{value!r} is not a {self._of.__name__}", where=where)
        if value.name in self._values:
            raise UsageError(
                f"there is a {self.kind} of this name already",
                where=where or value.name,
                hint=f"Rename {value.name}",
            )
        self._values[value.name] = value

    def _load(self) -> None:
        if self._loaded:
            return
        # Before the loop: a package's module may look names up while it is imported.
        self._loaded = True
        try:
            for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
                self._add(_load(point), where=_described(point))
        except KgcorpusError:
            self._loaded = False
            raise


def _load(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        raise EnvironmentLacksError(
            f"the entry point cannot be loaded ({type(error).__name__}: {error})",
            where=_described(point),
            hint="Correct or uninstall the package",
        ) from error


def _described(point: EntryPoint) -> str:
    package = f"{point.dist.name}, " if point.dist else ""
    return f"{package}entry point {point.name} of {point.group}"
