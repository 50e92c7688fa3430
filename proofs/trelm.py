"""Does routing save time? `make proof-trelm`, or `python -m proofs.trelm [--out FOLDER]`.

Runs the cells of the grid in README.md, two at a time, each on one core: first those that choose each arm's
learning rate, then those that are compared. Cells that stand in the folder are not run again, so an ended
proof goes on. After the last one it writes proofs/results/trelm.{json,md}; then the same for the remedies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proofs.experiment import Experiment, write_result
from proofs.grid import read_options
from proofs.statistics import Found
from proofs.trelm_cells import ARMS, CORPORA, REMEDIES, Cell, Training, run_cell, write_world
from proofs.trelm_report import (
    PRIMARY,
    REMEDIES_PRIMARY,
    REMEDIES_TITLE,
    TITLE,
    best_rates,
    result,
    tables,
)
from proofs.trelm_world import Size, World


@dataclass(frozen=True, kw_only=True)
class Plan(Experiment[Cell]):
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

    def write_world(self, folder: Path, *, seed: int) -> dict[str, Any]:
        """Write a seed's corpora, its vectors and the model that its cells start from."""
        return write_world(World(self.size, seed=seed), folder, seed=seed, training=self.training)

    def run_cell(self, cell: Cell, world: Path, run: Path) -> dict[str, Any]:
        """Train a cell and ask for the facts at each probe."""
        return run_cell(cell, World(self.size, seed=cell.seed), world, run, self.training)

    def run_both(self, out: Path, *, workers: int) -> tuple[list[Found], list[Found]]:
        """Run the missing cells of the sweep, then those compared at the rates that the sweep chose.

        Args:
            out: folder of the worlds and the cells; one of another plan is refused.
            workers: processes, each on one core.

        Returns:
            The sweep's cells and those compared.

        Raises:
            UsageError: the folder has another plan's cells.
        """
        sweep = self.run(self.sweep, out, workers=workers)
        return sweep, self.run(self.compared(best_rates(sweep)), out, workers=workers)


# The remedies of README.md, in the same world and on the same seeds.
REMEDIES_PLAN = Plan(
    arms=("dense", *(arm for arm in ARMS if arm.endswith(tuple(REMEDIES)))), corpora=("mixed",)
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the grid and then the remedies, write the results."""
    options = read_options("trelm", __doc__.splitlines()[0], arguments)
    for name, plan, primary, title in (
        ("trelm", Plan(), PRIMARY, TITLE),
        ("trelm-remedies", REMEDIES_PLAN, REMEDIES_PRIMARY, REMEDIES_TITLE),
    ):
        sweep, compared = plan.run_both(options.out / name, workers=options.workers)
        found, cells = result(compared, primary), {"sweep": sweep, "compared": compared}
        text = tables(found, sweep, compared, title=title)
        write_result(options.results / name, plan, found, cells, text=text)


if __name__ == "__main__":
    main()
