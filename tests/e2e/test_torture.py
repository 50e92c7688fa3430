"""A kill in every stage, three or four of every trainer; `make torture` makes twenty of each."""

from pathlib import Path

import pytest

from kgcorpus.contracts.manifest import load_manifest
from pipelines.stages import STAGES
from tests.torture.kills import torture_build, torture_training

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_a_build_killed_in_every_stage_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    # Four kinds of moments, each in every fourth stage.
    fell = dict(torture_build(tmp_path / "OUT", built, seeds=range(4)))
    tables = load_manifest(built).tables
    assert list(fell) == [stage.table for stage in STAGES if stage.table in tables]
    assert set(list(fell.values())[::4]) == {"all shards, no manifest"}


@pytest.mark.parametrize(("objective", "kills"), [("kmlm", 4), ("trelm", 3), ("jaket", 3), ("transe", 3)])
def test_a_killed_run_gives_the_same_losses_and_weights(
    built: Path, tmp_path: Path, objective: str, kills: int
) -> None:
    assert sum(torture_training(objective, tmp_path, built, kills=kills).values()) == kills
