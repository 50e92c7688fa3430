"""Folders of a table's shards: which shards are whole, how one is written, and what the manifest says of it.

A shard appears whole under its final name or not at all, so that a killed stage redoes only what is missing.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.digests import FileDigests
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.links import entries_of, remove
from kgcorpus.contracts.store import replacing, sha256_of

log = logging.getLogger(__name__)
METADATA_KEY = b"kgcorpus"


@dataclass(frozen=True)
class ShardFacts:
    """A shard's rows, bytes, SHA-256, and the sums of its counters."""

    rows: int
    bytes: int
    sha256: str
    counters: Counter[str]


class ShardFolder(Protocol):
    """The shards of one table with one fingerprint. Pickled to the tasks that write them."""

    @property
    def place(self) -> str:
        """The folder's path or URL."""

    def path(self, name: str) -> str:
        """The path or URL under which a task reads a shard."""

    def whole(self) -> frozenset[str]:
        """The names of the shards that exist."""

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Yield a temporary file; on success it becomes the shard, on failure it is removed."""

    def facts(self, name: str, digests: FileDigests) -> ShardFacts:
        """Describe a whole shard.

        Raises:
            InputError: its counters are damaged.
        """

    def counters(self) -> Counter[str]:
        """The sums of all whole shards."""

    def bytes_to_hash(self, names: Iterable[str], digests: FileDigests) -> int:
        """Bytes that `facts` would read to hash these shards."""

    def remove_damaged(self, digest_of: Mapping[str, str]) -> None:
        """Remove shards that cannot be read or have another digest; they are written again.

        Args:
            digest_of: name -> SHA-256 of the shards that a manifest names.
        """

    def remove(self) -> None:
        """Remove all shards."""


@dataclass(frozen=True)
class LocalShards:
    """A folder of a file system that driver and executors see: shards are renamed into place."""

    folder: Path

    @property
    def place(self) -> str:
        """See `ShardFolder`."""
        return str(self.folder)

    def path(self, name: str) -> str:
        """See `ShardFolder`."""
        return str(self.folder / name)

    def whole(self) -> frozenset[str]:
        """See `ShardFolder`."""
        return frozenset(path.name for path in self._shards())

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """See `ShardFolder`."""
        return replacing(self.folder / name)

    def facts(self, name: str, digests: FileDigests) -> ShardFacts:
        """See `ShardFolder`."""
        path = self.folder / name
        rows, counters = pq.read_metadata(path).num_rows, read_counters(path)
        return ShardFacts(rows, path.stat().st_size, digests.of(path), counters)

    def counters(self) -> Counter[str]:
        """See `ShardFolder`."""
        return sum((read_counters(path) for path in self._shards()), Counter())

    def bytes_to_hash(self, names: Iterable[str], digests: FileDigests) -> int:
        """See `ShardFolder`."""
        return digests.bytes_to_hash(self.folder / name for name in names)

    def remove_damaged(self, digest_of: Mapping[str, str]) -> None:
        """See `ShardFolder`."""
        for path in self._shards():
            try:
                pq.read_metadata(path)
                whole = path.name not in digest_of or sha256_of(path) == digest_of[path.name]
            except (pa.ArrowInvalid, OSError):
                whole = False
            if not whole:
                log.warning("%s is damaged and is written again", path)
                path.unlink()

    def remove(self) -> None:
        """See `ShardFolder`."""
        remove(self.folder)

    def _shards(self) -> list[Path]:
        return [path for path in entries_of(self.folder) if path.suffix == ".parquet"]


def read_counters(path: Path) -> Counter[str]:
    """The sums that a shard contains.

    Raises:
        InputError: they are damaged.
    """
    return counters_in(pq.read_metadata(path), where=str(path))


def counters_in(footer: Any, *, where: str) -> Counter[str]:
    """The sums in a Parquet footer; `where` names the file in the error.

    Raises:
        InputError: they are damaged.
    """
    try:
        sums = parse_json((footer.metadata or {}).get(METADATA_KEY, b"{}"))
        return Counter({str(name): int(n) for name, n in sums.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"its counters cannot be read ({error})", where=where, hint="Delete it and build again"
        ) from None
