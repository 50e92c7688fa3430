"""Files that the driver and the tasks of one stage leave for each other: whole folders, written once."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kgcorpus.contracts.links import remove
from kgcorpus.contracts.object_store import ObjectStore
from kgcorpus.contracts.store import temporary_name
from kgcorpus.contracts.store_folders import fetched_folder, open_kept, send_folder
from kgcorpus.kg.arrays import Folder, Group


class Scratch(Protocol):
    """The scratch space of one run of a stage. Pickled to its tasks.

    A repeated task writes a name again with the same rows; readers see one of the two.
    """

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Yield an empty local folder; on success its files are stored under `name`."""

    def reading(self, name: str) -> AbstractContextManager[Path]:
        """Yield a local folder with the files of `name`; map them before the block ends."""

    def share_cache(self, name: str) -> None:
        """Let the executors read OUT/cache/NAME, which the driver has made."""

    def remove(self) -> None:
        """Remove everything."""


@dataclass(frozen=True)
class LocalScratch:
    """A folder of a file system that driver and executors see under the same path."""

    folder: Path

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `Scratch`; the folder is renamed into place."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(target)
        temporary.mkdir()
        try:
            yield temporary
            try:
                os.rename(temporary, target)
            except OSError:
                # A repeated task: the first one's files may be mapped already.
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """See `Scratch`."""
        yield self.folder / name

    def share_cache(self, name: str) -> None:
        """See `Scratch`; the executors see OUT."""

    def remove(self) -> None:
        """See `Scratch`."""
        remove(self.folder)


def local_scratch(out: Path, stage: str) -> Scratch:
    """Return the emptied scratch space of a stage in the folder of a build."""
    scratch = LocalScratch(out / "scratch" / stage)
    scratch.remove()
    return scratch


@dataclass(frozen=True)
class StoreScratch:
    """Objects of a store, which each machine fetches once.

    Args:
        store: the build's folder.
        folder: relative to it; no other run of a stage has the same.
    """

    store: ObjectStore
    folder: str

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `Scratch`."""
        with tempfile.TemporaryDirectory(prefix="kgcorpus-scratch-") as folder:
            yield Path(folder)
            send_folder(self.store, f"{self.folder}/{name}", Path(folder))

    def reading(self, name: str) -> AbstractContextManager[Path]:
        """See `Scratch`."""
        return fetched_folder(self.store, f"{self.folder}/{name}")

    def share_cache(self, name: str) -> None:
        """See `Scratch`."""

        def missing(folder: Path) -> None:
            raise FileNotFoundError(f"cache/{name}")

        key = f"cache/{name}"
        open_kept(self.store, key, opened=lambda folder: send_folder(self.store, key, folder), make=missing)

    def remove(self) -> None:
        """See `Scratch`."""
        self.store.delete(self.store.list(self.folder))


@dataclass(frozen=True)
class ScratchArrays:
    """Groups of arrays that tasks leave for each other (`kgcorpus.kg.arrays.Arrays`)."""

    scratch: Scratch

    def put(self, name: str, group: Group) -> None:
        """See `Arrays`."""
        with self.scratch.writing(name) as folder:
            Folder(folder).put("", group)

    @contextmanager
    def growing(self, name: str) -> Iterator[Callable[[Group], None]]:
        """See `Arrays`."""
        with self.scratch.writing(name) as folder, Folder(folder).growing("") as add:
            yield add

    def get(self, name: str) -> Group:
        """See `Arrays`."""
        with self.scratch.reading(name) as folder:
            return Folder(folder).get("")

    def forget(self, name: str) -> None:
        """See `Arrays`; the files stay for a repeated task and go with the scratch space."""
