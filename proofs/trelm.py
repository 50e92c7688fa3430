"""Does TRELM's routing save time? `make proof-trelm`, or `python -m proofs.trelm [PROOF ...] [--out FOLDER]`.

PROOF is one or more of the proofs in README.md:

- `pretrained` (default): half the time at the same knowledge, on the pretrained base of `proofs.base`;
- `whole`: TRELM whole against DKPLM whole on real passages, by fine-tuned F1;
- `table`: what the frozen embedding table costs in the small world;
- `small`, `remedies`: the small world as it was first proved.

A cell whose file is there is not run again, so a stopped proof continues. After the last cell the result is
written to proofs/results.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import UsageError
from proofs.experiment import Experiment, write_result
from proofs.grid import PROOFS, read_options
from proofs.statistics import Found
from proofs.trelm_cells import ARMS, CORPORA, REMEDIES, TABLE, Cell, Training, run_cell, write_world
from proofs.trelm_pretrained import prove
from proofs.trelm_report import (
    PRIMARY,
    REMEDIES_PRIMARY,
    REMEDIES_TITLE,
    TABLE_PRIMARY,
    TABLE_TITLE,
    TITLE,
    Pair,
    best_rates,
    result,
    tables,
)
from proofs.trelm_whole import TASKS
from proofs.trelm_whole import prove as prove_whole
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
    arms: tuple[str, ...] = tuple(
        arm for arm in ARMS if arm not in TABLE and not arm.endswith(tuple(REMEDIES))
    )
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


# In the same world and on the same seeds.
REMEDIES_PLAN = Plan(
    arms=("dense", *(arm for arm in ARMS if arm.endswith(tuple(REMEDIES)))), corpora=("mixed",)
)
TABLE_PLAN = Plan(arms=("dense", "exact, attributed 30%", "exact, random 30%", *TABLE), corpora=("mixed",))
# Plan, primary comparisons and title of each proof in the small world, by the name of its result.
SMALL: dict[str, tuple[Plan, tuple[Pair, ...], str]] = {
    "trelm": (Plan(), PRIMARY, TITLE),
    "trelm-remedies": (REMEDIES_PLAN, REMEDIES_PRIMARY, REMEDIES_TITLE),
    "trelm-table": (TABLE_PLAN, TABLE_PRIMARY, TABLE_TITLE),
}
_NAMES = {"small": "trelm", "remedies": "trelm-remedies", "table": "trelm-table"}
PRETRAINED, WHOLE = "pretrained", "whole"


def prove_small(name: str, out: Path, results: Path, *, workers: int) -> None:
    """Run what is missing of a proof in the small world and write RESULTS/NAME.{json,md}."""
    plan, primary, title = SMALL[name]
    sweep, compared = plan.run_both(out / name, workers=workers)
    found, cells = result(compared, primary), {"sweep": sweep, "compared": compared}
    text = tables(found, sweep, compared, title=title)
    write_result(results / name, plan, found, cells, text=text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the proofs and write their results."""

    def add(parser: argparse.ArgumentParser) -> None:
        choices = [PRETRAINED, WHOLE, *_NAMES]
        parser.add_argument("proofs", nargs="*", metavar="PROOF", help=f"of {', '.join(choices)}")
        parser.add_argument("--base", type=Path, default=PROOFS / "work" / "base", help="of proofs.base")
        parser.add_argument("--below-floor", action="store_true", help="take a base below its floor")
        parser.add_argument("--corpus", type=Path, default=PROOFS / "work" / "vital", help="build for whole")
        for task in TASKS:
            parser.add_argument(f"--{task}", type=Path, default=PROOFS / "work" / task, help="data for whole")

    options = read_options("trelm", __doc__.splitlines()[0], arguments, add=add)
    shared = {"workers": options.workers, "below_floor": options.below_floor}
    for proof in options.proofs or [PRETRAINED]:
        if proof == PRETRAINED:
            prove(options.out / proof, options.results, base=options.base, **shared)
        elif proof == WHOLE:
            inputs = {name: getattr(options, name) for name in ("base", "corpus", *TASKS)}
            prove_whole(options.out / proof, options.results, inputs=inputs, **shared)
        elif proof in _NAMES:
            prove_small(_NAMES[proof], options.out, options.results, workers=options.workers)
        else:
            raise UsageError(
                f"there is no proof {proof!r}", hint=f"Name some of {', '.join([PRETRAINED, WHOLE, *_NAMES])}"
            )


if __name__ == "__main__":
    main()
