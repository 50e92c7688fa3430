"""Publishing of a build to a URL, and reading it back table by table.

Object stores cannot rename files, so the manifest marks a complete build: `publish_to` removes it before it
replaces the first file and writes it after the last one. Without a manifest, readers refuse the store.
Progress is recorded in `publishing.json`, so the same command resumes after a kill.
"""

import contextlib
import json
import logging
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from kgcorpus.config import is_publishable
from kgcorpus.contracts.digests import MEMORY, FileDigests
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.manifest import File, Manifest, file_fault, is_inside, load_manifest, parse_manifest
from kgcorpus.contracts.places import BUILD_SIGNS, refuse_overlap, refuse_replaced
from kgcorpus.contracts.remote import fetch, file_system_of, require_regular, told
from kgcorpus.contracts.secrets import redact, remember
from kgcorpus.contracts.store import folder_lock, replacing, sha256_of, sweep_temporaries, write_text
from kgcorpus.contracts.yaml_reader import read_yaml

_MANIFEST, _UNFINISHED = "manifest.json", "publishing.json"
# Files outside tables/ and data/ that a finished build has.
_BESIDE = ("README.md", "config.yaml", "report.json")
# Start of every manifest; a manifest that is damaged further on is replaced by publishing again.
_BEGINNING = re.compile(rb'\{\s*"format":')
# Marker file of a copy, written first: the URL from which missing files are fetched.
COPY_SIGN = "published/url"
_origins: dict[Path, str] = {}
_log = logging.getLogger(__name__)


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
    with folder_lock(out, "build"), told(url):
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
        manifest.check_files(out, manifest.tables.keys() | manifest.pending)
        refuse_links(out, *_BESIDE, *_paths_of(manifest))
        if folder := _local(url):
            refuse_links(folder, "data", "tables", _MANIFEST, _UNFINISHED, *_BESIDE, *_paths_of(manifest))
        return _send(manifest, out, _Store(url))


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


class _Store:
    """Files below a URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, self._root = file_system_of(url)
        # fsspec caches listings; a cached one would hide recent changes.
        self._files.invalidate_cache()
        found = self._files.find(self._root, detail=True).items()
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
            self._files.put_file(str(content), place)
        self.sizes[path] = -1

    def remove(self, path: str) -> None:
        if self.sizes.pop(path, None) is not None:
            self._files.rm_file(f"{self._root}/{path}")

    def _require_regular(self, path: str) -> None:
        require_regular(self._files, f"{self._root}/{path}", url=f"{self.url}/{path}")


def _send(manifest: Manifest, out: Path, store: _Store) -> int:
    text, standing = manifest.to_text().encode(), store.read(_MANIFEST)
    # Path -> hash of each of our files in the store; None while it may be incomplete.
    there = _named(standing) or _json(store.read(_UNFINISHED))
    files = {file.path: file for entry in manifest.tables.values() for file in entry.files}
    ours = _BEGINNING.match(standing) or _UNFINISHED in store.sizes
    if not ours and (foreign := sorted(store.sizes.keys() & {_MANIFEST, *_BESIDE, *files})):
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
        store.put(_UNFINISHED, json.dumps(there).encode())
        for path in (_MANIFEST, "README.md"):
            store.remove(path)
        for entry in manifest.tables.values():
            sent = [file for file in entry.files if file.path in missing]
            for file in sent:
                store.put(file.path, out / file.path)
                there[file.path] = file.sha256
            if sent:
                store.put(_UNFINISHED, json.dumps(there).encode())
        # Remove files of the previous build. Paths outside tables/ and data/ are ignored, since anyone may
        # have written that manifest.
        for path in filter(is_inside, there.keys() - files.keys()):
            store.remove(path)
    for name in _BESIDE:
        store.put(name, out / name)
    store.put(_MANIFEST, text)
    store.remove(_UNFINISHED)
    return len(missing)


def copy_from(url: str, folder: Path, tables: Collection[str], *, streamed: Collection[str] = ()) -> Path:
    """Copy tables of a published build, so that `folder` becomes a build with only these tables.

    Files that are already present are not fetched again. Every fetched file is compared with its hash.

    Args:
        folder: a complete or partial copy, or a new folder; no other process may write to it.
        tables: tables to copy.
        streamed: tables that stay in the store; `borrowed` fetches their files one by one.

    Returns:
        `folder`.

    Raises:
        UsageError: `folder` contains files but is not a copy.
        InputError: the store has no finished build, a table is pending, or a file differs from the manifest.
        EnvironmentLacksError: the store's package is not installed.
    """
    whole = _read_whole(url, {*tables, *streamed})
    _take(folder, url)
    # Left by a process that was killed during a fetch.
    sweep_temporaries(folder)
    for file in _files_of(whole, set(streamed) - set(tables)):
        (folder / file.path).unlink(missing_ok=True)
    digests = FileDigests(folder / MEMORY)
    for file in _files_of(whole, tables):
        if file_fault(folder, file, digests):
            _fetch_whole(url, file, folder / file.path)
            digests.record(folder / file.path, file.sha256)
    digests.save()
    with replacing(folder / "config.yaml") as temporary:
        fetch(f"{url}/config.yaml", temporary)
    named = {name: entry for name, entry in whole.tables.items() if name in {*tables, *streamed}}
    Manifest(named, whole.sources, whole.versions).save(folder)
    return folder


@contextlib.contextmanager
def borrowed(folder: Path, file: File) -> Iterator[Path]:
    """Yield the local path of a build's file.

    A file of a copy that was left in the store is fetched, and removed afterwards, so at most one such shard
    takes disk space.

    Raises:
        InputError: the file is missing in the store, or differs from the manifest.
    """
    path, origin = folder / file.path, folder / COPY_SIGN
    if path.exists() or not origin.exists():
        yield path
        return
    url = _origins.get(folder.absolute()) or _origin_in(origin)
    try:
        _fetch_whole(url, file, path)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _origin_in(sign: Path) -> str:
    require_regular_file(sign)
    try:
        return sign.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"is no URL ({error})", where=str(sign), hint="Delete the copy") from None


def _files_of(manifest: Manifest, tables: Collection[str]) -> list[File]:
    return [file for name, entry in manifest.tables.items() if name in tables for file in entry.files]


def _paths_of(manifest: Manifest) -> list[str]:
    return [file.path for file in _files_of(manifest, manifest.tables)]


def _fetch_whole(url: str, file: File, target: Path) -> None:
    _log.info("fetching %s", file.path)
    with replacing(target) as temporary:
        fetch(f"{url}/{file.path}", temporary)
        if sha256_of(temporary) != file.sha256:
            raise InputError(
                "its bytes are not those that the manifest names",
                where=f"{url}/{file.path}",
                hint="If it is being published anew, wait, then run this again; else delete it there and "
                "publish the build again",
            )


def _take(folder: Path, url: str) -> None:
    refuse_links(folder, "data", "tables", "published")
    # A kill while the marker is written leaves its folder.
    others = folder.exists() and any(path.name != Path(COPY_SIGN).parts[0] for path in folder.iterdir())
    if others and not (folder / COPY_SIGN).exists():
        raise UsageError(
            f"holds files but no {COPY_SIGN}: it is no copy of a published build, which would replace them",
            where=str(folder),
            hint="Choose another --out",
        )
    remember_origin(folder, url)
    write_text(folder / COPY_SIGN, redact(url))


def remember_origin(folder: Path, url: str) -> None:
    """Keep a copy's URL for this process, because the marker file contains it without the password."""
    remember(url)
    _origins[folder.absolute()] = url


def _read_whole(url: str, tables: Collection[str]) -> Manifest:
    """Read a store's manifest and check that none of the given tables is pending."""
    where = f"{url}/{_MANIFEST}"
    with told(where):
        store, root = file_system_of(url)
        store.invalidate_cache()
        if store.exists(f"{root}/{_UNFINISHED}") and not store.exists(f"{root}/{_MANIFEST}"):
            raise InputError(
                "is being published, or its publication was cut short",
                where=url,
                hint="Wait for it, or run the same kgcorpus publish again",
            )
        require_regular(store, f"{root}/{_MANIFEST}", url=where)
        manifest = parse_manifest(store.cat_file(f"{root}/{_MANIFEST}"), where=where)
    # `publish` sends only finished builds; this one was copied by other means.
    if waiting := sorted(manifest.pending & set(tables)):
        raise InputError(
            f"the build that was copied there had not come to the tables {', '.join(waiting)}",
            where=url,
            hint="End it with the same kgcorpus build-corpus, then run kgcorpus publish",
        )
    return manifest


def _named(manifest: bytes) -> dict[str, str | None]:
    """Return path -> hash of the files in a manifest; empty if it is not a manifest of ours."""
    try:
        tables = parse_manifest(manifest, where=_MANIFEST).tables.values()
    except InputError:
        return {}
    return {file.path: file.sha256 for entry in tables for file in entry.files}


def _json(content: bytes) -> dict[str, Any]:
    """Parse JSON; empty for an empty or truncated file (a kill can truncate it if the store is a folder)."""
    try:
        return dict(parse_json(content or b"{}"))
    except (ValueError, TypeError):
        return {}
