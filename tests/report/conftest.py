import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgcorpus.contracts.manifest import File, Manifest, TableEntry
from kgcorpus.contracts.tables import TABLES

# Shards as (rows, rows, ...) by split. `jaket_edges` has no row at all, `plain_text` none for its test split,
# and one of the train shards of `code_switched` came out empty.
BUILT: dict[str, dict[str, tuple[int, ...]]] = {
    "plain_text": {"train": (3, 2), "validation": (1,), "test": (0,)},
    "code_switched": {"train": (2, 0), "validation": (0,), "test": (1,)},
    "jaket_edges": {"train": (0,), "validation": (0,), "test": (0,)},
}


def write(path: Path, table: str, rows: list[dict[str, Any]], *, sums: dict[str, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = TABLES[table]
    with pq.ParquetWriter(path, made.schema, compression="zstd") as writer:
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema=made.schema))
        writer.add_key_value_metadata({b"kgcorpus": json.dumps(sums).encode()})


def records(table: str, split: str, shard: int, n: int) -> list[dict[str, Any]]:
    if table == "plain_text":
        return [
            {"id": f"{split}{shard}-{i}", "lang": "en", "text": "Paris.", "length": 128} for i in range(n)
        ]
    triple = {"h": "Q142", "r": "P36", "t": "Q90"}
    slots = [{"start": 0, "end": 6, "sentence": 0, "slot": 1, "qid": "Q142", "lang": "en"}]
    record = {"lang": "fr", "kind": "code_switched", "text": "France [mask] capitale [mask] Paris."}
    return [{"id": f"{split}{shard}-{i}", **record, "triples": [triple], "slots": slots} for i in range(n)]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """A build's folder of real shards, with the folders that lie beside them, and its manifest."""
    out = tmp_path_factory.mktemp("build")
    tables = {}
    for name, splits in BUILT.items():
        files = []
        for split, shards in splits.items():
            for shard, n in enumerate(shards):
                path = f"data/{name}/{split}-{shard:05d}-of-{len(shards):05d}.parquet"
                # The sums of each shard lie in its footer, so no two footers are alike.
                write(out / path, name, records(name, split, shard, n), sums={f"drop.{split}": shard})
                data = (out / path).read_bytes()
                files.append(File(path, n, len(data), hashlib.sha256(data).hexdigest()))
        rows = sum(file.rows for file in files)
        drops = {"too_short": 4, "no_label": 1200} if name == "plain_text" else {}
        tables[name] = TableEntry(name, f"{name}-print", "digest", rows, drops, {}, tuple(files))
    triples = "tables/triples/0123456789ab/part-00000-of-00001.parquet"
    write(out / triples, "triples", [{"h": "Q142", "r": "P36", "t": "Q90"}], sums={})
    data = (out / triples).read_bytes()
    file = File(triples, 1, len(data), hashlib.sha256(data).hexdigest())
    tables["triples"] = TableEntry("triples", "0123456789ab", "digest", 1, {}, {"lines": 3}, (file,))
    (out / "quarantine" / "triples").mkdir(parents=True)
    (out / "quarantine" / "triples" / "0123456789ab.jsonl").write_text('{"line": "Q1"}\n')
    sources = [{"role": "graph.triples", "file": "a|<b>_x.tsv", "bytes": 12345, "sha256": "f" * 64}]
    return out, Manifest(tables, sources, {"pyarrow": "26.0.1"})
