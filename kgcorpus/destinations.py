"""Where `publish` sends files: folders and object stores by fsspec, the Hugging Face Hub by commits."""

import io
from pathlib import Path
from typing import Any

from fsspec.callbacks import Callback

from kgcorpus.contracts.hub_ids import SCHEME, repository_of
from kgcorpus.contracts.remote import file_system_of, require_regular
from kgcorpus.contracts.secrets import remember_secret
from kgcorpus.report.progress import Counts

# A commit of the hub has at most this many files and bytes; a killed publication repeats at most one commit.
_FILES_PER_COMMIT, BYTES_PER_COMMIT = 50, 1 << 30


class Sent(Callback):
    """Counts of what was sent. fsspec reports the bytes of the current file, which not every store does."""

    def __init__(self) -> None:
        super().__init__()
        self._files = self._bytes = self._current = 0

    def relative_update(self, inc: int = 1) -> None:
        """Count bytes of the current file."""
        self._current += inc

    def end_file(self, size: int) -> None:
        """Count a whole file."""
        self._files, self._bytes, self._current = self._files + 1, self._bytes + size, 0

    def counts(self, total: int) -> Counts:
        """Files and bytes up to now, of `total` files."""
        return Counts(done=self._files, total=total, active=1, bytes=self._bytes + self._current)


class Destination:
    """Files below a URL.

    Attributes:
        sizes: path -> bytes of each file there; -1 for a file that was sent by this process.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, self._root = file_system_of(url)
        # fsspec caches listings; a cached one would hide recent changes.
        self._files.invalidate_cache()
        found = self._files.find(self._root, detail=True).items()
        self.sent = Sent()
        self.sizes = {path.removeprefix(f"{self._root}/"): info["size"] for path, info in found}

    def read(self, path: str) -> bytes:
        """Return a file's contents; empty if it does not exist."""
        self._require_regular(path)
        return bytes(self._files.cat_file(f"{self._root}/{path}")) if path in self.sizes else b""

    def put(self, path: str, content: Path | bytes) -> None:
        """Write a file, or replace it."""
        place = f"{self._root}/{path}"
        self._require_regular(path)
        self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        if isinstance(content, bytes):
            self._files.pipe_file(place, content)
        else:
            self._files.put_file(str(content), place, callback=self.sent)
        self.sizes[path] = -1

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""
        if self.sizes.pop(path, None) is not None:
            self._files.rm_file(f"{self._root}/{path}")

    @property
    def is_waiting(self) -> bool:
        """Whether `flush` will read files that were put."""
        return False

    def flush(self) -> None:
        """Make everything up to now visible to readers."""

    def _require_regular(self, path: str) -> None:
        require_regular(self._files, f"{self._root}/{path}", url=f"{self.url}/{path}")


class HubDestination(Destination):
    """A repository of the hub; changes are collected and sent as commits.

    A commit is atomic, and the content of large files that the hub has already is not sent again. Each commit
    names its parent, so a commit of another process in between is an error instead of a mixture.
    """

    def __init__(self, url: str, *, private: bool) -> None:
        from huggingface_hub import HfApi, get_token
        from huggingface_hub.utils.tqdm import disable_progress_bars

        remember_secret(get_token())
        disable_progress_bars()
        self._type, self._name = repository_of(url)
        self._api = HfApi()
        self._api.create_repo(self._name, repo_type=self._type, private=private, exist_ok=True)
        super().__init__(url.rstrip("/"))
        self._parent: str | None = self._api.repo_info(self._name, repo_type=self._type).sha
        self._committed = set(self.sizes)
        # Path -> new content; None removes the file.
        self._changes: dict[str, Path | bytes | None] = {}
        self._bytes = 0

    def put(self, path: str, content: Path | bytes) -> None:
        """Add a file to the next commit."""
        self._changes[path] = content
        self.sizes[path] = -1
        self._bytes += len(content) if isinstance(content, bytes) else content.stat().st_size
        if len(self._changes) >= _FILES_PER_COMMIT or self._bytes >= BYTES_PER_COMMIT:
            self.flush()

    @property
    def is_waiting(self) -> bool:
        """See `Destination`."""
        return bool(self._changes)

    def remove(self, path: str) -> None:
        """Remove a file with the next commit, if it exists."""
        if self.sizes.pop(path, None) is not None:
            self._changes[path] = None

    def flush(self) -> None:
        """Commit the collected changes."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[Any] = []
        for path, content in self._changes.items():
            if content is None:
                if path in self._committed:
                    operations.append(CommitOperationDelete(path))
            else:
                source = io.BytesIO(content) if isinstance(content, bytes) else str(content)
                operations.append(CommitOperationAdd(path, source))
        if operations:
            info = self._api.create_commit(
                self._name,
                operations,
                commit_message=f"kgcorpus publish: {len(operations)} files",
                repo_type=self._type,
                parent_commit=self._parent,
            )
            self._parent = info.oid
        for path, content in self._changes.items():
            (self._committed.discard if content is None else self._committed.add)(path)
        self._changes, self._bytes = {}, 0


def is_hub(url: str) -> bool:
    """Whether the URL names a place on the Hugging Face Hub."""
    return url.startswith(SCHEME)


def destination_of(url: str, *, private: bool) -> Destination:
    """Open the place that a URL names; a repository of the hub is created if it does not exist.

    Args:
        url: a folder, `file://`, an object store, or `hf://`.
        private: whether a new repository of the hub can be read by its owner only.
    """
    return HubDestination(url, private=private) if is_hub(url) else Destination(url)
