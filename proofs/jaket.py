"""Does JAKET's graph tell of unseen entities? `make proof-jaket`, or `python -m proofs.jaket [--out FOLDER]`.

Runs the cells of the grid in README.md, two at a time, each on one core; those that stand in the folder are
not run again, so an ended proof goes on. After the last one it writes proofs/results/jaket.{json,md}.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from proofs.grid import Cell, read_options, run_grid
from proofs.jaket_cells import ARMS, Training, ensure_seed, run_cell
from proofs.jaket_world import Size


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that the result depends on; it was written down before the first run.

    Attributes:
        rates: peak learning rates, the same for every arm.
        seeds: of the worlds, the unseen, the starts and the masks; paired over arms.
    """

    rates: tuple[float, ...] = (2e-3, 4e-3)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    size: Size = field(default_factory=Size)
    training: Training = field(default_factory=Training)

    @property
    def cells(self) -> list[Cell]:
        """The grid, seed by seed."""
        return [Cell(arm, lr, seed) for seed in self.seeds for lr in self.rates for arm in ARMS]


def run(plan: Plan, out: Path, *, workers: int) -> list[Path]:
    """Run the cells that are missing.

    Args:
        plan: of the proof.
        out: a folder for the corpora and the cells; one of another plan is refused.
        workers: processes.

    Returns:
        The cells' files, in the grid's order.

    Raises:
        UsageError: the folder holds another plan's cells.
    """
    corpora = {seed: out / f"seed{seed}" for seed in plan.seeds}
    run_grid(
        asdict(plan),
        out,
        prepare=[
            partial(ensure_seed, corpus, seed=seed, size=plan.size, training=plan.training)
            for seed, corpus in corpora.items()
        ],
        cells={
            cell.name: partial(run_cell, cell, corpora[cell.seed], out / "cells", plan.training)
            for cell in plan.cells
        },
        workers=workers,
    )
    return [out / "cells" / f"{cell.name}.json" for cell in plan.cells]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the grid, write the result."""
    from proofs.jaket_report import write_report

    options = read_options("jaket", __doc__.splitlines()[0], arguments)
    plan = Plan()
    files = run(plan, options.out, workers=options.workers)
    write_report(files, options.results / "jaket", plan=asdict(plan))


if __name__ == "__main__":
    main()
