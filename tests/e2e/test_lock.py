"""Bytes change with a version, or not at all: `stages.lock` holds each stage's version and result."""

import json
import os
from pathlib import Path

import pytest

from pipelines.stages import STAGES

LOCK = Path(__file__).with_name("stages.lock")
# What a model computes is the same for the same kind of machine alone.
MACHINE_BOUND = {"importance", "trelm"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_stage_that_gives_other_bytes_has_another_version(built: Path) -> None:
    tables = json.loads((built / "manifest.json").read_text())["tables"]
    now = {
        stage.table: [stage.version, tables[stage.table]["digest"]]
        for stage in STAGES
        if stage.table not in MACHINE_BOUND
    }
    if "KGCORPUS_RENEW_LOCK" in os.environ:
        LOCK.write_text(json.dumps(now, indent=1) + "\n")
    locked = json.loads(LOCK.read_text())
    silent = [
        name
        for name, (version, _) in now.items()
        if locked.get(name, [0])[0] == version and locked[name] != now[name]
    ]
    assert not silent, (
        f"other bytes with the old version: {silent}; raise it, then renew with KGCORPUS_RENEW_LOCK=1"
    )
    assert now == locked, "renew stages.lock with KGCORPUS_RENEW_LOCK=1"
