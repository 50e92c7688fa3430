"""A build whose folder is a URL of an object store.

Shards have immutable keys (`tables/TABLE/FINGERPRINT/NAME`), which readers derive from the manifest. The
manifest is replaced only if it is the version that this build read, and a lease keeps a second build out.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from kgcorpus.contracts.caches import work_folder
from kgcorpus.contracts.digests import MEMORY, FileDigests
from kgcorpus.contracts.errors import EnvironmentLacksError, KgcorpusError, UsageError
from kgcorpus.contracts.lease import SECONDS, Lease
from kgcorpus.contracts.manifest import MANIFEST, Manifest, TableEntry, key_of, parse_manifest, table_folder
from kgcorpus.contracts.object_store import Found, ObjectStore
from kgcorpus.contracts.places import BUILD_FILES, BUILD_FOLDERS, PROGRESS
from kgcorpus.contracts.stages import Source
from kgcorpus.contracts.store import folder_lock, sweep_temporaries
from pipelines.cleanup import remove_superseded
from pipelines.scratch import Scratch, StoreScratch, local_scratch
from pipelines.shard_folders import ShardFolder
from pipelines.store_shards import StoreShards

# Small files that a build reads back. The store's are the true ones; the local folder is scratch.
_READ_BACK = (MANIFEST, MEMORY, "config.yaml", "run.json")
_COPIES_AT_ONCE = 16
_PROGRESS_SECONDS = 10.0


class StoreBuild:
    """See `BuildFolder`.

    Args:
        url: OUT.
        lock: whether to hold a lease and to write conditionally; without, no other build may run there.
        seconds: the lease's term.
    """

    def __init__(self, url: str, *, lock: bool = True, seconds: float = SECONDS) -> None:
        self._store = ObjectStore(url)
        self.path = work_folder(self._store.url)
        self._is_locked, self._seconds = lock, seconds
        self._lease: Lease | None = None
        self._version: Any = None
        # Of the tables that this build has seen in a manifest; another build cannot be writing to these.
        self._known: set[str] = set()

    @property
    def place(self) -> str:
        """See `BuildFolder`."""
        return self._store.url

    @contextmanager
    def lock(self) -> Iterator[None]:
        """See `BuildFolder`; a lease that its owner renews."""
        with ExitStack() as stack:
            try:
                stack.enter_context(folder_lock(self.path, "build"))
            except UsageError as error:
                raise UsageError(error.what, where=self.place, hint=error.hint) from None
            if self._is_locked:
                lease = Lease(self._store, home=self.path, seconds=self._seconds)
                self._lease = stack.enter_context(lease.held())
            self._read_back()
            with self._sending_progress():
                yield
        self._lease = None

    def check(self, sources: Iterable[Source]) -> None:
        """See `BuildFolder`."""
        there = self._store.list()
        if MEMORY not in there and MANIFEST in there:
            raise UsageError("is a published build", where=self.place, hint="Choose another --out")
        if MEMORY not in there:
            ours = {*BUILD_FOLDERS, *BUILD_FILES} - {PROGRESS}
            if foreign := sorted(key for key in there if key.partition("/")[0] in ours):
                raise UsageError(
                    "no build made it, and one would remove it",
                    where=f"{self.place}/{foreign[0]}",
                    hint="Choose another --out",
                )
        for source in sources:
            if source.path.startswith(tuple(f"{self.place}/{name}/" for name in BUILD_FOLDERS)):
                raise UsageError(
                    "this input lies in --out, where a build removes files",
                    where=source.path,
                    hint="Move it, or choose another --out",
                )

    def load_manifest(self) -> Manifest:
        """See `BuildFolder`; its version is the condition of the next commit."""
        found = self._store.get(MANIFEST)
        if found is None:
            self._version = None
            return Manifest()
        self._version = found[1].version
        manifest = parse_manifest(found[0], where=f"{self.place}/{MANIFEST}")
        self._note(manifest)
        return manifest

    def commit(self, manifest: Manifest) -> None:
        """See `BuildFolder`.

        Raises:
            EnvironmentLacksError: the lease was lost, or another build has committed.
        """
        text = manifest.to_text().encode()
        self._require_held()
        if self._lease is None:
            self._store.put(MANIFEST, text)
        else:
            made = (
                self._store.create(MANIFEST, text)
                if self._version is None
                else self._store.replace(MANIFEST, text, self._version)
            )
            if made is None:
                raise EnvironmentLacksError(
                    "another build has replaced the manifest",
                    where=f"{self.place}/{MANIFEST}",
                    hint="Run the same command when no other build is at work: what is finished is kept",
                )
            self._version = made
        manifest.save(self.path)
        self._note(manifest)

    def is_whole(self, entry: TableEntry, digests: FileDigests) -> bool:
        """See `BuildFolder`; by the sizes of the shards and of their copies under data/."""
        folders = {table_folder(entry.stage, entry.fingerprint)}
        folders |= {file.path.rpartition("/")[0] for file in entry.files}
        there = {key: found.size for folder in folders for key, found in self._store.list(folder).items()}
        return all(
            there.get(key) == file.bytes for file in entry.files for key in (file.path, key_of(entry, file))
        )

    def shards(self, table: str, fingerprint: str) -> ShardFolder:
        """See `BuildFolder`."""
        return StoreShards(self._store, table_folder(table, fingerprint))

    def quarantine(self, table: str, fingerprint: str) -> Callable[[], AbstractContextManager[Path]]:
        """See `BuildFolder`."""
        return partial(StoreShards(self._store, f"quarantine/{table}").writing, f"{fingerprint[:12]}.jsonl")

    def scratch(self, stage: str, *, on_one_machine: bool) -> Scratch:
        """See `BuildFolder`; executors of other machines fetch from the store, once a machine."""
        if on_one_machine:
            return local_scratch(self.path, stage)
        return StoreScratch(self._store, f"scratch/{stage}/{os.urandom(8).hex()}")

    def publish(self, entry: TableEntry, digests: FileDigests) -> None:
        """See `BuildFolder`; the store copies the objects itself."""
        for number, file in enumerate(entry.files):
            if number % _COPIES_AT_ONCE == 0:
                self._require_held()
            self._store.copy(key_of(entry, file), file.path)

    def send(self, *names: str) -> None:
        """See `BuildFolder`."""
        for name in names:
            if (self.path / name).exists():
                self._store.put(name, (self.path / name).read_bytes())

    def clean(self, manifest: Manifest, *, complete: bool) -> None:
        """See `BuildFolder`.

        An object of an unknown fingerprint goes only if it is older than this build's lease: were the lease
        lost, another build could be writing it now.
        """
        sweep_temporaries(self.path)
        self._require_held()
        named = {file.path for entry in manifest.tables.values() for file in entry.files}
        # Scratch of a run that was killed; caches can be made again.
        tops = ("data", "scratch", *(("cache",) if complete else ()))
        gone = [
            key
            for top in tops
            for key, found in self._store.list(top).items()
            if key not in named and (self._is_old(found) or top == "cache")
        ]
        if complete:
            current = {f"{name}/{entry.fingerprint[:12]}" for name, entry in manifest.tables.items()}
            for top in ("tables", "quarantine"):
                for key, found in self._store.list(top).items():
                    owner = "/".join(key.split("/")[1:3]).removesuffix(".jsonl")
                    if owner not in current and (owner in self._known or self._is_old(found)):
                        gone.append(key)
            remove_superseded(self.path, manifest)
        self._require_held()
        self._store.delete(gone)

    @contextmanager
    def _sending_progress(self) -> Iterator[None]:
        """Send progress.json every 10 seconds and at the end, for `kgcorpus status` on other machines."""
        stop = threading.Event()

        def send() -> None:
            with suppress(KgcorpusError, OSError):
                self._require_held()
                self.send(PROGRESS)

        def keep() -> None:
            while not stop.wait(_PROGRESS_SECONDS):
                send()

        thread = threading.Thread(target=keep, name="progress of a store", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            send()

    def _is_old(self, found: Found) -> bool:
        return self._lease is None or found.modified < self._since()

    def _since(self) -> datetime:
        assert self._lease is not None
        return self._lease.acquired

    def _require_held(self) -> None:
        if self._lease is not None:
            self._lease.require_held()

    def _note(self, manifest: Manifest) -> None:
        self._known |= {f"{name}/{entry.fingerprint[:12]}" for name, entry in manifest.tables.items()}

    def _read_back(self) -> None:
        # Of another command.
        (self.path / PROGRESS).unlink(missing_ok=True)
        for name in _READ_BACK:
            path, found = self.path / name, self._store.get(name)
            if found is not None:
                path.write_bytes(found[0])
            elif name == MEMORY:
                # The sign of a build, also of one that is killed before its first shard.
                path.write_text("{}", encoding="utf-8")
            else:
                path.unlink(missing_ok=True)
