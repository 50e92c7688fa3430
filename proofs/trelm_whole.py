"""TRELM whole against DKPLM whole on real passages: time to the same F1 (`python -m proofs.trelm whole`)."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from kgcorpus.contracts.store import write_text
from kgcorpus.report.markdown import markdown_table
from proofs.base import require_base, with_floor
from proofs.experiment import Experiment, write_result
from proofs.grid import Cell
from proofs.report import percent
from proofs.statistics import Found, interval
from proofs.trelm_calibration import time_steps
from proofs.trelm_facts_report import best_rates
from proofs.trelm_report import known, seconds, time_to
from proofs.trelm_watch import train_watched
from trainer.config import TrainingConfig
from trainer.transe.config import TranseConfig
from trainer.trelm.config import MemoryConfig, RoutingConfig, TrelmConfig

if TYPE_CHECKING:
    from trainer.trelm.objective import Trelm

NAME = "trelm-whole"
HALF = 0.5
TRELM, DKPLM = "TRELM", "DKPLM"
ARMS = (TRELM, DKPLM)
# By task: the benchmark of `kgcorpus evaluate`, and where the F1 is in its result.
TASKS: dict[str, tuple[str, Callable[[Mapping[str, Any]], float]]] = {
    "kbp37": ("relx", lambda found: found["tests"]["en"]["macro_f1"]["mean"]),
    "types": ("open-entity", lambda found: found["loose_micro_f1"]["mean"]),
}
_COSTS, _BEFORE = "calibration.json", "before.json"
# Links to what the proof reads, and the graph's vectors.
_INPUTS, _VECTORS = "inputs", "vectors"
_ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Plan(Experiment[Cell]):
    """All that the result depends on beside base and data; it was written down before the first run.

    Attributes:
        inputs: digests of the base and of the corpus's passages.
        rates, tuning, seeds: as of the proof on invented facts.
        steps: of DKPLM; TRELM has as many as fit into their time.
        checkpoints: measured, at equal distances; of a tuning cell only the last one.
        routings: of TRELM in a run.
        fine_tunings, limit, epochs: of each measurement: seeds, most examples of each part, passes.
    """

    inputs: tuple[str, ...] = ()
    rates: tuple[float, ...] = (5e-5, 1e-4, 3e-4, 8e-4)
    tuning: tuple[int, ...] = (101, 102, 103)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    steps: int = 600
    checkpoints: int = 6
    routings: int = 4
    records_per_step: int = 32
    max_length: int = 128
    kge_steps: int = 2000
    fine_tunings: tuple[int, ...] = (0, 1, 2)
    limit: int = 2000
    epochs: int = 2
    calibration_steps: int = 8

    @property
    def sweep(self) -> list[Cell]:
        """The cells that choose the rates."""
        return [Cell(arm, lr, seed) for seed in self.tuning for lr in self.rates for arm in ARMS]

    def compared(self, rates: dict[str, float]) -> list[Cell]:
        """The cells that are compared, arms of a seed side by side."""
        return [Cell(arm, rates[arm], seed) for seed in self.seeds for arm in ARMS]

    def write_world(self, folder: Path, *, seed: int) -> dict[str, Any]:
        """Nothing: a seed draws order and masks only."""
        folder.mkdir(parents=True, exist_ok=True)
        return {}

    def run_cell(self, cell: Cell, world: Path, run: Path) -> dict[str, Any]:
        """Train a cell for the time that both arms have; fine-tune its checkpoints on both tasks."""
        from trainer.metrics_log import read_metrics

        out = world.parent
        steps = self.steps_of(json.loads((out / _COSTS).read_text(encoding="utf-8")))[cell.arm]
        config = self.configure(cell.arm, out, lr=cell.lr, seed=cell.seed, steps=steps)
        asked = self.checkpoints if cell.seed in self.seeds else 1
        ends = {round(steps * (i + 1) / asked) for i in range(asked)}

        def of(objective: "Trelm") -> Callable[[int], dict[str, Any] | None]:
            def measure(step: int) -> dict[str, Any] | None:
                if step not in ends:
                    return None
                objective.collect()
                kept = run / f"kept-{step}"
                kept.mkdir(parents=True)
                objective.save(kept)
                return {"right": self.scores(kept, out)}

            return measure

        watched = train_watched(config, _input(out, "corpus"), run, measure=of)
        lines = [line for line in read_metrics(run / "metrics.jsonl") if "loss" in line]
        before = json.loads((out / _BEFORE).read_text(encoding="utf-8"))
        return {
            "steps": steps,
            "series": [{"step": 0, "seconds": 0.0, "right": before}, *watched.series],
            "losses": [round(line["loss"], 5) for line in lines],
            "events": watched.events,
        }

    def configure(self, arm: str, out: Path, *, lr: float, seed: int, steps: int) -> TrainingConfig:
        """A run, as `train trelm` takes it."""
        whole = arm == TRELM
        return TrainingConfig(
            seed=seed,
            schedule_steps=steps,
            lr=lr,
            lr_warmup=steps // 20,
            records_per_step=self.records_per_step,
            max_length=self.max_length,
            base_model=str(_input(out, "base") / "run" / "model"),
            checkpoint_every=steps,
            keep=1,
            trelm=TrelmConfig(
                provider="transe" if whole else "shared",
                kge=str(out / _VECTORS) if whole else None,
                memory=MemoryConfig(enabled=whole),
                warmup_steps=steps // 20,
                reroute_every=max(1, -(-steps // self.routings)),
                routing=RoutingConfig(mode="exact" if whole else "none"),
            ),
        )

    def scores(self, model: Path, out: Path) -> dict[str, float]:
        """F1 of each task after fine-tuning, and their mean (`new`)."""
        from trainer.evaluate.config import EvaluationConfig
        from trainer.evaluate.registry import BENCHMARKS

        config = EvaluationConfig(seeds=self.fine_tunings, limit=self.limit, epochs=self.epochs)
        found = {
            task: read(BENCHMARKS[name].load()(str(model), str(_input(out, task)), config))
            for task, (name, read) in TASKS.items()
        }
        return {**found, "new": fmean(found.values())}

    def steps_of(self, costs: Mapping[str, Mapping[str, float]]) -> dict[str, int]:
        """How many steps each arm takes in the time of DKPLM's."""
        budget = self.steps * costs[DKPLM]["step"]
        own = (budget - self.routings * costs[TRELM]["routing"]) / costs[TRELM]["step"]
        return {TRELM: max(1, round(own)), DKPLM: self.steps}

    def prepare(self, out: Path, done: Path) -> None:
        """Train the graph's vectors, measure what a step costs and what the base scores; each once."""
        from trainer.run import train

        seed = self.tuning[0]
        config = TrainingConfig(seed=0, transe=TranseConfig(steps=self.kge_steps))
        train("transe", corpus=_input(out, "corpus"), out=out / _VECTORS, config=config)
        for name, make in ((_COSTS, lambda: self._costs(out, seed)), (_BEFORE, lambda: self._before(out))):
            if not (done / name).exists():
                found = make()
                done.mkdir(parents=True, exist_ok=True)
                write_text(done / name, json.dumps(found, indent=1) + "\n")
            shutil.copyfile(done / name, out / name)

    def _before(self, out: Path) -> dict[str, float]:
        return self.scores(_input(out, "base") / "run" / "model", out)

    def _costs(self, out: Path, seed: int) -> dict[str, dict[str, float]]:
        last = self.calibration_steps
        made = {arm: self.configure(arm, out, lr=1e-4, seed=seed, steps=last) for arm in ARMS}
        return time_steps(made, _input(out, "corpus"), rounds=_ROUNDS)


def _input(out: Path, name: str) -> Path:
    """The folder of an input, links followed."""
    return (out / _INPUTS / name).resolve()


def result(compared: Sequence[Found]) -> dict[str, Any]:
    """TRELM's share of DKPLM's time to DKPLM's final mean F1, over the paired seeds.

    Returns:
        `primary`: `interval`'s figures, `reached` and `met`; `final`: by arm, the mean final scores.
    """
    by = {arm: sorted((c for c in compared if c["arm"] == arm), key=lambda c: c["seed"]) for arm in ARMS}
    shares, reached = [], 0
    for one, other in zip(by[TRELM], by[DKPLM], strict=True):
        goal = known(other)[-1]
        own, whole = time_to(one, known(one), goal), time_to(other, known(other), goal)
        # A base that scores as well already leaves nothing to compare.
        usable = own is not None and bool(whole)
        reached += usable
        shares.append(own / whole if usable and own is not None and whole else 2.0)
    found = interval([np.array([share]) for share in shares], seed=0)
    met = found["interval"][1] < HALF and reached == len(shares)
    names = ("new", *TASKS)
    final = {
        arm: {name: fmean(cell["series"][-1]["right"][name] for cell in cells) for name in names}
        for arm, cells in by.items()
    }
    return {"primary": {**found, "reached": reached, "met": met}, "final": final}


def tables(found: Mapping[str, Any], sweep: Sequence[Found], compared: Sequence[Found]) -> str:
    """The result in Markdown."""
    primary, (low, high) = found["primary"], found["primary"]["interval"]
    head = ["arm", "learning rate", "seed", "steps", "CPU seconds", "mean F1", *TASKS]

    def rows(cells: Sequence[Found]) -> list[list[str]]:
        return [
            [c["arm"], f"{c['lr']:g}", str(c["seed"]), str(c["steps"]), f"{seconds(c)[-1]:.1f}"]
            + [percent(c["series"][-1]["right"][name]) for name in ("new", *TASKS)]
            for c in cells
        ]

    verdict = "below" if primary["met"] else "not below"
    parts = [
        "# TRELM whole against DKPLM whole: time to the same F1",
        "`python -m proofs.trelm whole`; the plan: [README](../README.md). KBP37 takes the place of TACRED, "
        "types of CoDEx that of Open Entity: these are not the paper's benchmarks.",
        f"**Primary, CPU time to DKPLM's final mean F1 as a share of DKPLM's: {primary['difference']:.2f} "
        f"[{low:.2f}, {high:.2f}], reached in {primary['reached']} of {len(primary['by_seed'])} seeds. The "
        f"interval is {verdict} {HALF}.**",
        "Every cell of the sweep:",
        markdown_table(head, rows(sweep)),
        "Every cell compared:",
        markdown_table(head, rows(compared)),
    ]
    return "\n\n".join(parts) + "\n"


def prove(
    out: Path,
    results: Path,
    *,
    inputs: Mapping[str, Path],
    workers: int,
    below_floor: bool = False,
    plan: Plan | None = None,
) -> None:
    """Run what is missing and write RESULTS/trelm-whole.{json,md}.

    Args:
        out: folder of the work, with links to the inputs.
        results: folder of the result; the cells are in RESULTS/trelm-whole.
        inputs: folders: `base` of `proofs.base`, `corpus`, a build with `trelm`, and of each task of `TASKS`.
        workers: processes of the sweep.
        below_floor: take a base below its floor.
        plan: another size; None: the proof's.

    Raises:
        UsageError: there is no base above its floor; or a folder has another plan's cells.
        InputError: the corpus is no finished build.
    """
    from kgcorpus.contracts.manifest import load_manifest
    from trainer.digests import digest_of_model

    passages = load_manifest(inputs["corpus"], required=True).tables["trelm"].digest
    model = require_base(inputs["base"], below_floor=below_floor)
    digests = (digest_of_model(str(model)), passages)
    plan = replace(plan or Plan(), inputs=digests)
    (out / _INPUTS).mkdir(parents=True, exist_ok=True)
    for name, folder in inputs.items():
        link = out / _INPUTS / name
        link.unlink(missing_ok=True)
        link.symlink_to(folder.resolve(), target_is_directory=True)
    done = results / NAME
    plan.ensure_same_run(out, done)
    plan.prepare(out, done)
    sweep = plan.run(plan.sweep, out, workers=workers, done=done)
    compared = plan.run(plan.compared(best_rates(sweep)), out, workers=1, done=done)
    found = result(compared)
    cells = {"sweep": sweep, "compared": compared}
    text = with_floor(tables(found, sweep, compared), inputs["base"])
    write_result(results / NAME, plan, found, cells, text=text)
