"""Two kills a stage, four in training; `make torture` makes twenty of each."""

from pathlib import Path

import pytest

from pipelines.stages import STAGES
from tests.torture.kills import PLACES, torture_build, torture_training

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


# 0: between a stage's last file and the manifest; 2: at a time drawn while it computes.
@pytest.mark.parametrize("seed", [0, 2])
def test_a_build_killed_in_every_stage_gives_the_same_bytes(built: Path, tmp_path: Path, seed: int) -> None:
    fell = dict(torture_build(tmp_path / "OUT", built, seed=seed))
    assert list(fell) == [stage.table for stage in STAGES]
    assert set(fell.values()) <= set(PLACES)
    if seed == 0:
        assert set(fell.values()) == {"all shards, no manifest"}


def test_a_run_killed_four_times_gives_the_same_losses_and_weights(built: Path, tmp_path: Path) -> None:
    assert torture_training(tmp_path, built, kills=4)["ended before"] < 4
