"""Checkpoints: whole or absent, and enough to go on bit for bit."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from kgcorpus.contracts.store import temporary_name
from trainer.objectives import Objective

_log = logging.getLogger(__name__)


class Checkpoints:
    """The folder RUN/checkpoints: `step-00000040/`, named by the steps done.

    A checkpoint holds the model (opens with bare transformers), `optimizer.pt` (opens with
    `torch.load(weights_only=True)`) and `state.json`. Random draws are functions of the seed and the step,
    so the step is all of their state.

    Args:
        folder: where.
        keep: how many stay.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self._folder, self._keep = folder, keep

    def save(self, step: int, objective: Objective, optimizer: torch.optim.Optimizer) -> Path:
        """Write the checkpoint of `step`, then remove those beyond `keep`."""

        def write(folder: Path) -> None:
            objective.save(folder)
            torch.save(optimizer.state_dict(), folder / "optimizer.pt")
            state = {"step": step, "objective": objective.state()}
            (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")

        target = self._folder / f"step-{step:08d}"
        write_folder(target, write)
        for old in self._all()[: -self._keep]:
            shutil.rmtree(old)
        _log.info("saved %s", target)
        return target

    def restore(self, objective: Objective) -> tuple[int, dict[str, Any] | None]:
        """Load the newest checkpoint into the objective.

        Returns:
            The number of steps done and the optimizer's state; 0 and None if there is none.
        """
        found = self._all()
        if not found:
            return 0, None
        newest = found[-1]
        objective.load(newest)
        state: dict[str, Any] = json.loads((newest / "state.json").read_text(encoding="utf-8"))
        objective.load_state(state["objective"])
        moments = torch.load(newest / "optimizer.pt", map_location="cpu", weights_only=True)
        _log.info("resuming from %s", newest)
        return int(state["step"]), moments

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))


def write_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Fill a temporary folder, then put it in the place of `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        shutil.rmtree(leftover)
    temporary = temporary_name(target)
    temporary.mkdir()
    write(temporary)
    if target.exists():
        shutil.rmtree(target)
    os.rename(temporary, target)
