"""Half the time at the same knowledge? TRELM's arms on the pretrained base (`proofs.trelm pretrained`)."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kgcorpus.contracts.store import write_text
from proofs.base import require_base, with_floor
from proofs.experiment import Experiment, write_result
from proofs.grid import Cell
from proofs.statistics import Found
from proofs.trelm_calibration import calibrate, markdown, steps_of
from proofs.trelm_facts import Size
from proofs.trelm_facts_cells import ARMS, BASE, Training, run_cell, write_world
from proofs.trelm_facts_report import best_rates, result, tables

NAME = "trelm-pretrained"
_COSTS = "calibration.json"


@dataclass(frozen=True, kw_only=True)
class Plan(Experiment[Cell]):
    """All that the result depends on beside the base; it was written down before the first run.

    Attributes:
        base: digest of the base's model.
        rates: peak learning rates, the same for every arm.
        tuning: seeds on which each arm's rate is chosen.
        seeds: of the comparison, paired over arms; none of them is in `tuning`.
        arms: of the grid.
    """

    base: str = ""
    rates: tuple[float, ...] = (1e-4, 3e-4, 8e-4, 2e-3)
    tuning: tuple[int, ...] = (101, 102, 103)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    arms: tuple[str, ...] = tuple(ARMS)
    size: Size = field(default_factory=Size)
    training: Training = field(default_factory=Training)

    @property
    def sweep(self) -> list[Cell]:
        """The cells that choose the rates, arms of a seed side by side."""
        return [Cell(arm, lr, seed) for seed in self.tuning for lr in self.rates for arm in self.arms]

    def compared(self, rates: dict[str, float]) -> list[Cell]:
        """The cells that are compared, arms of a seed side by side; `rates`: by arm."""
        return [Cell(arm, rates[arm], seed) for seed in self.seeds for arm in self.arms]

    def write_world(self, folder: Path, *, seed: int) -> dict[str, Any]:
        """Write a seed's corpus and vectors."""
        folder.mkdir(parents=True, exist_ok=True)
        return write_world(folder, self.size, self.training, seed=seed)

    def run_cell(self, cell: Cell, world: Path, run: Path) -> dict[str, Any]:
        """Train a cell for the time that all arms have."""
        costs = json.loads((world.parent / _COSTS).read_text(encoding="utf-8"))
        steps = steps_of(costs, self.size, self.training)[cell.arm]
        return run_cell(cell, world, run, self.size, self.training, steps=steps)

    def calibrated(self, out: Path, done: Path) -> dict[str, dict[str, float]]:
        """What a step of each arm costs; measured once, and kept beside the cells."""
        kept = done / _COSTS
        if not kept.exists():
            seed = self.tuning[0]
            self._ensure_world(out / f"seed{seed}", seed)
            costs = calibrate(out / f"seed{seed}", self.training, seed=seed, arms=self.arms)
            done.mkdir(parents=True, exist_ok=True)
            write_text(kept, json.dumps(costs, indent=1) + "\n")
        text = kept.read_text(encoding="utf-8")
        write_text(out / _COSTS, text)
        found: dict[str, dict[str, float]] = json.loads(text)
        return found

    def run_both(self, out: Path, done: Path, *, workers: int) -> tuple[list[Found], list[Found]]:
        """Run the missing cells of the sweep, then those compared, one at a time.

        Args:
            out: folder of the worlds, with a link to the base.
            done: folder of the cells' files and of the calibration.
            workers: processes of the sweep, each on one core.

        Returns:
            The sweep's cells and those compared.

        Raises:
            UsageError: a folder has another plan's cells.
        """
        self.ensure_same_run(out, done)
        self.calibrated(out, done)
        sweep = self.run(self.sweep, out, workers=workers, done=done)
        # On a quiet machine: two cells at a time would share its memory's bandwidth.
        return sweep, self.run(self.compared(best_rates(sweep)), out, workers=1, done=done)


def link_base(out: Path, base: Path) -> None:
    """Let OUT/base lead to the folder of `proofs.base`."""
    out.mkdir(parents=True, exist_ok=True)
    link = out / BASE
    link.unlink(missing_ok=True)
    link.symlink_to(base.resolve(), target_is_directory=True)


def prove(
    out: Path,
    results: Path,
    *,
    base: Path,
    workers: int,
    below_floor: bool = False,
    plan: Plan | None = None,
) -> None:
    """Run what is missing and write RESULTS/trelm-pretrained.{json,md}.

    Args:
        out: folder of the worlds.
        results: folder of the result; the cells are in RESULTS/trelm-pretrained.
        base: folder of `proofs.base`.
        workers: processes of the sweep.
        below_floor: take a base below its floor.
        plan: another size; None: the proof's.

    Raises:
        UsageError: there is no base, or it is below its floor; or a folder has another plan's cells.
    """
    from trainer.digests import digest_of_model

    model = require_base(base, below_floor=below_floor)
    plan = replace(plan or Plan(), base=digest_of_model(str(model)))
    link_base(out, base)
    done = results / NAME
    sweep, compared = plan.run_both(out, done, workers=workers)
    costs = plan.calibrated(out, done)
    found = {"calibration": costs, **result(compared)}
    text = tables(found, sweep, compared, costs=markdown(costs, steps_of(costs, plan.size, plan.training)))
    cells = {"sweep": sweep, "compared": compared}
    write_result(results / NAME, plan, found, cells, text=with_floor(text, base))
