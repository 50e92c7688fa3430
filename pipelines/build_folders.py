"""The folder of a build as the builder uses it: lock, manifest, shards, and the published view."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

from kgcorpus.contracts.digests import FileDigests
from kgcorpus.contracts.manifest import Manifest, TableEntry, file_fault, load_manifest, table_folder
from kgcorpus.contracts.remote import is_remote
from kgcorpus.contracts.stages import Source
from kgcorpus.contracts.store import folder_lock, publish, replacing, sweep_temporaries
from pipelines.cleanup import check_folder, remove_superseded, remove_unpublished
from pipelines.scratch import Scratch, local_scratch
from pipelines.shard_folders import LocalShards, ShardFolder


class BuildFolder(Protocol):
    """OUT.

    Attributes:
        path: a local folder for scratch, caches, logs and small files. A local build consists of it.
    """

    path: Path

    @property
    def place(self) -> str:
        """OUT as a path or URL, for readers and errors."""

    def check(self, sources: Iterable[Source]) -> None:
        """Check that a build would remove nothing of the user's.

        Raises:
            UsageError: OUT contains other files under a build's names, or an input is where a build writes.
        """

    def lock(self) -> AbstractContextManager[None]:
        """Keep other builds out.

        Raises:
            UsageError: another build is at work.
        """

    def load_manifest(self) -> Manifest:
        """The current manifest; empty before the first build."""

    def commit(self, manifest: Manifest) -> None:
        """Make a manifest the current one, atomically."""

    def is_whole(self, entry: TableEntry, digests: FileDigests) -> bool:
        """Whether all files of a table are as the manifest says."""

    def shards(self, table: str, fingerprint: str) -> ShardFolder:
        """The folder of a table's shards, which belongs to this fingerprint only."""

    def quarantine(self, table: str, fingerprint: str) -> Callable[[], AbstractContextManager[Path]]:
        """Return a picklable function that opens the file for bad input, as `ShardFolder.writing` does."""

    def scratch(self, stage: str, *, on_one_machine: bool) -> Scratch:
        """Return the scratch space of a run of a stage, which is empty.

        Args:
            on_one_machine: whether the executors see this machine's disk.
        """

    def publish(self, entry: TableEntry, digests: FileDigests) -> None:
        """Put the shards of a published table under data/, where `datasets` reads them."""

    def send(self, *names: str) -> None:
        """Store small files that were written to `path`, e.g. report.json."""

    def clean(self, manifest: Manifest, *, complete: bool) -> None:
        """Remove what the manifest does not name.

        Args:
            complete: also tables of other fingerprints, which a build that was killed left.
        """


class LocalBuild:
    """A folder of a file system, which the driver and all executors see under the same path."""

    def __init__(self, path: Path) -> None:
        # Executors have working directories of their own.
        self.path = path.absolute()

    @property
    def place(self) -> str:
        """See `BuildFolder`."""
        return str(self.path)

    def check(self, sources: Iterable[Source]) -> None:
        """See `BuildFolder`."""
        check_folder(self.path, sources)

    def lock(self) -> AbstractContextManager[None]:
        """See `BuildFolder`; the kernel releases the lock when its owner dies."""
        return folder_lock(self.path, "build")

    def load_manifest(self) -> Manifest:
        """See `BuildFolder`."""
        return load_manifest(self.path)

    def commit(self, manifest: Manifest) -> None:
        """See `BuildFolder`."""
        manifest.save(self.path)

    def is_whole(self, entry: TableEntry, digests: FileDigests) -> bool:
        """See `BuildFolder`; the bytes are hashed."""
        return all(file_fault(self.path, file, digests) is None for file in entry.files)

    def shards(self, table: str, fingerprint: str) -> ShardFolder:
        """See `BuildFolder`."""
        return LocalShards(self.path / table_folder(table, fingerprint))

    def quarantine(self, table: str, fingerprint: str) -> Callable[[], AbstractContextManager[Path]]:
        """See `BuildFolder`."""
        return partial(replacing, self.path / "quarantine" / table / f"{fingerprint[:12]}.jsonl")

    def scratch(self, stage: str, *, on_one_machine: bool) -> Scratch:
        """See `BuildFolder`; the executors see OUT."""
        return local_scratch(self.path, stage)

    def publish(self, entry: TableEntry, digests: FileDigests) -> None:
        """See `BuildFolder`; a hard link, or a copy where the disk has none."""
        folder = self.path / table_folder(entry.stage, entry.fingerprint)
        for file in entry.files:
            shard, published = folder / Path(file.path).name, self.path / file.path
            publish(shard, published)
            if shard.samefile(published):
                # A copy is hashed when it is first read.
                digests.record(published, file.sha256)

    def send(self, *names: str) -> None:
        """See `BuildFolder`; the files are in place."""

    def clean(self, manifest: Manifest, *, complete: bool) -> None:
        """See `BuildFolder`."""
        # A worker that died while others went on left its own.
        sweep_temporaries(self.path)
        remove_unpublished(self.path, manifest)
        if complete:
            remove_superseded(self.path, manifest)


def build_folder(place: "str | Path | BuildFolder", *, lock: bool = True) -> BuildFolder:
    """Return the builder's view of OUT.

    Args:
        lock: whether a build in an object store holds a lease; local builds always lock.
    """
    if not isinstance(place, str | Path):
        return place
    if is_remote(str(place)):
        from pipelines.store_build import StoreBuild

        return StoreBuild(str(place), lock=lock)
    return LocalBuild(Path(place))
