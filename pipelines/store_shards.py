"""Shards in an object store: each is written to a local file, then put whole under its final key.

The key contains the fingerprint and the bytes are a function of it, so a repeated write changes nothing.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.digests import FileDigests
from kgcorpus.contracts.object_store import ObjectStore
from kgcorpus.contracts.store import sha256_of
from pipelines.shard_folders import ShardFacts, counters_in

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreShards:
    """See `ShardFolder`.

    Args:
        store: the build's folder.
        folder: relative to it.
    """

    store: ObjectStore
    folder: str

    @property
    def place(self) -> str:
        """See `ShardFolder`."""
        return f"{self.store.url}/{self.folder}"

    def path(self, name: str) -> str:
        """See `ShardFolder`."""
        return f"{self.place}/{name}"

    def whole(self) -> frozenset[str]:
        """See `ShardFolder`."""
        names = (key.rpartition("/")[2] for key in self.store.list(self.folder))
        return frozenset(name for name in names if name.endswith(".parquet"))

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `ShardFolder`; the digest is stored with the object."""
        with tempfile.TemporaryDirectory(prefix="kgcorpus-shard-") as folder:
            path = Path(folder) / name
            yield path
            self.store.put(f"{self.folder}/{name}", path, sha256=sha256_of(path))

    def facts(self, name: str, digests: FileDigests) -> ShardFacts:
        """See `ShardFolder`; the bytes are read only if no digest is stored with them."""
        key = f"{self.folder}/{name}"
        digest, size = self._digest(key)
        footer = self._footer(key)
        return ShardFacts(footer.num_rows, size, digest, counters_in(footer, where=self.path(name)))

    def counters(self) -> Counter[str]:
        """See `ShardFolder`."""
        found = (
            counters_in(self._footer(f"{self.folder}/{name}"), where=self.path(name)) for name in self.whole()
        )
        return sum(found, Counter())

    def bytes_to_hash(self, names: Iterable[str], digests: FileDigests) -> int:
        """See `ShardFolder`."""
        return 0

    def remove_damaged(self, digest_of: Mapping[str, str]) -> None:
        """See `ShardFolder`."""
        for name in sorted(self.whole()):
            key = f"{self.folder}/{name}"
            try:
                self._footer(key)
                whole = name not in digest_of or self._digest(key)[0] == digest_of[name]
            except pa.ArrowInvalid:
                whole = False
            if not whole:
                log.warning("%s is damaged and is written again", self.path(name))
                self.store.delete([key])

    def remove(self) -> None:
        """See `ShardFolder`."""
        self.store.delete(self.store.list(self.folder))

    def _footer(self, key: str) -> Any:
        with self.store.open(key) as stream:
            return pq.read_metadata(stream)

    def _digest(self, key: str) -> tuple[str, int]:
        digest, size = self.store.digest_of(key)
        if digest:
            return digest, size
        with tempfile.TemporaryDirectory(prefix="kgcorpus-shard-") as folder:
            path = Path(folder) / "shard"
            self.store.download(key, path)
            return sha256_of(path), size
