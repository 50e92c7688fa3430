"""Removes files from OUT that the manifest does not name, and refuses an OUT that contains the user's files.

A build checks its folder before it starts, so that the cleanup at its end removes only files of builds.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.files import parse_json
from kgcorpus.contracts.links import entries_of, files_below, refuse_links, remove
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.places import BUILD_FILES, BUILD_FOLDERS, BUILD_SIGNS, is_progress, refuse_replaced
from kgcorpus.contracts.remote import is_remote, without_file_scheme
from kgcorpus.contracts.stages import Source
from kgcorpus.contracts.tables import TABLES
from kgcorpus.mirror import COPY_SIGN

# Where a build writes and deletes. A link to a folder elsewhere in OUT is neither refused nor entered.
_TABLES_IN = ("data", "tables", "quarantine", "scratch")
_WRITTEN = ("cache/names", "cache/linker", "world")


def check_folder(out: Path, sources: Iterable[Source]) -> None:
    """Check that no file of the user's is where a build removes files.

    Raises:
        UsageError: OUT contains files under a build's names that no build made, a link where a build writes,
            or an input; or OUT is a copy of a build, or is where another build or a run deletes.
    """
    refuse_replaced(out)
    if (out / COPY_SIGN).exists():
        raise UsageError(
            "is a copy of a published build, which a run reads", where=str(out), hint="Choose another --out"
        )
    refuse_links(out, *(f"{top}/{name}" for top in _TABLES_IN for name in TABLES), *_WRITTEN)
    if not any((out / sign).exists() for sign in BUILD_SIGNS):
        for path in (out / name for name in (*BUILD_FOLDERS, *BUILD_FILES)):
            if is_progress(path):
                continue
            if path.is_file() or (path.is_dir() and any(path.iterdir())):
                raise UsageError(
                    "no build made it, and one would remove it", where=str(path), hint="Choose another --out"
                )
    for source in sources:
        # A loop of links stays as it is, and is refused where inputs are.
        place = without_file_scheme(source.path)
        path = Path(os.path.realpath(place))
        if is_remote(place) or not path.exists():
            continue
        for name in BUILD_FOLDERS:
            if path.is_relative_to(Path(os.path.realpath(out / name))):
                raise UsageError(
                    f"this input lies in {out / name}, where a build removes files",
                    where=source.path,
                    hint="Move it, or choose another --out",
                )


def remove_unpublished(out: Path, manifest: Manifest) -> None:
    """Leave under data/ what the manifest names."""
    named = {out / file.path for entry in manifest.tables.values() for file in entry.files}
    for path in files_below(out / "data"):
        if path not in named:
            path.unlink()


def remove_superseded(out: Path, manifest: Manifest) -> None:
    """Remove tables, quarantined input and caches of other fingerprints than the manifest's.

    Only a build of all tables may call it: a stage that was cut short keeps its whole shards until then.
    """
    current = {(name, entry.fingerprint[:12]) for name, entry in manifest.tables.items()}
    for path, owners in _owned(out):
        if not owners <= current:
            remove(path)
    remove(out / "scratch")


def _owned(out: Path) -> Iterator[tuple[Path, set[tuple[str, str]]]]:
    """What belongs to tables of certain fingerprints."""
    tables, set_aside = (entries_of(out / name) for name in ("tables", "quarantine"))
    for path in (path for folder in tables for path in entries_of(folder)):
        yield path, {(path.parent.name, path.stem)}
    for path in (path for folder in set_aside for path in entries_of(folder) if path.suffix == ".jsonl"):
        yield path, {(path.parent.name, path.stem)}
    for path in entries_of(out / "cache" / "names"):
        table, dash, fingerprint = path.name.rpartition("-")
        if dash:
            yield path, {(table, fingerprint)}
    for path in entries_of(out / "cache" / "linker"):
        record = path / "tables.json"
        if not record.exists():
            continue
        try:
            if not record.is_file():
                raise ValueError("a pipe or a folder")
            tables_of = parse_json(record.read_bytes())
            yield path, {(table, fingerprint) for table, fingerprint in tables_of}
        except (ValueError, TypeError):
            # Cut off by a crash: it belongs to no table, and is made again.
            yield path, {("", "")}
