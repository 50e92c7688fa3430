"""What is read is verified once: the sha256 of files, remembered by size, times and inode.

A file that keeps its stamp is not hashed again. Any write, also one that restores the modification time, and
any replacement changes the stamp, and the next reader hashes the file.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.store import sha256_of, write_text

Stamp = list[Any]
# Beside a manifest.
MEMORY = ".sources.json"
# In a cache.
SEAL = "digests.json"
# Path -> digest of what this process has sealed itself.
_sealed: dict[str, str] = {}


def stamp_of(status: os.stat_result) -> Stamp:
    """[size, modification time, inode, change time]: content that differs has another one.

    Archives of reproducible builds give every file one modification time; the kernel alone sets the change
    time.
    """
    return [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]


class FileDigests:
    """The sha256 of files, remembered in a JSON file: key -> [*stamp, digest].

    Keys of files under the memory's folder are relative, so that the folder may be moved.

    Args:
        memory: the JSON file; one that is absent or damaged remembers nothing.

    Attributes:
        hashed: keys of the files that this object has hashed.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known = _read(memory)
        self._new: dict[str, list[Any]] = {}
        self.hashed: set[str] = set()

    def of(self, path: str | Path) -> str:
        """Return the hex digest of a local file.

        Raises:
            InputError: there is no such file, or it is not a regular one.
        """
        stamp = stamp_of(require_regular_file(path))
        return self.remembered(self.key(path), stamp, lambda: sha256_of(path))

    def remembered(self, key: str, stamp: Stamp, hash_file: Callable[[], str]) -> str:
        """Return the digest that is known under this stamp, else what `hash_file` gives."""
        *known, digest = self._known.get(key, [""])
        if known != stamp:
            digest = hash_file()
            self.hashed.add(key)
            self._put(key, stamp, digest)
        return digest

    def record(self, path: Path, digest: str) -> None:
        """Remember the digest of a file that was hashed under another name."""
        self._put(self.key(path), stamp_of(require_regular_file(path)), digest)

    def is_as_recorded(self, path: Path) -> bool:
        """Whether a file of a cache, which no manifest names, is the one that was recorded.

        Compiled code trusts a cache, and who gave the folder away may have written the record too. So equal
        bytes are not enough: in a copy or an archive no file has the change time and inode of the record.
        """
        *known, _ = self._known.get(self.key(path), [""])
        try:
            stamp = stamp_of(require_regular_file(path))
        except InputError:
            return False
        # Another process that made the same cache at the same time may have replaced what this one sealed.
        made = _sealed.get(os.path.realpath(path))
        return known == stamp or (made is not None and sha256_of(path) == made)

    def keys(self) -> list[str]:
        """What files are called here, in the order of their records."""
        return list(self._known)

    def save(self) -> None:
        """Write the memory, joined with what other processes have written meanwhile.

        In a folder that cannot be written to nothing is remembered, and each process hashes what it reads.
        """
        if not self._new:
            return
        folder = self._memory.parent
        joined = {**_read(self._memory), **self._new}
        kept = {key: row for key, row in joined.items() if "://" in key or (folder / key).exists()}
        with contextlib.suppress(OSError):
            write_text(self._memory, json.dumps(kept))
        self._new = {}

    def _put(self, key: str, stamp: Stamp, digest: str) -> None:
        self._known[key] = self._new[key] = [*stamp, digest]

    def key(self, path: str | Path) -> str:
        """Return what a file is called in the memory."""
        full, folder = os.path.realpath(path), os.path.realpath(self._memory.parent)
        return os.path.relpath(full, folder) if full.startswith(folder + os.sep) else full


def seal(folder: Path, names: Iterable[str]) -> None:
    """Record the files of a cache in FOLDER/digests.json, written last: with it the cache is whole.

    Args:
        names: paths relative to the folder.
    """
    # An older record may name files that are not made any more.
    (folder / SEAL).unlink(missing_ok=True)
    digests = FileDigests(folder / SEAL)
    for name in names:
        _sealed[os.path.realpath(folder / name)] = digests.of(folder / name)
    digests.save()


def sealed_files(folder: Path) -> list[Path]:
    """The files that `seal` recorded, sorted; empty if it was never called, or one is another file now."""
    digests = FileDigests(folder / SEAL)
    files = [folder / name for name in sorted(digests.keys()) if not Path(name).is_absolute()]
    return files if all(digests.is_as_recorded(file) for file in files) else []


def _read(memory: Path) -> dict[str, list[Any]]:
    try:
        require_regular_file(memory)
        found = parse_json(memory.read_bytes())
        rows = found.items() if isinstance(found, dict) else ()
        return {key: row for key, row in rows if isinstance(row, list) and row and isinstance(row[-1], str)}
    except (InputError, OSError, ValueError):
        return {}
