"""JAKET's Table 3 on real data: `python -m proofs.jaket_transfer --corpus OUT [--metaqa F] [--fewrel F]`.

Trains JAKET, and the same without a graph, for each seed, then fine-tunes the model and its baselines on
classes of unseen entities, MetaQA and FewRel. The language model alone is scored first: a task on which it is
below its floor is not compared. README.md has the plan. A cell's file in the folder is not made again, so a
stopped proof continues; after the last cell it writes proofs/results/jaket-transfer.{json,md}.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proofs.experiment import Experiment, train_timed, write_result
from proofs.grid import read_options
from proofs.jaket_transfer_report import ARMS, CLASSES, NO_GRAPH, passing, result, tables

ALONE = "lm"
_PUBLIC_WAYS = 5


@dataclass(frozen=True)
class Task:
    """A benchmark with its settings.

    Attributes:
        benchmark, score: of `kgcorpus evaluate`, and the number that is compared.
        data: which folder it reads: corpus, metaqa or fewrel.
        settings: of the fine-tuning.
        jaket: of its section `jaket`.
        rates: learning rates, the same for every arm.
    """

    benchmark: str
    score: str
    data: str
    settings: dict[str, Any]
    jaket: dict[str, Any]
    rates: tuple[float, ...]


_RATES = (5e-4, 2e-3, 8e-3)
_TUNING_RATES = (1e-4, 4e-4, 1.6e-3)
TASKS = {
    **{
        f"classes {share} %": Task(
            "jaket-entities",
            "accuracy",
            "corpus",
            {"epochs": 30, "batch": 16},
            {"label_share": share / 100},
            _RATES,
        )
        for share in CLASSES
    },
    **{
        f"MetaQA {hops}-hop": Task(
            "metaqa",
            "hits_at_1",
            "metaqa",
            {"epochs": 5, "limit": 1000},
            {"hops": hops, "answer_vectors": "centred"},
            _TUNING_RATES,
        )
        for hops in (1, 2, 3)
    },
    **{
        f"FewRel {ways}-way {shots}-shot": Task(
            "fewrel-pair",
            "accuracy",
            "fewrel",
            {"epochs": 3},
            {"ways": ways, "shots": shots, "pair_edges": "hidden"},
            _TUNING_RATES,
        )
        for ways, shots in ((5, 1), (5, 5), (10, 1))
    },
}


@dataclass(frozen=True)
class TransferCell:
    """A fine-tuning: an arm on a task at a learning rate, with the models of a seed."""

    arm: str
    task: str
    lr: float
    seed: int

    @property
    def name(self) -> str:
        """Stem of its file."""
        return f"{self.task}-{self.arm}-lr{self.lr:g}-seed{self.seed}".replace(" ", "-").replace(
            "%", "percent"
        )


@dataclass(frozen=True, kw_only=True)
class Plan(Experiment[TransferCell]):
    """All that the result depends on; it was written down before the first run.

    Attributes:
        corpus, metaqa, fewrel: folders of the data.
        digests: of the corpus' tables that JAKET reads.
        base: a masked language model to start from; None: from scratch.
        tasks: names of `TASKS`.
        seeds: of the pretraining and of the fine-tuning, paired over arms.
        training: settings of both pretrainings.
    """

    corpus: str
    digests: dict[str, str]
    metaqa: str | None = None
    fewrel: str | None = None
    base: str | None = None
    tasks: tuple[str, ...] = tuple(TASKS)
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "schedule_steps": 1500,
            "lr": 1e-3,
            "max_length": 128,
            "model": {"hidden": 128, "layers": 4, "heads": 4, "vocab_size": 8000},
            "jaket": {
                "passages": 24,
                "km_lr_scale": 3,
                "unseen_share": 0.5,
                "merge": "norm_at_mentions",
                "relation_embeddings": "texts",
            },
        }
    )

    def cells_of(self, arms: Sequence[str], tasks: Sequence[str]) -> list[TransferCell]:
        """The grid of some arms and tasks, seed by seed."""
        return [
            TransferCell(arm, task, lr, seed)
            for seed in self.seeds
            for task in tasks
            for arm in arms
            for lr in TASKS[task].rates
        ]

    def write_world(self, folder: Path, *, seed: int) -> dict[str, Any]:
        """Train JAKET and the same without a graph; a stopped training is resumed."""
        from kgcorpus.config import validated
        from trainer.config import TrainingConfig

        spent = {}
        for name, neighbours in (("joint", {}), (NO_GRAPH, {"neighbours": 0})):
            settings = {**self.training, "seed": seed, "jaket": {**self.training["jaket"], **neighbours}}
            if self.base is not None:
                settings |= {"base_model": self.base}
                settings.pop("model", None)
            config = validated(TrainingConfig, settings, where=name)
            _, spent[name] = train_timed("jaket", corpus=Path(self.corpus), run=folder / name, config=config)
        return spent

    def run_cell(self, cell: TransferCell, world: Path, run: Path) -> dict[str, Any]:
        """Fine-tune, select the epoch on validation and score."""
        from trainer.evaluate import run_benchmark
        from trainer.evaluate.config import EvaluationConfig

        task = TASKS[cell.task]
        # Without a base the baselines have the language model of the run without a graph.
        alone = self.base or str(world / NO_GRAPH / "model")
        jaket = {**task.jaket, "arm": cell.arm, "language_model": alone}
        model = world / "joint" / "model"
        if cell.arm == NO_GRAPH:
            jaket["arm"], model = "joint", world / NO_GRAPH / "model"
        if task.data == "fewrel" and cell.arm != ALONE:
            jaket["graph"] = self.corpus
        settings = {**task.settings, "lr": cell.lr, "seeds": [cell.seed], "jaket": jaket}
        run.mkdir(parents=True, exist_ok=True)
        config = EvaluationConfig.model_validate(settings)
        data = str(getattr(self, task.data))
        run_benchmark(task.benchmark, model=str(model), data=data, out=run / "result.json", config=config)
        found = json.loads((run / "result.json").read_text(encoding="utf-8"))
        kept = {
            key: found[key] for key in ("covered", "uncovered", "train", "test", "questions") if key in found
        }
        without = found.get("majority") or found.get("chance")
        return {
            "validation": found["selection"]["dev"]["mean"],
            "test": found[task.score]["mean"],
            "without_text": without["mean"] if without else 1 / found["ways"],
            **kept,
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, score the language model alone, then the tasks above their floors."""
    from kgcorpus.contracts.manifest import load_manifest

    def add(parser: Any) -> None:
        parser.add_argument(
            "--corpus", type=Path, required=True, help="a build with JAKET's tables and classes"
        )
        parser.add_argument("--metaqa", type=Path, help="MetaQA's folder; without it the task is left out")
        parser.add_argument("--fewrel", type=Path, help="FewRel's folder; without it the task is left out")
        parser.add_argument("--base", help="masked language model to start from; default: from scratch")

    options = read_options("jaket-transfer", __doc__.splitlines()[0], arguments, add=add)
    given = {"corpus": options.corpus, "metaqa": options.metaqa, "fewrel": options.fewrel}
    folders = {name: str(path.absolute()) for name, path in given.items() if path is not None}
    tables_of = load_manifest(options.corpus, required=True).tables
    plan = Plan(
        corpus=folders["corpus"],
        metaqa=folders.get("metaqa"),
        fewrel=folders.get("fewrel"),
        base=options.base,
        digests={name: tables_of[name].digest for name in ("jaket_entities", "jaket_edges", "jaket_text")},
        tasks=tuple(name for name, task in TASKS.items() if _can_be_asked(task, folders)),
    )
    prove(plan, options.out, options.results, workers=options.workers)


def _can_be_asked(task: Task, folders: Mapping[str, str]) -> bool:
    """Whether its data are given; the 16 public relations of FewRel are too few for 10 ways."""
    if task.data not in folders:
        return False
    enough = task.jaket.get("ways", 0) <= _PUBLIC_WAYS
    return enough or any(Path(folders[task.data]).rglob("train_wiki.json"))


def prove(plan: Plan, out: Path, results: Path, *, workers: int) -> None:
    """Run the plan's cells and write RESULTS/jaket-transfer.{json,md}."""
    cells = plan.run(plan.cells_of((ALONE,), plan.tasks), out, workers=workers)
    compared = passing(cells, plan.tasks)
    others = [arm for arm in ARMS if arm != ALONE]
    cells += plan.run(plan.cells_of(others, compared), out, workers=workers)
    found = result(cells, plan.tasks)
    write_result(results / "jaket-transfer", plan, found, {"cells": cells}, text=tables(found, cells))


if __name__ == "__main__":
    main()
