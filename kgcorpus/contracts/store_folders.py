"""Folders of read-only files in an object store: sent once, fetched once by each machine (`node_cache`).

KEY/index.json names the files with their hashes and sizes; it is written last. The bytes of a file are at
KEY/HASH, so two processes that send different bytes for the same folder do not mix them.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from kgcorpus.contracts.digests import SEAL, FileDigests
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.links import files_below
from kgcorpus.contracts.node_cache import Reserve, cached
from kgcorpus.contracts.object_store import ObjectStore
from kgcorpus.contracts.store import sha256_of

INDEX = "index.json"
_HASH_CHARACTERS = 32
T = TypeVar("T")


def send_folder(store: ObjectStore, key: str, folder: Path) -> None:
    """Send the files of a folder, unless the same files are there.

    Args:
        key: of the folder, relative to the store's URL.
        folder: with at least one file; if it is sealed, files that have not changed are not hashed again.
    """
    digests = FileDigests(folder / SEAL)
    paths = [path for path in files_below(folder) if path.name != SEAL]
    files = {
        path.relative_to(folder).as_posix(): [digests.of(path), path.stat().st_size] for path in sorted(paths)
    }
    index = json.dumps(files).encode()
    there = store.get(f"{key}/{INDEX}")
    if there is not None and there[0] == index:
        return
    for name, (digest, _) in files.items():
        store.put(_key_of(key, str(digest)), folder / name, sha256=str(digest))
    store.put(f"{key}/{INDEX}", index)


@contextmanager
def fetched_folder(store: ObjectStore, key: str) -> Iterator[Path]:
    """Yield this machine's copy of a folder; the caller maps its files before the block ends.

    Raises:
        InputError: the folder was not sent, or an object is damaged.
    """
    with cached(f"{store.url}/{key}", partial(_require_fetched, store, key)) as folder:
        yield folder


def open_kept(
    store: ObjectStore, key: str, *, opened: Callable[[Path], T], make: Callable[[Path], None]
) -> T:
    """Open this machine's copy of a folder that can be made again; it is fetched, or made if nobody sent it.

    Args:
        opened: maps the files of the folder.
        make: writes them.
    """

    def fetch(folder: Path, reserve: Reserve) -> None:
        if not _fetch(store, key, folder, reserve):
            make(folder)

    with cached(f"{store.url}/{key}", fetch) as folder:
        return opened(folder)


def _require_fetched(store: ObjectStore, key: str, folder: Path, reserve: Reserve) -> None:
    if not _fetch(store, key, folder, reserve):
        raise InputError(
            "no such object",
            where=f"{store.url}/{key}/{INDEX}",
            hint="Run the same kgcorpus build-corpus again, when no other build is at work there",
        )


def _fetch(store: ObjectStore, key: str, folder: Path, reserve: Reserve) -> bool:
    """Fetch a folder's files; returns False if it was not sent."""
    index = store.get(f"{key}/{INDEX}")
    if index is None:
        return False
    files = _parsed(index[0], where=f"{store.url}/{key}/{INDEX}")
    reserve(sum(size for _, size in files.values()))
    for name, (digest, _) in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        store.download(_key_of(key, digest), target)
        if sha256_of(target) != digest:
            raise InputError(
                "its bytes are not those that its index names",
                where=f"{store.url}/{_key_of(key, digest)}",
                hint="Delete it and run the same kgcorpus build-corpus again",
            )
    return True


def _parsed(text: bytes, *, where: str) -> dict[str, tuple[str, int]]:
    """Parse an index: name -> (SHA-256, bytes)."""
    try:
        files = {str(name): (str(digest), int(size)) for name, (digest, size) in parse_json(text).items()}
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts or path.name == SEAL:
                raise ValueError(f"{name!r} is no path in a folder")
        return files
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"is no index ({error})", where=where, hint="Delete it and build again") from None


def _key_of(key: str, digest: str) -> str:
    return f"{key}/{digest[:_HASH_CHARACTERS]}"
