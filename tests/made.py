"""A finished build of one table, made without Spark: what a command does to its folder is seen in no time."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.cli import app, run_app
from kgcorpus.config import BuildConfig, load
from kgcorpus.contracts.manifest import Manifest, TableEntry
from kgcorpus.contracts.store import sha256_of
from kgcorpus.contracts.tables import table
from pipelines.bound import bind
from pipelines.source_digests import SourceDigests

TABLE = "relations"


def command(*words: str | Path) -> int:
    """The exit code of a command, run in this process."""
    return run_app(lambda: app([str(word) for word in words]))


def finished_build(folder: Path, *, settings: str = "") -> tuple[Path, Path]:
    """OUT and its configuration, a build of the table `relations` that is up to date.

    Args:
        settings: further YAML of the configuration.
    """
    out, file = folder / "OUT", folder / "build.yaml"
    (folder / "relations.tsv").write_text("P1\ten\tcapital of\n")
    file.write_text(f"graph: {{relations: [{folder / 'relations.tsv'}]}}\nlanguages: [en]\n{settings}")
    bound = bind(load(BuildConfig, file))[TABLE]
    print_ = bound.output(Manifest(), SourceDigests(out)).fingerprint
    shard = out / "tables" / TABLE / print_[:12] / "part-00000-of-00001.parquet"
    shard.parent.mkdir(parents=True)
    names = [{"lang": "en", "label": "capital of", "aliases": []}]
    pq.write_table(pa.Table.from_pylist([{"pid": "P1", "names": names}], schema=table(TABLE).schema), shard)
    entry = {"path": str(shard.relative_to(out)), "rows": 1, "bytes": shard.stat().st_size}
    manifest = {
        "stage": TABLE,
        "fingerprint": print_,
        "digest": sha256_of(shard),
        "rows": 1,
        "drops": {},
        "counts": {"good_input": 1},
        "files": [{**entry, "sha256": sha256_of(shard)}],
    }
    Manifest({TABLE: _entry(manifest)}).save(out)
    assert command("build-corpus", "--out", out, "--config", file) == 0
    return out, file


def _entry(values: dict[str, Any]) -> TableEntry:
    from pydantic import TypeAdapter

    return TypeAdapter(TableEntry).validate_python(values)
