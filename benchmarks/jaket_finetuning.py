"""JAKET and the paper's baselines, fine-tuned on what pre-training did not see (arXiv 2010.00796, section 4).

    python benchmarks/jaket_finetuning.py --model RUN/model --corpus OUT [--metaqa FOLDER] [--fewrel FOLDER]

Classes of unseen entities with 100, 20 and 5 % of the labels (`--label-shares`); MetaQA with 1 to 3 hops,
with the full and with half the graph; FewRel 5 ways, 1 and 5 shots. Each figure is the mean and deviation
over the seeds. Small models from scratch: a check of the harness, not to be set beside the paper's tables.
Writes benchmarks/results/jaket-finetuning.{json,md}.
"""

import argparse
import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kgcorpus.report.markdown import markdown_table
from trainer.evaluate import run_benchmark
from trainer.evaluate.config import AdaptationConfig, EvaluationConfig

RESULTS = Path(__file__).parent / "results"
ARMS = ("joint", "lm+gnn+m", "lm+gnn", "gnn", "lm")


class Column(NamedTuple):
    """A task: its name, the benchmark, its data, the score, and how it is done."""

    name: str
    benchmark: str
    data: Path
    score: str
    config: dict[str, Any]
    jaket: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="of `train jaket` with jaket.unseen_share")
    parser.add_argument(
        "--corpus", type=Path, required=True, help="the build that it was trained on, or another"
    )
    parser.add_argument("--metaqa", type=Path)
    parser.add_argument("--fewrel", type=Path)
    parser.add_argument("--label-shares", type=float, nargs="+", default=[1.0, 0.2, 0.05])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    columns = list(columns_of(arguments))
    found = {
        column.name: {arm: score_column(column, arm, arguments.model, seeds=arguments.seeds) for arm in ARMS}
        for column in columns
    }
    report(found, columns, seeds=arguments.seeds)


def columns_of(arguments: argparse.Namespace) -> Iterator[Column]:
    """The tasks whose data are named."""
    entities = {"epochs": 30, "batch": 16, "lr": 2e-3}
    for share in arguments.label_shares:
        yield Column(
            f"classes, {share:.0%}",
            "jaket-entities",
            arguments.corpus,
            "accuracy",
            entities,
            {"label_share": share},
        )
    for hops, share in ((h, s) for h in (1, 2, 3) for s in (1.0, 0.5) if arguments.metaqa):
        yield Column(
            f"MetaQA {hops}-hop, KG {share:.0%}",
            "metaqa",
            arguments.metaqa,
            "hits_at_1",
            {"epochs": 5, "lr": 1e-3, "limit": 500},
            {"hops": hops, "graph_share": share},
        )
    for shots in (1, 5) if arguments.fewrel else ():
        yield Column(
            f"FewRel 5-way {shots}-shot",
            "fewrel-pair",
            arguments.fewrel,
            "accuracy",
            {"epochs": 2, "lr": 1e-3},
            {"shots": shots, "graph": str(arguments.corpus), "train_episodes": 100, "test_episodes": 100},
        )


def score_column(column: Column, arm: str, model: str, *, seeds: int) -> dict[str, Any]:
    config = EvaluationConfig(
        seeds=tuple(range(seeds)),
        jaket=AdaptationConfig.model_validate({"arm": arm, **column.jaket}),
        **column.config,
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        run_benchmark(column.benchmark, model=model, data=str(column.data), out=out, config=config)
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    print(column.name, arm, found[column.score]["values"], flush=True)
    return {key: value for key, value in found.items() if key != "config"}


def report(found: dict[str, Any], columns: list[Column], *, seeds: int) -> None:
    rows = [
        [
            column.name,
            *(cell(found[column.name][arm][column.score]) for arm in ARMS),
            chance(found[column.name]),
        ]
        for column in columns
    ]
    head = ["task", *ARMS, "majority or chance"]
    table = markdown_table(head, rows).splitlines()
    text = [
        "# JAKET and its baselines on what pre-training did not see",
        "",
        f"`python benchmarks/jaket_finetuning.py`, {seeds} seeds: mean and deviation of the accuracy "
        "(MetaQA: of Hits@1). Small models from scratch: a check of the harness, not to be set beside the "
        "paper's tables.",
        "",
        *table,
        "",
    ]
    tasks = [column._replace(data=Path(column.data.name))._asdict() for column in columns]
    whole = {"tasks": tasks, "found": found}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "jaket-finetuning.json").write_text(json.dumps(whole, default=str) + "\n", encoding="utf-8")
    (RESULTS / "jaket-finetuning.md").write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))


def cell(score: dict[str, Any]) -> str:
    return f"{100 * score['mean']:.1f} ({100 * score['deviation']:.1f})"


def chance(of_task: dict[str, Any]) -> str:
    one = of_task["lm"]
    known = one.get("majority") or one.get("chance")
    return f"{100 * (known['mean'] if known else 1 / one['ways']):.1f}"


if __name__ == "__main__":
    main()
