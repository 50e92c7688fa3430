import re
import sys

import pytest

from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.contracts.extras import install_command
from trainer.trackers import tracking


def scalars(folder, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_shows_each_step_once_after_a_resume(tmp_path):
    for done, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        with tracking(["tensorboard"], tmp_path, step=done, config={}) as write:
            write({"step": done, "event": "memory_sweep", "seconds": 1.0})
            for step in steps:
                write({"step": step, "loss": float(10 * done + step)})
    assert scalars(tmp_path, "loss") == [(1, 1.0), (2, 2.0), (3, 23.0), (4, 24.0)]


def test_wandb_gets_the_numbers_of_each_step(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    with tracking(["wandb"], tmp_path, step=0, config={"lr": 0.1}) as write:
        write({"step": 1, "loss": 2.0})
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_tracker_that_is_not_installed_is_named_with_its_extra(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(EnvironmentLacksError, match=re.escape(install_command(name))):
        tracking([name], tmp_path, step=0, config={}).__enter__()
