"""Ids are opaque: training takes a graph whose ids are URIs, CURIEs or words of any script."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kgcorpus
from kgcorpus.contracts.manifest import File, TableEntry, load_manifest
from kgcorpus.contracts.store import sha256_of
from kgcorpus.contracts.tables import TABLES
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import write_corpus
from tests.trainer.trelm.world import write_world
from trainer.config import ModelConfig, TrainingConfig

SMALL = ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400)
_ID = re.compile(r'"([QP]\d+)"')


def renamed(out, prefix):
    """Write every id of a build anew, with `prefix` before it."""
    manifest = load_manifest(out)
    for name, entry in manifest.tables.items():
        files = []
        for file in entry.files:
            path = out / file.path
            rows = json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False)
            rows = json.loads(_ID.sub(lambda m: json.dumps(prefix + m[1]), rows))
            pq.write_table(pa.Table.from_pylist(rows, schema=TABLES[name].schema), path)
            files.append(File(file.path, len(rows), path.stat().st_size, sha256_of(path)))
        digest = files[0].sha256
        manifest.tables[name] = TableEntry(name, digest[:12], digest, entry.rows, {}, {}, tuple(files))
    manifest.save(out)
    return out


@pytest.mark.parametrize("prefix", ["http://example.org/id/", "ключ:é '"])
@pytest.mark.parametrize(("objective", "write"), [("jaket", jaket_rows), ("trelm", None)])
def test_training_takes_ids_of_any_script(tmp_path, objective, write, prefix):
    out = write_corpus(tmp_path / "OUT", write()) if write else write_world(tmp_path / "OUT")
    config = TrainingConfig(
        model=SMALL,
        records_per_step=8,
        max_length=64,
        trelm={"memory": {"enabled": False}, "routing": {"mode": "none"}},
        transe={"dim": 8, "steps": 5, "facts_per_step": 32, "negatives": 8},
        jaket={"gat_heads": 2},
    )
    kgcorpus.train(objective, renamed(out, prefix), tmp_path / "RUN", config=config, max_steps=2)
    lines = [json.loads(line) for line in (tmp_path / "RUN" / "metrics.jsonl").read_text().splitlines()]
    losses = [line for line in lines if "loss" in line]
    assert len(losses) == 2
    assert all(value > 0 for line in losses for name, value in line.items() if name.startswith("loss_"))
