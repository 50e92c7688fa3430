"""A build at a URL: published by its manifest, read back table by table.

No object store renames, so nothing relies on it: files go up first, the manifest last, and what it names no
more is removed after. Whoever reads meanwhile checks every file against the manifest he has.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import fsspec

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import Manifest, load_manifest, parse_manifest
from kgcorpus.contracts.remote import fetch, told
from kgcorpus.contracts.store import replacing, sha256_of

_BESIDE = ("README.md", "config.yaml", "report.json")
_log = logging.getLogger(__name__)


def publish_to(url: str, out: Path) -> int:
    """Make `url` hold what the build in `out` holds.

    Returns:
        The number of files that were sent; those that are there already are not.

    Raises:
        InputError: no finished build, or the store refuses.
        EnvironmentLacksError: the store's package is not installed.
    """
    manifest = load_manifest(out, required=True)
    manifest.check_files(out, manifest.tables)
    files = {file.path: file.sha256 for entry in manifest.tables.values() for file in entry.files}
    with told(url):
        store, root = fsspec.core.url_to_fs(url)
        there = _names_there(store, f"{root}/manifest.json")
        missing = [path for path, digest in files.items() if there.get(path) != digest]
        for path in [*missing, *_BESIDE, "manifest.json"]:
            store.makedirs(f"{root}/{path}".rpartition("/")[0], exist_ok=True)
            store.put_file(str(out / path), f"{root}/{path}")
        for path in there.keys() - files.keys():
            store.rm_file(f"{root}/{path}")
    return len(missing)


def copy_from(url: str, folder: Path, tables: Iterable[str]) -> Path:
    """Copy some tables of a published build, so that `folder` is a build of these alone.

    What is there already is not fetched again; every fetched file is compared with its hash.

    Returns:
        `folder`.

    Raises:
        InputError: no build there, or a file of other bytes than its manifest names.
        EnvironmentLacksError: the store's package is not installed.
    """
    with replacing(folder / "published" / "manifest.json") as temporary:
        fetch(f"{url}/manifest.json", temporary)
    whole = load_manifest(folder / "published", required=True)
    names = [name for name in tables if name in whole.tables]
    for file in (file for name in names for file in whole.tables[name].files):
        target = folder / file.path
        if target.exists() and target.stat().st_size == file.bytes and sha256_of(target) == file.sha256:
            continue
        _log.info("fetching %s", file.path)
        with replacing(target) as temporary:
            fetch(f"{url}/{file.path}", temporary)
            if sha256_of(temporary) != file.sha256:
                raise InputError(
                    "its bytes are not those that the manifest names",
                    where=f"{url}/{file.path}",
                    mend="If it is being published anew, wait, then run this again; else publish it again",
                )
    with replacing(folder / "config.yaml") as temporary:
        fetch(f"{url}/config.yaml", temporary)
    Manifest({name: whole.tables[name] for name in names}, whole.sources, whole.versions).save(folder)
    return folder


def _names_there(store: fsspec.AbstractFileSystem, path: str) -> dict[str, str]:
    """Path -> hash of what a manifest at a store names."""
    store.invalidate_cache()
    if not store.exists(path):
        return {}
    tables = parse_manifest(store.cat_file(path), where=path).tables.values()
    return {file.path: file.sha256 for entry in tables for file in entry.files}
