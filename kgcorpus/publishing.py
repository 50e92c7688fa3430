"""Publishing of a build to a URL.

Object stores cannot rename files, so the manifest marks a complete build: `publish_to` removes it before it
replaces the first file and writes it after the last one. Without a manifest, readers refuse the store.
What was sent is recorded in `publishing.json`, so the same command resumes after a kill.
"""

import json
import re
from pathlib import Path
from typing import Any

from fsspec.callbacks import Callback
from fsspec.implementations.local import LocalFileSystem

from kgcorpus.config import is_publishable
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.manifest import Manifest, is_inside, load_manifest, parse_manifest
from kgcorpus.contracts.places import BUILD_SIGNS, refuse_overlap, refuse_replaced
from kgcorpus.contracts.remote import file_system_of, require_regular, told
from kgcorpus.contracts.store import folder_lock
from kgcorpus.contracts.yaml_reader import read_yaml
from kgcorpus.mirror import MANIFEST, UNFINISHED
from kgcorpus.report.progress import Counts, Progress, meter_counts

# Files outside tables/ and data/ that a finished build has.
_BESIDE = ("README.md", "config.yaml", "report.json")
# Start of every manifest; a manifest that is damaged further on is replaced by publishing again.
_BEGINNING = re.compile(rb'\{\s*"format":')


def publish_to(url: str, out: Path) -> int:
    """Make the contents of `url` equal to the build in `out`.

    Returns:
        The number of files sent. A file is sent if the store's manifest does not list it with the same hash,
        or the store does not list it with the same size.

    Raises:
        UsageError: a build is running in `out`; or `url` overlaps with `out`, is another build's folder,
            contains foreign files under a build's names, or chains URLs.
        InputError: the build is not finished, or the store refuses access.
        EnvironmentLacksError: the store's package is not installed.
    """
    # Refuse a wrong folder before locking it, because locking creates it.
    load_manifest(out, required=True)
    with told(url):
        _check_target(url, out)
    with folder_lock(out, "build"), told(url), Progress("publish", folder=out) as progress:
        manifest = load_manifest(out, required=True)
        if any(not (out / name).exists() for name in _BESIDE):
            raise InputError(
                "the build is not finished", where=str(out), hint="Run kgcorpus build-corpus, then publish it"
            )
        if not is_publishable(read_yaml(out / "config.yaml")):
            raise InputError(
                "holds Spark settings or URLs with keys, which are not published",
                where=str(out / "config.yaml"),
                hint="Run the same kgcorpus build-corpus again: it writes the file without them",
            )
        # A table that was never built is listed only in `pending`.
        with progress.work("checking files", counts=meter_counts()):
            manifest.check_files(out, manifest.tables.keys() | manifest.pending)
        refuse_links(out, *_BESIDE, *_paths_of(manifest))
        if folder := _local(url):
            refuse_links(folder, "data", "tables", MANIFEST, UNFINISHED, *_BESIDE, *_paths_of(manifest))
        return _send(manifest, out, _Store(url), progress)


def _check_target(url: str, out: Path) -> None:
    folder = _local(url)
    if folder is None:
        if "::" in url:
            raise UsageError(
                "chains URLs, which is not written to", where=url, hint="Name the last one alone"
            )
        return
    refuse_overlap(folder, out)
    refuse_replaced(folder)
    if (folder / BUILD_SIGNS[1]).exists():
        raise UsageError(
            "is the folder of another build, whose tables would be replaced",
            where=url,
            hint="Choose another place, or remove it first",
        )


def _local(url: str) -> Path | None:
    """Return the local folder of a URL or path; None for an object store."""
    file_system, path = file_system_of(url)
    return Path(path) if isinstance(file_system, LocalFileSystem) else None


class _Sent(Callback):
    """Counts of what was sent. fsspec reports the bytes of the file at work, which not every store does."""

    def __init__(self) -> None:
        super().__init__()
        self._files = self._bytes = self._at_work = 0

    def relative_update(self, inc: int = 1) -> None:
        """Count bytes of the file at work."""
        self._at_work += inc

    def end_file(self, size: int) -> None:
        """Count a whole file."""
        self._files, self._bytes, self._at_work = self._files + 1, self._bytes + size, 0

    def counts(self, total: int) -> Counts:
        """Files and bytes up to now, of `total` files."""
        return Counts(done=self._files, total=total, active=1, bytes=self._bytes + self._at_work)


class _Store:
    """Files below a URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, self._root = file_system_of(url)
        # fsspec caches listings; a cached one would hide recent changes.
        self._files.invalidate_cache()
        found = self._files.find(self._root, detail=True).items()
        self.sent = _Sent()
        self.sizes = {path.removeprefix(f"{self._root}/"): info["size"] for path, info in found}

    def read(self, path: str) -> bytes:
        """Return a file's contents; empty if it does not exist."""
        self._require_regular(path)
        return bytes(self._files.cat_file(f"{self._root}/{path}")) if path in self.sizes else b""

    def put(self, path: str, content: Path | bytes) -> None:
        place = f"{self._root}/{path}"
        self._require_regular(path)
        self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        if isinstance(content, bytes):
            self._files.pipe_file(place, content)
        else:
            self._files.put_file(str(content), place, callback=self.sent)
        self.sizes[path] = -1

    def remove(self, path: str) -> None:
        if self.sizes.pop(path, None) is not None:
            self._files.rm_file(f"{self._root}/{path}")

    def _require_regular(self, path: str) -> None:
        require_regular(self._files, f"{self._root}/{path}", url=f"{self.url}/{path}")


def _send(manifest: Manifest, out: Path, store: _Store, progress: Progress) -> int:
    text, standing = manifest.to_text().encode(), store.read(MANIFEST)
    # Path -> hash of each of our files in the store; None while it may be incomplete.
    there = _named(standing) or _json(store.read(UNFINISHED))
    files = {file.path: file for entry in manifest.tables.values() for file in entry.files}
    ours = _BEGINNING.match(standing) or UNFINISHED in store.sizes
    if not ours and (foreign := sorted(store.sizes.keys() & {MANIFEST, *_BESIDE, *files})):
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise UsageError(
            f"holds {', '.join(foreign[:3])}{more}, but nothing that kgcorpus published",
            where=store.url,
            hint="Choose another URL, or remove these there",
        )
    missing = [
        path
        for path, file in files.items()
        if there.get(path) != file.sha256 or store.sizes.get(path) != file.bytes
    ]
    if missing or standing != text:
        there = {path: None if path in missing else there.get(path) for path in {**there, **files}}
        store.put(UNFINISHED, json.dumps(there).encode())
        for path in (MANIFEST, "README.md"):
            store.remove(path)
        total = sum(files[path].bytes for path in missing)
        with progress.work(
            "sending", counts=lambda: store.sent.counts(len(missing)), unit="files", bytes_total=total
        ):
            for entry in manifest.tables.values():
                sent = [file for file in entry.files if file.path in missing]
                for file in sent:
                    store.put(file.path, out / file.path)
                    store.sent.end_file(file.bytes)
                    there[file.path] = file.sha256
                if sent:
                    store.put(UNFINISHED, json.dumps(there).encode())
        # Remove files of the previous build. Paths outside tables/ and data/ are ignored, since anyone may
        # have written that manifest.
        for path in filter(is_inside, there.keys() - files.keys()):
            store.remove(path)
    for name in _BESIDE:
        store.put(name, out / name)
    store.put(MANIFEST, text)
    store.remove(UNFINISHED)
    return len(missing)


def _paths_of(manifest: Manifest) -> list[str]:
    return [file.path for entry in manifest.tables.values() for file in entry.files]


def _named(manifest: bytes) -> dict[str, str | None]:
    """Return path -> hash of the files in a manifest; empty if it is not a manifest of ours."""
    try:
        tables = parse_manifest(manifest, where=MANIFEST).tables.values()
    except InputError:
        return {}
    return {file.path: file.sha256 for entry in tables for file in entry.files}


def _json(content: bytes) -> dict[str, Any]:
    """Parse JSON; empty for an empty or truncated file (a kill can truncate it if the store is a folder)."""
    try:
        return dict(parse_json(content or b"{}"))
    except (ValueError, TypeError):
        return {}
