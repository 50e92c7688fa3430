"""What a finished build removes, so that OUT holds what its manifest names and nothing else."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from kgcorpus.contracts.manifest import Manifest


def remove_unpublished(out: Path, manifest: Manifest) -> None:
    """Leave under data/ what the manifest names."""
    named = {out / file.path for entry in manifest.tables.values() for file in entry.files}
    for path in (out / "data").rglob("*"):
        if path.is_file() and path not in named:
            path.unlink()


def remove_superseded(out: Path, manifest: Manifest) -> None:
    """Remove tables, quarantined input and caches of other fingerprints than the manifest's.

    Only a build of all tables may call it: a stage that was cut short keeps its whole shards until then.
    """
    current = {(name, entry.fingerprint[:12]) for name, entry in manifest.tables.items()}
    for path, owner in _owned(out):
        if owner not in current:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(out / "scratch", ignore_errors=True)


def _owned(out: Path) -> Iterator[tuple[Path, tuple[str, str]]]:
    """What belongs to one table of one fingerprint."""
    for path in [*out.glob("tables/*/*"), *out.glob("quarantine/*/*.jsonl")]:
        yield path, (path.parent.name, path.stem)
    for path in out.glob("cache/names/*-*"):
        table, _, fingerprint = path.name.rpartition("-")
        yield path, (table, fingerprint)
