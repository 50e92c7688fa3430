"""Does KMLM's reasoning stream teach reasoning? `make proof-kmlm`, or `python -m proofs.kmlm [--out FOLDER]`.

Runs the cells of the grid in README.md, two at a time, each on one core; those that stand in the folder are
not run again, so an ended proof goes on. After the last one it writes proofs/results/kmlm.{json,md}.
"""

import argparse
import json
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

from proofs.cells import ARMS, Cell, Training, ensure_seed, run_cell
from proofs.world import Size

PROOFS = Path(__file__).parent
_log = logging.getLogger(__name__)


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
    from trainer.claim import claim

    # As JSON has it, which knows no tuples.
    claim(out, json.loads(json.dumps({"plan": asdict(plan)})))
    cells = out / "cells"
    cells.mkdir(exist_ok=True)
    # A worker's matrix products run on its own core; the variable is read when it loads torch.
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn)
    try:
        for future in [pool.submit(_prepare, plan, seed, out) for seed in plan.seeds]:
            future.result()
        running = {pool.submit(_run, plan, cell, out, cells): cell for cell in plan.cells}
        for done, future in enumerate(as_completed(running), 1):
            future.result()
            _log.info("%d of %d cells: %s", done, len(running), running[future].name)
    finally:
        # A failed cell or a stop must not wait for all the others.
        pool.shutdown(cancel_futures=True)
    return cells


def _prepare(plan: Plan, seed: int, out: Path) -> None:
    sizes = {"validation": plan.validation, "test": plan.test}
    ensure_seed(_seed_folder(out, seed), seed=seed, size=plan.size, questions=sizes, training=plan.training)


def _run(plan: Plan, cell: Cell, out: Path, cells: Path) -> None:
    run_cell(cell, _seed_folder(out, cell.seed), cells, plan.training)


def _seed_folder(out: Path, seed: int) -> Path:
    return out / f"seed{seed}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, run the grid, write the result."""
    from proofs.report import write_report

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=PROOFS / "work" / "kmlm", help="corpora and cells")
    parser.add_argument("--results", type=Path, default=PROOFS / "results", help="where the result goes")
    parser.add_argument("--workers", type=int, default=2, help="cells at a time")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    plan = Plan()
    cells = run(plan, options.out, workers=options.workers)
    files = [cells / f"{cell.name}.json" for cell in plan.cells]
    write_report(files, options.results / "kmlm", plan=asdict(plan))


if __name__ == "__main__":
    main()
