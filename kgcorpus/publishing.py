"""Publishing of a build or a model to a URL.

Object stores cannot rename files, so the manifest marks a complete build: `publish_to` removes it before it
replaces the first file and writes it after the last one. Without a manifest, readers refuse the store.
What was sent is recorded in `publishing.json`, so the same command resumes after a kill.
"""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from kgcorpus.config import is_publishable
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.hub_ids import repository_of
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.manifest import (
    MANIFEST,
    File,
    Manifest,
    is_inside,
    load_manifest,
    parse_manifest,
)
from kgcorpus.contracts.model_files import STATE, verify_model
from kgcorpus.contracts.node_cache import held_folder, make_room
from kgcorpus.contracts.places import BUILD_SIGNS, refuse_overlap, refuse_replaced
from kgcorpus.contracts.remote import fetch, file_system_of, is_remote, wrap_store_errors
from kgcorpus.contracts.store import folder_lock, replacing
from kgcorpus.contracts.yaml_reader import read_yaml
from kgcorpus.destinations import BYTES_PER_COMMIT, Destination, destination_of, is_hub
from kgcorpus.mirror import COPY_SIGN, UNFINISHED, copy_from, fetch_temporarily, manifest_of
from kgcorpus.report.progress import Progress, meter_counts

# Files outside tables/ and data/ that a finished build has.
_BESIDE = ("README.md", "config.yaml", "report.json")
# Start of every manifest; a manifest that is damaged further on is replaced by publishing again.
_BEGINNING = re.compile(rb'\{\s*"format":')


def publish_to(url: str, out: str | Path, *, private: bool = True) -> int:
    """Make the contents of `url` equal to the build in `out`.

    Args:
        url: a folder, an object store, or `hf://datasets/USER/NAME`.
        out: the build's folder, or its URL in an object store: its files are fetched one by one.
        private: whether a new repository of the hub can be read by its owner only.

    Returns:
        The number of files sent. A file is sent if the store's manifest does not list it with the same hash,
        or the store does not list it with the same size.

    Raises:
        UsageError: a build is running in `out`; or `url` overlaps with `out`, is another build's folder,
            contains foreign files under a build's names, or chains URLs.
        InputError: the build is not finished, or the store refuses access.
        EnvironmentLacksError: the store's package is not installed.
    """
    if is_remote(str(out)):
        return _publish_from_store(url, str(out), private=private)
    out = Path(out)
    # Refuse a wrong folder before locking it, because locking creates it.
    load_manifest(out, required=True)
    with wrap_store_errors(url):
        _check_target(url, out)
    with folder_lock(out, "build"), wrap_store_errors(url), Progress("publish", folder=out) as progress:
        manifest = load_manifest(out, required=True)
        _require_publishable(out, where=str(out))
        # A table that was never built is listed only in `pending`.
        with progress.work("checking files", counts=meter_counts()):
            manifest.check_files(out, manifest.tables.keys() | manifest.pending)
        refuse_links(out, *_BESIDE, *_paths_of(manifest))
        if folder := _local(url):
            refuse_links(folder, "data", "tables", MANIFEST, UNFINISHED, *_BESIDE, *_paths_of(manifest))
        return _send(manifest, out, destination_of(url, private=private), progress)


def _publish_from_store(url: str, source: str, *, private: bool) -> int:
    """Publish a build that is in an object store: one shard at a time, for the hub those of one commit."""
    with wrap_store_errors(url):
        _check_target(url, source)
    entry = held_folder(f"{source}#publish")
    folder = entry / "copy"
    with (
        folder_lock(entry / "copying", "publication"),
        wrap_store_errors(url),
        Progress("publish") as progress,
    ):
        manifest = manifest_of(source)
        manifest.check_pending(source, manifest.tables.keys() | manifest.pending)
        at_once = max((file.bytes for file in _files_of(manifest)), default=0)
        make_room(entry, at_once + (BYTES_PER_COMMIT if is_hub(url) else 0))
        copy_from(source, folder, (), streamed=manifest.tables)
        for name in _BESIDE:
            with replacing(folder / name) as temporary:
                fetch(f"{source}/{name}", temporary)
        if manifest_of(source) != manifest:
            raise InputError(
                "a build is at work there", where=source, hint="Wait for it, then publish its result"
            )
        _require_publishable(folder, where=source)
        if local := _local(url):
            refuse_links(local, "data", "tables", MANIFEST, UNFINISHED, *_BESIDE, *_paths_of(manifest))
        return _send(manifest, folder, destination_of(url, private=private), progress)


def _require_publishable(out: Path, *, where: str) -> None:
    """Check that a build is finished and that its config.yaml contains no keys."""
    if any(not (out / name).exists() for name in _BESIDE):
        raise InputError(
            "the build is not finished", where=where, hint="Run kgcorpus build-corpus, then publish it"
        )
    if not is_publishable(read_yaml(out / "config.yaml")):
        raise InputError(
            "holds Spark settings or URLs with keys, which are not published",
            where=f"{where}/config.yaml",
            hint="Run the same kgcorpus build-corpus again: it writes the file without them",
        )


def publish_model(url: str, run: Path, *, private: bool = True) -> int:
    """Make the contents of `url` equal to a run's model: weights, tokenizer, heads and card.

    Args:
        url: a folder, an object store, or `hf://USER/NAME`.
        run: a run's folder, or the folder of a model.
        private: whether a new repository of the hub can be read by its owner only.

    Returns:
        The number of files.

    Raises:
        UsageError: a training is running in `run`, or `url` overlaps with it.
        InputError: the folder has no model, a file is damaged, or the store refuses access.
        EnvironmentLacksError: the store's package is not installed.
    """
    folder = run / "model" if (run / "model").is_dir() else run
    if not (folder / "config.json").is_file():
        raise InputError("holds no model", where=str(run), hint="Name the --out of a kgcorpus train")
    if is_hub(url) and repository_of(url)[0] != "model":
        raise UsageError("is a repository of data", where=url, hint="Write hf://USER/NAME for a model")
    lock = folder_lock(run, "run") if folder != run else contextlib.nullcontext()
    with lock, wrap_store_errors(url), Progress("publish", folder=run) as progress:
        if place := _local(url):
            refuse_overlap(place, folder)
            refuse_replaced(place)
        refuse_links(folder.parent, folder.name)
        verify_model(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
        store = destination_of(url, private=private)
        total = sum(path.stat().st_size for path in files)
        before = _names_in(store.read(STATE))
        with progress.work(
            "sending", counts=lambda: store.sent.counts(len(files)), unit="files", bytes_total=total
        ):
            for path in files:
                store.put(path.relative_to(folder).as_posix(), path)
                store.sent.end_file(path.stat().st_size)
            for name in before - {path.relative_to(folder).as_posix() for path in files}:
                store.remove(name)
            store.flush()
    return len(files)


def _names_in(state: bytes) -> set[str]:
    """The names of the files of the model that was published there before."""
    files = _json(state).get("files")
    return {name for name in files if Path(name).name == name} if isinstance(files, dict) else set()


def _check_target(url: str, out: str | Path) -> None:
    if is_hub(url):
        if repository_of(url)[0] != "dataset":
            raise UsageError(
                "is a repository of models", where=url, hint="Write hf://datasets/USER/NAME for a corpus"
            )
        return
    folder = _local(url)
    if folder is None:
        if "::" in url:
            raise UsageError("chains URLs, which is not written to", where=url, hint="Name only the last one")
        target, source = f"{url.rstrip('/')}/", f"{out}/"
        if target.startswith(source) or source.startswith(target):
            raise UsageError(f"overlaps with the build {out}", where=url, hint="Choose another place")
        return
    if not is_remote(str(out)):
        refuse_overlap(folder, Path(out))
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


def _send(manifest: Manifest, out: Path, store: Destination, progress: Progress) -> int:
    text, standing = manifest.to_text().encode(), store.read(MANIFEST)
    # Path -> hash of each of our files in the store; None while it may be incomplete.
    there = _named(standing) or _json(store.read(UNFINISHED))
    files = {file.path: file for entry in manifest.tables.values() for file in entry.files}
    if BUILD_SIGNS[1] in store.sizes:
        raise UsageError(
            "is the folder of another build, whose tables would be replaced",
            where=store.url,
            hint="Choose another place, or remove it first",
        )
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
        with (
            progress.work(
                "sending", counts=lambda: store.sent.counts(len(missing)), unit="files", bytes_total=total
            ),
            contextlib.ExitStack() as fetched,
        ):
            for entry in manifest.tables.values():
                sent = [file for file in entry.files if file.path in missing]
                for file in sent:
                    store.put(file.path, fetched.enter_context(fetch_temporarily(out, file)))
                    if not store.is_waiting:
                        fetched.close()
                    store.sent.end_file(file.bytes)
                    there[file.path] = file.sha256
                if sent:
                    store.put(UNFINISHED, json.dumps(there).encode())
            if store.is_waiting and (out / COPY_SIGN).exists():
                store.flush()
        # Remove files of the previous build. Paths outside tables/ and data/ are ignored, since anyone may
        # have written that manifest.
        for path in filter(is_inside, there.keys() - files.keys()):
            store.remove(path)
    for name in _BESIDE:
        store.put(name, out / name)
    store.put(MANIFEST, text)
    store.remove(UNFINISHED)
    store.flush()
    return len(missing)


def _files_of(manifest: Manifest) -> list[File]:
    return [file for entry in manifest.tables.values() for file in entry.files]


def _paths_of(manifest: Manifest) -> list[str]:
    return [file.path for file in _files_of(manifest)]


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
