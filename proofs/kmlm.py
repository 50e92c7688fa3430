"""Does KMLM's reasoning stream teach reasoning? `make proof-kmlm`, or `python -m proofs.kmlm [--out FOLDER]`.

Runs the cells of the grid in README.md, two at a time, each on one core; those that stand in the folder are
not run again, so a stopped proof continues. After the last one it writes proofs/results/kmlm.{json,md}.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proofs.cells import ARMS, Training, run_cell, write_world
from proofs.experiment import ArmsExperiment
from proofs.grid import Cell
from proofs.world import Size, World


@dataclass(frozen=True, kw_only=True)
class Plan(ArmsExperiment):
    """All that the result depends on; it was written down before the first run.

    Attributes:
        validation, test: questions asked for, each in every language of the world.
    """

    arms = tuple(ARMS)
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    validation: int = 100
    test: int = 200
    size: Size = field(default_factory=Size)
    training: Training = field(default_factory=Training)

    def write_world(self, folder: Path, *, seed: int) -> dict[str, Any]:
        """Write a seed's corpora and the model that its cells start from."""
        questions = {"validation": self.validation, "test": self.test}
        world = World(self.size, seed=seed)
        return write_world(world, folder, seed=seed, questions=questions, training=self.training)

    def run_cell(self, cell: Cell, world: Path, run: Path) -> dict[str, Any]:
        """Train a cell and ask it the held-out questions."""
        return run_cell(cell, world, run, self.training)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the grid, write the result."""
    from proofs.report import result, tables

    Plan().prove("kmlm", __doc__.splitlines()[0], arguments, analyse=result, show=tables)


if __name__ == "__main__":
    main()
