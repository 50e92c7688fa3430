"""Does KMLM's reasoning stream teach reasoning? `make proof-kmlm`, or `python -m proofs.kmlm [--out FOLDER]`.

Runs the cells of the grid in README.md, two at a time, each on one core; those that stand in the folder are
not run again, so an ended proof goes on. After the last one it writes proofs/results/kmlm.{json,md}.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from proofs.cells import ARMS, Training, ensure_seed, run_cell
from proofs.grid import Cell, read_options, run_grid
from proofs.world import Size


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that the result depends on; it was written down before the first run.

    Attributes:
        rates: peak learning rates, the same for every arm.
        seeds: of the worlds, the starts and the masks; paired over arms.
        validation, test: questions asked for, each in every language of the world.
    """

    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    validation: int = 100
    test: int = 200
    size: Size = field(default_factory=Size)
    training: Training = field(default_factory=Training)

    @property
    def cells(self) -> list[Cell]:
        """The grid, seed by seed."""
        return [Cell(arm, lr, seed) for seed in self.seeds for lr in self.rates for arm in ARMS]


def run(plan: Plan, out: Path, *, workers: int) -> Path:
    """Run the cells that are missing.

    Args:
        plan: of the proof.
        out: a folder for the corpora and the cells; one of another plan is refused.
        workers: processes.

    Returns:
        The folder of the cells' files.

    Raises:
        UsageError: the folder holds another plan's cells.
    """
    corpora = {seed: out / f"seed{seed}" for seed in plan.seeds}
    questions = {"validation": plan.validation, "test": plan.test}
    run_grid(
        asdict(plan),
        out,
        prepare=[
            partial(
                ensure_seed, corpus, seed=seed, size=plan.size, questions=questions, training=plan.training
            )
            for seed, corpus in corpora.items()
        ],
        cells={
            cell.name: partial(run_cell, cell, corpora[cell.seed], out / "cells", plan.training)
            for cell in plan.cells
        },
        workers=workers,
    )
    return out / "cells"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the grid, write the result."""
    from proofs.report import write_report

    options = read_options("kmlm", __doc__.splitlines()[0], arguments)
    plan = Plan()
    cells = run(plan, options.out, workers=options.workers)
    files = [cells / f"{cell.name}.json" for cell in plan.cells]
    write_report(files, options.results / "kmlm", plan=asdict(plan))


if __name__ == "__main__":
    main()
