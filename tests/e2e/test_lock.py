"""Bytes change with a version, or not at all: `stages.lock` holds each stage's version and result."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.tables import table
from pipelines.stages import STAGES

LOCK = Path(__file__).with_name("stages.lock")
# A model's last bits differ between machines: floats are locked as sums, all else by its hash.
FROM_A_MODEL = {"importance", "trelm"}
GROUPS = 16
# fp32 differs by about 1e-6 a value and 2e-4 a sum of 200; one value that is off by 2e-3 shows.
TOLERANCE = 1e-3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_stage_that_gives_other_bytes_has_another_version(built: Path) -> None:
    tables = json.loads((built / "manifest.json").read_text())["tables"]
    # The embedded world has no dump of Wikidata's, so it has no table `wikidata`.
    stages = [stage for stage in STAGES if stage.table in tables]
    assert len(stages) == len(STAGES) - 1
    now = {stage.table: [stage.version, *result(built, tables[stage.table])] for stage in stages}
    if "KGCORPUS_RENEW_LOCK" in os.environ:
        lines = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in now.items())
        LOCK.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    locked = json.loads(LOCK.read_text())
    silent = [
        name
        for name, entry in now.items()
        if entry[0] == locked.get(name, [None])[0] and not is_same(entry, locked[name])
    ]
    assert not silent, (
        f"other bytes with the old version: {silent}; raise it, then renew with KGCORPUS_RENEW_LOCK=1"
    )
    stale = [name for name in {**now, **locked} if not is_same(now.get(name, []), locked.get(name, []))]
    assert not stale, f"stages.lock is stale for {stale}; renew it with KGCORPUS_RENEW_LOCK=1"


def test_one_value_that_a_model_changes_shows_and_its_last_bits_do_not() -> None:
    rows = [{"key": str(i), "mentions": [{"cos": i / 1000, "qid": "Q1"}]} for i in range(1000)]
    before = [1, *without_last_bits(rows, ["key"])]

    def after(change: dict[str, object], n: int = 1) -> list[Any]:
        changed = [{**row, "mentions": [{**row["mentions"][0], **change}]} for row in rows[:n]]
        return [1, *without_last_bits([*changed, *rows[n:]], ["key"])]

    assert is_same(after({"cos": 1e-6}), before)
    assert not is_same(after({"cos": 2e-3}), before)
    assert not is_same(after({"qid": "Q2"}), before)
    assert not is_same(after({"cos": None}), before)


def result(out: Path, entry: dict[str, Any]) -> list[Any]:
    """What the lock holds of a table: its digest, or [hash of all but the floats, sums of the floats]."""
    if entry["stage"] not in FROM_A_MODEL:
        return [entry["digest"]]
    files = [out / file["path"] for file in entry["files"]]
    rows = [{"file": file.name, **row} for file in files for row in pq.read_table(file).to_pylist()]
    return without_last_bits(rows, table(entry["stage"]).key)


def without_last_bits(rows: list[dict[str, Any]], key: list[str] | tuple[str, ...]) -> list[Any]:
    """[sha256 of the rows in their order without the floats, the floats' sums by row and field]."""
    sums = [0.0] * GROUPS
    rest = hashlib.sha256()
    for row in rows:
        floats: list[tuple[str, float]] = []
        rest.update(json.dumps(_without_floats(row, "", floats)).encode())
        for name, value in floats:
            sums[hash64("lock", name, *(row[column] for column in key)) % GROUPS] += value
    return [rest.hexdigest(), [round(total, 4) for total in sums]]


def is_same(entry: list[Any], locked: list[Any]) -> bool:
    """Are the exact parts equal, and the sums near?"""
    if entry[:2] != locked[:2] or len(entry) != len(locked):
        return False
    return len(entry) == 2 or entry[2] == pytest.approx(locked[2], abs=TOLERANCE)


def _without_floats(value: Any, name: str, floats: list[tuple[str, float]]) -> Any:
    if isinstance(value, float):
        floats.append((name, value))
        return "a float"
    if isinstance(value, dict):
        return {key: _without_floats(item, key, floats) for key, item in value.items()}
    return [_without_floats(item, name, floats) for item in value] if isinstance(value, list) else value
