"""Does routing save time? `make proof-trelm`, or `python -m proofs.trelm [--out FOLDER]`.

Runs the cells of the grid in README.md, two at a time, each on one core: first those that choose each arm's
learning rate, then those that are compared. Cells that stand in the folder are not run again, so an ended
proof goes on. After the last one it writes proofs/results/trelm.{json,md}; then the same for the remedies.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from proofs.grid import read_options, run_grid
from proofs.statistics import Found
from proofs.trelm_cells import ARMS, CORPORA, REMEDIES, Cell, Training, ensure_seed, run_cell
from proofs.trelm_report import (
    PRIMARY,
    REMEDIES_PRIMARY,
    REMEDIES_TITLE,
    TITLE,
    best_rates,
    write_report,
)
from proofs.trelm_world import Size


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that the result depends on; it was written down before the first run.

    Attributes:
        rates: peak learning rates, the same for every arm.
        tuning: seeds on which each arm's rate is chosen.
        seeds: of the comparison, paired over arms; none of them is in `tuning`.
        arms, corpora: of the grid.
    """

    rates: tuple[float, ...] = (5e-4, 1e-3, 2e-3, 4e-3)
    tuning: tuple[int, ...] = (101,)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    arms: tuple[str, ...] = tuple(arm for arm in ARMS if not arm.endswith(tuple(REMEDIES)))
    corpora: tuple[str, ...] = CORPORA
    size: Size = field(default_factory=Size)
    training: Training = field(default_factory=Training)

    @property
    def sweep(self) -> list[Cell]:
        """The cells that choose the rates."""
        return [
            Cell(arm, corpus, lr, seed)
            for seed in self.tuning
            for corpus in self.corpora
            for lr in self.rates
            for arm in self.arms
        ]

    def compared(self, rates: dict[tuple[str, str], float]) -> list[Cell]:
        """The cells that are compared, arm beside arm; `rates`: by arm and corpus."""
        return [
            Cell(arm, corpus, rates[arm, corpus], seed)
            for seed in self.seeds
            for corpus in self.corpora
            for arm in self.arms
        ]


# The remedies of README.md, in the same world and on the same seeds.
REMEDIES_PLAN = Plan(
    arms=("dense", *(arm for arm in ARMS if arm.endswith(tuple(REMEDIES)))), corpora=("mixed",)
)


def run(plan: Plan, out: Path, *, workers: int) -> tuple[list[Found], list[Found]]:
    """Run the cells that are missing.

    Args:
        plan: of the proof.
        out: a folder for the corpora and the cells; one of another plan is refused.
        workers: processes.

    Returns:
        The sweep's cells and those compared.

    Raises:
        UsageError: the folder holds another plan's cells.
    """
    sweep = _run_cells(plan, plan.sweep, out, workers)
    return sweep, _run_cells(plan, plan.compared(best_rates(sweep)), out, workers)


def _run_cells(plan: Plan, cells: Sequence[Cell], out: Path, workers: int) -> list[Found]:
    done, folders = out / "cells", {cell.seed: out / f"seed{cell.seed}" for cell in cells}
    done.mkdir(parents=True, exist_ok=True)
    run_grid(
        asdict(plan),
        out,
        prepare=[
            partial(ensure_seed, folder, seed=seed, size=plan.size, training=plan.training)
            for seed, folder in folders.items()
        ],
        cells={
            cell.name: partial(
                run_cell, cell, folders[cell.seed], done, size=plan.size, training=plan.training
            )
            for cell in cells
        },
        workers=workers,
    )
    return [json.loads((done / f"{cell.name}.json").read_text(encoding="utf-8")) for cell in cells]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the grid and then the remedies, write the results."""
    options = read_options("trelm", __doc__.splitlines()[0], arguments)
    for name, plan, primary, title in (
        ("trelm", Plan(), PRIMARY, TITLE),
        ("trelm-remedies", REMEDIES_PLAN, REMEDIES_PRIMARY, REMEDIES_TITLE),
    ):
        sweep, compared = run(plan, options.out / name, workers=options.workers)
        target = options.results / name
        write_report(sweep, compared, target, plan=asdict(plan), primary=primary, title=title)


if __name__ == "__main__":
    main()
