"""Named groups of arrays, in memory or as memory-mapped files, so that one code path serves both."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.store import replacing

Group = dict[str, NDArray[Any]]


class Arrays(Protocol):
    """Where a pass leaves arrays for the next."""

    def put(self, name: str, group: Group) -> None:
        """Keep the group; a name is put once, or again with the same content."""

    def growing(self, name: str) -> AbstractContextManager[Callable[[Group], None]]:
        """Keep a group whose arrays [n] come in pieces; yields a function that adds one to each."""

    def get(self, name: str) -> Group:
        """The group."""

    def forget(self, name: str) -> None:
        """Declare that the group is not needed again, except by a repeated task."""


class Memory:
    """Arrays of this process."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def put(self, name: str, group: Group) -> None:
        """See `Arrays`."""
        self._groups[name] = group

    @contextmanager
    def growing(self, name: str) -> Iterator[Callable[[Group], None]]:
        """See `Arrays`."""
        pieces: defaultdict[str, list[NDArray[Any]]] = defaultdict(list)

        def add(group: Group) -> None:
            for part, array in group.items():
                pieces[part].append(array)

        yield add
        self.put(name, {part: np.concatenate(arrays) for part, arrays in pieces.items()})

    def get(self, name: str) -> Group:
        """See `Arrays`."""
        return self._groups[name]

    def forget(self, name: str) -> None:
        """See `Arrays`."""
        del self._groups[name]

    def delete(self, name: str) -> None:
        """Delete the group."""
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

    @contextmanager
    def growing(self, name: str) -> Iterator[Callable[[Group], None]]:
        """See `Arrays`."""
        with ExitStack() as stack:
            files: dict[str, _GrowingFile] = {}

            def add(group: Group) -> None:
                for part, array in group.items():
                    if part not in files:
                        path = self._folder / name / f"{part}.npy"
                        files[part] = stack.enter_context(_GrowingFile.open(path, array.dtype))
                    files[part].add(array)

            yield add

    def get(self, name: str) -> Group:
        """See `Arrays`."""
        # Copy-on-write, for compiled code would be compiled again for arrays that are read-only.
        return {
            path.stem: np.asarray(np.load(path, mmap_mode="c"))
            for path in sorted((self._folder / name).glob("*.npy"))
        }

    def forget(self, name: str) -> None:
        """See `Arrays`; files stay for a repeated task and go with the folder."""

    def delete(self, name: str) -> None:
        """Delete the group; only a task that alone uses it may."""
        shutil.rmtree(self._folder / name)


class _GrowingFile:
    """A file of NumPy's format whose array [n] is written in pieces."""

    def __init__(self, file: BinaryIO, dtype: "np.dtype[Any]") -> None:
        self._file, self._dtype, self._rows = file, dtype, 0
        self._write_header()

    @classmethod
    @contextmanager
    def open(cls, path: Path, dtype: "np.dtype[Any]") -> Iterator[Self]:
        """The file appears whole, at the end."""
        with replacing(path) as temporary, open(temporary, "wb") as file:
            growing = cls(file, dtype)
            yield growing
            file.seek(0)
            growing._write_header()

    def add(self, array: NDArray[Any]) -> None:
        """Append the array."""
        np.ascontiguousarray(array, self._dtype).tofile(self._file)
        self._rows += len(array)

    def _write_header(self) -> None:
        # NumPy pads it for any number of rows, so that its size does not change.
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows,),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
