"""Does JAKET's graph tell of unseen entities? `make proof-jaket`, or `python -m proofs.jaket [--out FOLDER]`.

Runs the cells of the grid in README.md, two at a time, each on one core; those that stand in the folder are
not run again, so a stopped proof continues. After the last one it writes proofs/results/jaket.{json,md}.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proofs.experiment import ArmsExperiment
from proofs.grid import Cell
from proofs.jaket_cells import ARMS, Training, run_cell, write_world
from proofs.jaket_world import Size, World


@dataclass(frozen=True, kw_only=True)
class Plan(ArmsExperiment):
    """All that the result depends on; it was written down before the first run."""

    arms = tuple(ARMS)
    rates: tuple[float, ...] = (2e-3, 4e-3)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    size: Size = field(default_factory=Size)
    training: Training = field(default_factory=Training)

    def write_world(self, folder: Path, *, seed: int) -> dict[str, Any]:
        """Write a seed's corpus."""
        write_world(World(self.size, seed=seed), folder, seed=seed, training=self.training)
        return {}

    def run_cell(self, cell: Cell, world: Path, run: Path) -> dict[str, Any]:
        """Train a cell and ask it about the unseen entities."""
        return run_cell(cell, world, run, self.training)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the grid, write the result."""
    from proofs.jaket_report import result, tables

    Plan().prove("jaket", __doc__.splitlines()[0], arguments, analyse=result, show=tables)


if __name__ == "__main__":
    main()
