"""SHA-256 digests of files, cached by the file's stamp: size, times and inode.

A file is hashed again only if its stamp has changed. Every write and every replacement changes the stamp,
even if the modification time is restored.
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
# The digest file next to a manifest.
MEMORY = ".sources.json"
# The digest file in a cache folder.
SEAL = "digests.json"
# Path -> digest of files that this process has sealed.
_sealed: dict[str, str] = {}


def stamp_of(status: os.stat_result) -> Stamp:
    """Return [size, modification time, inode, change time].

    The modification time is not sufficient: archives of reproducible builds give all files the same one. Only
    the kernel sets the change time.
    """
    return [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]


class FileDigests:
    """Digests of files, cached in a JSON file: key -> [*stamp, digest].

    Keys of files below the JSON file's folder are relative, so the folder can be moved.

    Args:
        memory: the JSON file; treated as empty if it is missing or damaged.

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
        """Return the cached digest if the stamp is equal, otherwise the result of `hash_file`."""
        if not self.knows(key, stamp):
            digest = hash_file()
            self.hashed.add(key)
            self._put(key, stamp, digest)
        return str(self._known[key][-1])

    def knows(self, key: str, stamp: Stamp) -> bool:
        """Whether the digest of a file with this stamp is cached."""
        return self._known.get(key, [""])[:-1] == stamp

    def bytes_to_hash(self, paths: Iterable[Path]) -> int:
        """Return the bytes of those of the regular files whose digests are not cached."""
        found = [(path, path.stat()) for path in paths if path.is_file()]
        new = (status for path, status in found if not self.knows(self.key(path), stamp_of(status)))
        return sum(status.st_size for status in new)

    def record(self, path: Path, digest: str) -> None:
        """Store the digest of a file that was hashed under another name."""
        self._put(self.key(path), stamp_of(require_regular_file(path)), digest)

    def is_as_recorded(self, path: Path) -> bool:
        """Whether a cache file is unchanged since it was recorded on this machine.

        Compiled code trusts cache files, and the author of a copied folder may have written the record too.
        Therefore the stamp must be equal, not only the bytes: a copied or unpacked file has another inode and
        change time.
        """
        *known, _ = self._known.get(self.key(path), [""])
        try:
            stamp = stamp_of(require_regular_file(path))
        except InputError:
            return False
        # Another process may have replaced the file with its own identical cache file.
        made = _sealed.get(os.path.realpath(path))
        return known == stamp or (made is not None and sha256_of(path) == made)

    def keys(self) -> list[str]:
        """Return all keys, in the order of their records."""
        return list(self._known)

    def save(self) -> None:
        """Write the JSON file, merged with entries that other processes have written.

        If the folder is not writable, nothing is saved, and each process hashes the files it reads.
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
        """Return the key of a file."""
        full, folder = os.path.realpath(path), os.path.realpath(self._memory.parent)
        return os.path.relpath(full, folder) if full.startswith(folder + os.sep) else full


def seal(folder: Path, names: Iterable[str]) -> None:
    """Record the files of a cache in FOLDER/digests.json, which is written last and marks it as complete.

    Args:
        names: paths relative to the folder.
    """
    # An older record may contain files that no longer exist.
    (folder / SEAL).unlink(missing_ok=True)
    digests = FileDigests(folder / SEAL)
    for name in names:
        _sealed[os.path.realpath(folder / name)] = digests.of(folder / name)
    digests.save()


def sealed_files(folder: Path) -> list[Path]:
    """Return the files that `seal` recorded, sorted; empty if there is no record or any file has changed."""
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
