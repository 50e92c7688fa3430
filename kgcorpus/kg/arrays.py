"""Named groups of arrays, in memory or as memory-mapped files, so that one code path serves both."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.store import replacing

Group = dict[str, NDArray[Any]]


class Arrays(Protocol):
    """Where a pass leaves arrays for the next."""

    def put(self, name: str, group: Group) -> None:
        """Keep the group; a name is put once, or again with the same content."""

    def get(self, name: str) -> Group:
        """The group."""

    def forget(self, name: str) -> None:
        """The group will not be asked for again, unless by a task that is repeated."""


class Memory:
    """Arrays of this process."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def put(self, name: str, group: Group) -> None:
        """See `Arrays`."""
        self._groups[name] = group

    def get(self, name: str) -> Group:
        """See `Arrays`."""
        return self._groups[name]

    def forget(self, name: str) -> None:
        """See `Arrays`."""
        del self._groups[name]


class Folder:
    """Arrays in files, shared by the processes that map them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, group: Group) -> None:
        """See `Arrays`; each file appears whole, so that a repeated task does no harm."""
        place = self._folder / name
        place.mkdir(parents=True, exist_ok=True)
        for part, array in group.items():
            with replacing(place / f"{part}.npy") as temporary, open(temporary, "wb") as file:
                np.save(file, array)

    def get(self, name: str) -> Group:
        """See `Arrays`."""
        # Copy-on-write, for compiled code would be compiled again for arrays that are read-only.
        return {
            path.stem: np.asarray(np.load(path, mmap_mode="c"))
            for path in sorted((self._folder / name).glob("*.npy"))
        }

    def forget(self, name: str) -> None:
        """See `Arrays`; files stay for a repeated task and go with the folder."""
