"""JAKET's tables: an arm a row, a task a column, and which columns are above their floor."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgcorpus.report.markdown import markdown_table
from kgcorpus.report.page.papers import beside_print

ARMS = {
    "lm": "language model",
    "gnn": "GNN",
    "lm+gnn": "language model + GNN",
    "lm+gnn+m": "language model + GNN + M",
    "joint": "JAKET",
}
# The language model alone has to reach this many times what needs no text: the majority's score, or chance.
FLOOR_RATIO = 1.5
# KG' of the paper's entity classification: entities, relations, triples, classes.
_PRINTED_GRAPH = (23_046, 316, 38_060, 1_291)


@dataclass(frozen=True)
class Column:
    """A task with its settings.

    Attributes:
        title: heading.
        name: the scores in the sweep are called NAME-ARM.
        baseline: what needs no text, in percent; or the score in the sweep that has it.
        floor: of the language model alone, in percent; None: `FLOOR_RATIO` times the baseline.
    """

    title: str
    name: str
    baseline: float | str
    floor: float | None = None


CLASSES = tuple(Column(f"{share} %", f"classes-{share}", "majority") for share in (100, 20, 5))
METAQA = tuple(
    Column(f"{graph}, {hops}-hop", f"metaqa-{hops}-hop-{name}", "chance")
    for name, graph in (("full", "whole graph"), ("half", "half of the triples"))
    for hops in (1, 2, 3)
)
FEWREL = (
    Column("5-way 1-shot", "fewrel-5-way-1-shot", 20.0, floor=60.0),
    Column("5-way 5-shot", "fewrel-5-way-5-shot", 20.0),
    Column("10-way 1-shot", "fewrel-10-way-1-shot", 10.0),
)
Cells = Sequence[Mapping[str, Any]]


def jaket_sizes(report: Mapping[str, Any], sweep: Cells) -> str:
    """Printed sizes beside those of the build."""
    sizes = [
        [printed.what, f"{printed.number:,}", f"{ours:,}", printed.note]
        for printed, ours in beside_print(report["tables"])
        if printed.paper == "JAKET"
    ]
    return markdown_table(("count", "printed", "ours", "difference in what is counted"), sizes)


def jaket_classes(report: Mapping[str, Any], sweep: Cells) -> str:
    """Accuracy by share of the training labels."""
    entities, relations, triples, classes = (f"{n:,}" for n in _PRINTED_GRAPH)
    return (
        table(sweep, CLASSES, "accuracy")
        + f"\n\nThe paper's graph has {entities} entities, {relations} relations, {triples} triples and "
        f"{classes} classes. Here the entities that pretraining left aside are classified, in this "
        "build's graph."
    )


def jaket_metaqa(report: Mapping[str, Any], sweep: Cells) -> str:
    """Hits@1 by hops and share of the triples."""
    return table(sweep, METAQA, "hits_at_1")


def jaket_fewrel(report: Mapping[str, Any], sweep: Cells) -> str:
    """Accuracy by ways and shots."""
    return table(sweep, FEWREL, "accuracy")


def table(sweep: Cells, columns: Sequence[Column], score: str) -> str:
    """Means and deviations in percent, what needs no text, and the columns that are below their floor.

    A column that the sweep does not have is left out. With one run of pretraining, the deviation is that of
    the fine-tuning seeds, else that of the runs.
    """
    cells = [cell["scores"] for cell in sweep]
    shown = [column for column in columns if _key(column, "lm", score) in cells[0]]
    rows = [
        [title, *(_mean(cells, _key(column, arm, score)) for column in shown)] for arm, title in ARMS.items()
    ]
    baselines = [_baseline(column, cells) for column in shown]
    rows.append(["without text (majority or chance)", *(f"{value:.1f}" for value in baselines)])
    found = markdown_table(("model", *(column.title for column in shown)), rows, numbers=len(shown))
    notes = [
        f"{column.title} (the language model alone has {alone:.1f}, the floor is {floor:.1f})"
        for column, baseline in zip(shown, baselines, strict=True)
        for floor in [FLOOR_RATIO * baseline if column.floor is None else column.floor]
        for alone in [100 * statistics.fmean(cell[_key(column, "lm", score)] for cell in cells)]
        if alone < floor
    ]
    if notes:
        found += f"\n\nBelow the floor, so the models are not compared there: {'; '.join(notes)}."
    return found


def _key(column: Column, arm: str, score: str) -> str:
    return f"{column.name}-{arm} {score}.mean"


def _baseline(column: Column, cells: Cells) -> float:
    if isinstance(column.baseline, str):
        return 100 * statistics.fmean(cell[_key(column, "lm", column.baseline)] for cell in cells)
    return column.baseline


def _mean(cells: Cells, key: str) -> str:
    means = [100 * cell[key] for cell in cells]
    single = 100 * cells[0][key.removesuffix("mean") + "deviation"]
    deviation = statistics.stdev(means) if len(means) > 1 else single
    return f"{statistics.fmean(means):.1f} ± {deviation:.1f}"
