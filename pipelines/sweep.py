"""What a finished build removes, so that OUT holds what its manifest names and nothing else.

Therefore a folder is looked at first: nothing of the user's may lie where it would go.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.remote import is_remote
from kgcorpus.contracts.stages import Source

# Folders of OUT that are a build's alone.
_OWN = ("data", "tables", "tokens", "quarantine", "cache", "scratch")
# What it removes or writes over.
_AT_RISK = (*_OWN, "README.md", "config.yaml", "report.json", "run.json", "spark.log")
# A build leaves the second one before it writes its first shard, the first when a stage ends.
_SIGNS = ("manifest.json", ".sources.json")


def check_folder(out: Path, sources: Iterable[Source]) -> None:
    """See that nothing of the user's lies where a build removes files.

    Raises:
        UsageError: OUT holds such things that no build made, or an input lies in a build's folders.
    """
    if not any((out / sign).exists() for sign in _SIGNS):
        for path in (out / name for name in _AT_RISK):
            if path.is_file() or (path.is_dir() and any(path.iterdir())):
                raise UsageError(
                    "no build made it, and one would remove it", where=str(path), mend="Choose another --out"
                )
    for source in sources:
        path = Path(source.path).resolve()
        if is_remote(source.path) or not path.exists():
            continue
        for name in _OWN:
            if path.is_relative_to((out / name).resolve()):
                raise UsageError(
                    f"this input lies in {out / name}, where a build removes files",
                    where=source.path,
                    mend="Move it, or choose another --out",
                )


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
    for path, owners in _owned(out):
        if not owners <= current:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(out / "scratch", ignore_errors=True)


def _owned(out: Path) -> Iterator[tuple[Path, set[tuple[str, str]]]]:
    """What belongs to tables of certain fingerprints."""
    for path in [*out.glob("tables/*/*"), *out.glob("quarantine/*/*.jsonl")]:
        yield path, {(path.parent.name, path.stem)}
    for path in out.glob("cache/names/*-*"):
        table, _, fingerprint = path.name.rpartition("-")
        yield path, {(table, fingerprint)}
    for path in out.glob("cache/linker/*/tables.json"):
        try:
            yield path.parent, {(table, fingerprint) for table, fingerprint in json.loads(path.read_text())}
        except (ValueError, TypeError):
            # Cut off by a crash: it is of no table, and is made anew.
            yield path.parent, {("", "")}
