"""What a step of each arm costs: `python -m proofs.trelm_calibration --base FOLDER [--out FOLDER]`.

The proof runs the same calibration before its first cell, because every arm is given the same CPU time. This
command prints it with an estimate of the CPU time of the whole proof. With `--pilot` it then runs the dense
arm at every rate on seed 98, which is in no grid, and prints what it knows at each probe: whether the time is
enough shows there, before the first cell.
"""

import argparse
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from kgcorpus.report.markdown import markdown_table
from proofs.trelm_facts import Size
from proofs.trelm_facts_cells import ARMS, Training, clock_of, configure, epoch_steps
from proofs.trelm_watch import Watched, train_watched
from trainer.config import TrainingConfig

if TYPE_CHECKING:
    from proofs.trelm_pretrained import Plan
    from trainer.trelm.objective import Trelm

ROUNDS, PILOT = 3, 98
_LR = 3e-4
_log = logging.getLogger(__name__)


def calibrate(
    folder: Path, training: Training, *, seed: int, arms: Sequence[str] = tuple(ARMS), rounds: int = ROUNDS
) -> dict[str, dict[str, float]]:
    """The cost of each arm on a seed's world; see `time_steps`."""
    last = training.calibration_steps
    made = {arm: configure(ARMS[arm], folder, training, lr=_LR, seed=seed, steps=last) for arm in arms}
    return time_steps(made, folder / "corpus", rounds=rounds)


def time_steps(
    configs: Mapping[str, TrainingConfig], corpus: Path, *, rounds: int
) -> dict[str, dict[str, float]]:
    """What a step of each arm costs, arms interleaved.

    Args:
        configs: by arm, of runs of a few steps; the first one routes.
        corpus: the build that is read.
        rounds: in each of which every arm takes its steps.

    Returns:
        By arm: `step`, the median CPU seconds of a step; `routing`, what a step takes more that
        routes first; `flops`, of a step's forward and backward passes.
    """
    steps: dict[str, list[float]] = {arm: [] for arm in configs}
    first: dict[str, list[float]] = {arm: [] for arm in configs}
    flops: dict[str, float] = {}
    for number in range(rounds):
        for arm, config in configs.items():
            with tempfile.TemporaryDirectory() as run:
                watched, flops[arm] = _run(config, corpus, Path(run))
            clock = clock_of(watched)
            first[arm].append(clock[0])
            # The second step makes what the allocator keeps.
            steps[arm] += clock[2:]
            _log.info("round %d: %s, %.3f s a step", number + 1, arm, median(clock[2:]))
    return {
        arm: {
            "step": median(steps[arm]),
            "routing": max(0.0, median(first[arm]) - median(steps[arm])),
            "flops": flops[arm],
        }
        for arm in configs
    }


def _run(config: TrainingConfig, corpus: Path, run: Path) -> tuple[Watched, float]:
    counted: list[float] = []
    last = config.checkpoint_every

    def of(objective: "Trelm") -> Any:
        def measure(step: int) -> dict[str, Any]:
            if step == last:
                counted.append(_flops(objective, step))
            return {}

        return measure

    options = config.trelm.model_copy(update={"warmup_steps": 0, "reroute_every": last + 1})
    watched = train_watched(config.model_copy(update={"trelm": options}), corpus, run, measure=of)
    return watched, counted[0]


def _flops(objective: "Trelm", step: int) -> float:
    from accelerate import Accelerator
    from torch.utils.flop_counter import FlopCounterMode

    from trainer.loop import gradients

    batches = objective.next_step(step)
    with FlopCounterMode(display=False) as counter:
        gradients(objective.model, batches, objective.terms, Accelerator(cpu=True))
    return float(counter.get_total_flops())


def steps_of(costs: Mapping[str, Mapping[str, float]], size: Size, training: Training) -> dict[str, int]:
    """How many steps each arm takes in the time of the dense arm's epochs."""
    dense = round(training.epochs * epoch_steps(size, training))
    budget = dense * costs["dense"]["step"]
    found = {}
    for arm, cost in costs.items():
        routings = training.routings if cost["routing"] and _is_scored(arm) else 0
        found[arm] = max(1, round((budget - routings * cost["routing"]) / cost["step"]))
    return {**found, "dense": dense}


def _is_scored(arm: str) -> bool:
    routing = ARMS[arm].routing
    return routing.get("mode") == "exact" and bool(routing.get("share"))


def markdown(costs: Mapping[str, Mapping[str, float]], steps: Mapping[str, int]) -> str:
    """The costs as a table."""
    dense = costs["dense"]
    rows = [
        [
            arm,
            f"{cost['step']:.3f}",
            f"{dense['step'] / cost['step']:.2f}",
            f"{dense['flops'] / cost['flops']:.2f}",
            f"{cost['routing']:.2f}",
            str(steps[arm]),
        ]
        for arm, cost in costs.items()
    ]
    head = ("arm", "CPU seconds a step", "times faster", "times fewer FLOPs", "seconds a routing", "steps")
    return markdown_table(head, rows, numbers=5)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, calibrate, print the costs and an estimate of the proof's CPU time."""
    from proofs.base import require_base
    from proofs.grid import PROOFS
    from proofs.trelm_pretrained import Plan, link_base

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, default=PROOFS / "work" / "base", help="folder of proofs.base")
    parser.add_argument("--out", type=Path, default=PROOFS / "work" / "trelm-calibration", help="world")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--pilot", action="store_true", help=f"run the dense arm on seed {PILOT} too")
    parser.add_argument("--below-floor", action="store_true", help="take a base below its floor")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    import torch

    torch.set_num_threads(1)
    require_base(options.base, below_floor=options.below_floor)
    shutil.rmtree(options.out, ignore_errors=True)
    plan = Plan()
    link_base(options.out, options.base)
    seed = plan.tuning[0]
    folder = options.out / f"seed{seed}"
    plan.write_world(folder, seed=seed)
    costs = calibrate(folder, plan.training, seed=seed, rounds=options.rounds)
    steps = steps_of(costs, plan.size, plan.training)
    budget = steps["dense"] * costs["dense"]["step"]
    cells = len(plan.sweep) + len(plan.arms) * len(plan.seeds)
    print(markdown(costs, steps))
    print(
        f"{cells} cells of {budget:.0f} CPU seconds: {cells * budget / 3600:.1f} CPU hours without the "
        "measurements"
    )
    if options.pilot:
        for lr in plan.rates:
            print(f"dense at {lr:g}: {pilot(plan, options.out, lr=lr)}")


def pilot(plan: "Plan", out: Path, *, lr: float) -> str:
    """What the dense arm knows of the new facts of seed 98 at each probe, in percent."""
    from proofs.grid import Cell
    from proofs.trelm_facts_cells import run_cell
    from proofs.trelm_report import known

    folder = out / f"seed{PILOT}"
    if not folder.exists():
        plan.write_world(folder, seed=PILOT)
    steps = round(plan.training.epochs * epoch_steps(plan.size, plan.training))
    with tempfile.TemporaryDirectory() as run:
        cell = Cell("dense", lr, PILOT)
        found = run_cell(cell, folder, Path(run), plan.size, plan.training, steps=steps)
    return " ".join(f"{100 * share:.0f}" for share in known(found))


if __name__ == "__main__":
    main()
