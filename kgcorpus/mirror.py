"""Copies of a published build, read table by table; a store without a manifest is incomplete and refused."""

import contextlib
import logging
from collections.abc import Collection, Iterator
from pathlib import Path

from kgcorpus.contracts.digests import MEMORY, FileDigests
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import require_regular_file
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.manifest import (
    MANIFEST,
    File,
    Manifest,
    file_fault,
    key_of,
    load_manifest,
    parse_manifest,
)
from kgcorpus.contracts.node_cache import held_folder, make_room, size_of
from kgcorpus.contracts.object_store import ObjectStore
from kgcorpus.contracts.remote import fetch, file_system_of, is_remote, require_regular, wrap_store_errors
from kgcorpus.contracts.secrets import redact, remember
from kgcorpus.contracts.store import folder_lock, replacing, sha256_of, sweep_temporaries, write_text

# It is there while a build is being published.
UNFINISHED = "publishing.json"
# Marker file of a copy, written first: the URL from which missing files are fetched.
COPY_SIGN = "published/url"
_origins: dict[Path, str] = {}
_log = logging.getLogger(__name__)


def local_build(place: str | Path, tables: Collection[str] = ()) -> Path:
    """Return a local folder with tables of a build: the build's own, or a copy if `place` is a URL.

    Copies are kept in the cache of this machine (`node_cache`), this one until the process ends.

    Args:
        tables: tables to copy; those that are not built are ignored. Default: all.

    Raises:
        UsageError: another process is copying the same build.
        InputError: as for `copy_from`.
        EnvironmentLacksError: the copy does not fit into the bound of the cache.
    """
    if not is_remote(str(place)):
        return Path(place)
    entry = held_folder(f"{place}#copy")
    with folder_lock(entry / "copying", "reader"):
        whole = _read_whole(str(place), ())
        chosen = tables or whole.tables.keys()
        missing = [file for file in _files_of(whole, chosen) if not (entry / "copy" / file.path).exists()]
        make_room(entry, size_of(entry) + sum(file.bytes for file in missing))
        return copy_from(str(place), entry / "copy", chosen)


def manifest_of(place: str | Path) -> Manifest:
    """Return the manifest of a finished build, local or in an object store; pending tables are allowed.

    Raises:
        InputError: there is no finished build.
    """
    if not is_remote(str(place)):
        return load_manifest(Path(place), required=True)
    return _read_whole(str(place), ())


def current_manifest(place: str | Path) -> Manifest:
    """Return the manifest of a build that may be at work, local or in an object store; empty at its start."""
    if not is_remote(str(place)):
        return load_manifest(Path(place))
    found = ObjectStore(str(place)).get(MANIFEST)
    return Manifest() if found is None else parse_manifest(found[0], where=f"{place}/{MANIFEST}")


def copy_from(url: str, folder: Path, tables: Collection[str], *, streamed: Collection[str] = ()) -> Path:
    """Copy tables of a published build, so that `folder` becomes a build with only these tables.

    Files that are already present are not fetched again. Every fetched file is compared with its hash.

    Args:
        folder: a complete or partial copy, or a new folder; no other process may write to it.
        tables: tables to copy.
        streamed: tables that stay in the store; `fetch_temporarily` fetches their files one by one.

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
            _fetch_whole(url, whole, file, folder / file.path)
            digests.record(folder / file.path, file.sha256)
    digests.save()
    with replacing(folder / "config.yaml") as temporary:
        fetch(f"{url}/config.yaml", temporary)
    named = {name: entry for name, entry in whole.tables.items() if name in {*tables, *streamed}}
    Manifest(named, whole.sources, whole.versions).save(folder)
    return folder


@contextlib.contextmanager
def fetch_temporarily(folder: Path, file: File) -> Iterator[Path]:
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
        _fetch_whole(url, load_manifest(folder), file, path)
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


def _fetch_whole(url: str, manifest: Manifest, file: File, target: Path) -> None:
    key = _key_in(url, manifest, file)
    _log.info("fetching %s", key)
    with replacing(target) as temporary:
        fetch(f"{url}/{key}", temporary)
        if sha256_of(temporary) != file.sha256:
            raise InputError(
                "its bytes are not those that the manifest names",
                where=f"{url}/{key}",
                hint="If it is being published now, wait, then run this again; else delete it there and "
                "publish the build again",
            )


def _key_in(url: str, manifest: Manifest, file: File) -> str:
    """Where the store has a file: a build there wrote it below tables/, `publish` sends data/ only."""
    key = next(key_of(entry, file) for entry in manifest.tables.values() if file in entry.files)
    with wrap_store_errors(url):
        store, root = file_system_of(url)
        # While a build is at work there, data/ is replaced.
        return key if store.exists(f"{root}/{key}") else file.path


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
    where = f"{url}/{MANIFEST}"
    with wrap_store_errors(where):
        store, root = file_system_of(url)
        store.invalidate_cache()
        if store.exists(f"{root}/{UNFINISHED}") and not store.exists(f"{root}/{MANIFEST}"):
            raise InputError(
                "is being published, or its publication was cut short",
                where=url,
                hint="Wait for it, or run the same kgcorpus publish again",
            )
        if store.exists(f"{root}/{MEMORY}") and not store.exists(f"{root}/{MANIFEST}"):
            raise InputError(
                "holds no finished build yet",
                where=url,
                hint="Wait for it, or run the same kgcorpus build-corpus again",
            )
        require_regular(store, f"{root}/{MANIFEST}", url=where)
        manifest = parse_manifest(store.cat_file(f"{root}/{MANIFEST}"), where=where)
    # `publish` sends only finished builds; this one is at work, or was copied by other means.
    if waiting := sorted(manifest.pending & set(tables)):
        raise InputError(
            f"the build there has not finished the tables {', '.join(waiting)}",
            where=url,
            hint="Wait for it, or finish it with the same kgcorpus build-corpus (publish a copy again)",
        )
    return manifest
