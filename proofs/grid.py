"""A proof's grid of cells, run by several processes, resumable."""

import argparse
import json
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROOFS = Path(__file__).parent
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cell:
    """An arm, a learning rate and a seed, which draws the world, what is asked, the start and the masks."""

    arm: str
    lr: float
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.arm.replace(' ', '-')}-lr{self.lr:g}-seed{self.seed}"


def read_options(
    name: str,
    description: str,
    arguments: Sequence[str] | None,
    *,
    add: Callable[[argparse.ArgumentParser], None] | None = None,
) -> argparse.Namespace:
    """Read a proof's command line; from now on progress is logged and SIGTERM ends the process.

    Args:
        name: of the proof; its folder in proofs/work.
        description: first line of the help.
        arguments: None for the process's.
        add: adds further arguments to `out`, `results` and `workers`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=PROOFS / "work" / name, help="corpora and cells")
    parser.add_argument("--results", type=Path, default=PROOFS / "results", help="where the result goes")
    parser.add_argument("--workers", type=int, default=2, help="cells at a time")
    if add is not None:
        add(parser)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    return options


def run_grid(
    plan: Mapping[str, Any],
    out: Path,
    *,
    prepare: Sequence[Callable[[], None]],
    cells: Mapping[str, Callable[[], None]],
    workers: int,
) -> None:
    """Run what a proof consists of; what is done is the callables' own to know.

    Args:
        plan: all that the result depends on.
        out: a folder; one of another plan is refused.
        prepare: run to their end before the cells; can be pickled, as the cells.
        cells: by name.
        workers: processes, each on one core.

    Raises:
        UsageError: the folder holds another plan's cells.
    """
    from trainer.run_identity import ensure_same_run

    # As JSON has it, which knows no tuples.
    ensure_same_run(out, json.loads(json.dumps({"plan": plan})))
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start_worker)
    try:
        for future in [pool.submit(task) for task in prepare]:
            future.result()
        running = {pool.submit(task): name for name, task in cells.items()}
        for done, future in enumerate(as_completed(running), 1):
            future.result()
            _log.info("%d of %d cells: %s", done, len(running), running[future])
    finally:
        # A failed cell or a stop must not wait for all the others.
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """A worker's matrix products run on its own core."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    import torch

    torch.set_num_threads(1)
