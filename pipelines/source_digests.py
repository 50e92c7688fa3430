"""Digests and sizes of the sources as they are now; checks that they can be read."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kgcorpus.contracts.digests import MEMORY, FileDigests, Stamp, stamp_of
from kgcorpus.contracts.errors import InputError, KgcorpusError
from kgcorpus.contracts.files import require_regular_file
from kgcorpus.contracts.hub_ids import is_model_id
from kgcorpus.contracts.remote import describe, is_remote, sha256_of_url
from kgcorpus.contracts.secrets import redact
from kgcorpus.contracts.stages import Source, content_digest
from kgcorpus.contracts.store import sha256_of

# These may name a model of the hub instead of a folder.
MODEL_ROLES = ("importance.encoder", "passages.tokenizer")


def require_input(source: Source) -> None:
    """Check that a local source can be read; a URL is looked at when it is.

    Raises:
        InputError: there is no such file, or it is neither a regular file nor, of a model, a folder.
    """
    path = Path(source.path)
    if is_remote(source.path):
        return
    if not path.exists():
        if source.role in MODEL_ROLES and is_model_id(source.path):
            return
        raise InputError(
            "no such file", where=source.path, hint=f"Correct {source.role} in the configuration"
        )
    if not (source.role in MODEL_ROLES and path.is_dir()):
        require_regular_file(path)


class SourceDigests:
    """Content digests of sources; in one build, each source has one content.

    Attributes:
        files: of the sources and of the build's tables; kept in OUT/.sources.json.
    """

    def __init__(self, out: Path) -> None:
        self.files = FileDigests(out / MEMORY)
        # Key -> (stamp, digest) of the first look.
        self._first: dict[str, tuple[Stamp, str]] = {}

    def digest(self, source: Source) -> str:
        """sha256 of a file; of a model's folder, over its files; of a hub id, the id itself.

        Raises:
            InputError: there is no such file, it is not a regular one, or it has changed since the first
                call.
        """
        if is_remote(source.path):
            found = describe(source.path)
            stamp = [found.size, found.stamp]
            return self._unchanged(redact(source.path), stamp, lambda: sha256_of_url(source.path))
        require_input(source)
        path = Path(source.path)
        if path.is_dir():
            files = [file for file in path.iterdir() if file.is_file()]
            return content_digest([(file.name, self._file(file)) for file in files])
        return self._file(path) if path.exists() else f"hub:{source.path}"

    def require_unchanged(self, sources: Sequence[Source]) -> None:
        """Check that sources still have the content of their first digest.

        Raises:
            InputError: one has changed.
        """
        for source in sources:
            self.digest(source)

    def size(self, source: Source) -> int:
        """Bytes of a file, or of a folder's files; 0 for a hub id."""
        if is_remote(source.path):
            return describe(source.path).size
        path = Path(source.path)
        if path.is_dir():
            return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        return path.stat().st_size if path.exists() else 0

    def bytes_to_hash(self, sources: Iterable[Source]) -> int:
        """Bytes of the sources whose digests are not remembered; a source that cannot be read counts as 0."""
        total = 0
        for source in sources:
            # The error is raised where the source is hashed.
            with contextlib.suppress(KgcorpusError, OSError):
                if is_remote(source.path):
                    found = describe(source.path)
                    known = self.files.knows(redact(source.path), [found.size, found.stamp])
                    total += 0 if known else found.size
                    continue
                path = Path(source.path)
                total += self.files.bytes_to_hash(path.iterdir() if path.is_dir() else [path])
        return total

    def were_known(self, sources: Sequence[Source]) -> bool:
        """Whether no file of these was hashed in this build: an earlier one has seen them as they are."""
        paths = [Path(source.path) for source in sources]
        files = [file for path in paths for file in (path.iterdir() if path.is_dir() else (path,))]
        keys = {redact(source.path) for source in sources} | {self.files.key(file) for file in files}
        return keys.isdisjoint(self.files.hashed)

    def _file(self, path: Path) -> str:
        stamp = stamp_of(require_regular_file(path))
        return self._unchanged(self.files.key(path), stamp, lambda: sha256_of(path))

    def _unchanged(self, key: str, stamp: Stamp, hash_file: Callable[[], str]) -> str:
        digest = self.files.remembered(key, stamp, hash_file)
        first = self._first.setdefault(key, (stamp, digest))
        # A new link to a file, or new rights, change only the last part of its stamp.
        if first[0][:-1] != stamp[:-1] or first[1] != digest:
            raise InputError(
                "changed while it was read",
                where=key,
                hint="Wait until it is complete, then run the same command",
            )
        return digest
