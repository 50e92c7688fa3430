"""Floors, comparisons and tables of `proofs.jaket_transfer`."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from kgcorpus.report.markdown import markdown_table
from proofs.report import DIFFERENCE, NOT_COMPARABLE, bounds, difference, gain, percent
from proofs.statistics import Found, interval

NO_GRAPH = "no graph"
ARMS = ("joint", NO_GRAPH, "lm+gnn+m", "lm+gnn", "gnn", "lm")
CLASSES = (100, 20, 5)
PRIMARY = tuple(f"classes {share} %" for share in (20, 5))
# The language model alone has to reach this share, or this many times what needs no text.
FLOORS = {"FewRel 5-way 1-shot": 0.6}
FLOOR_RATIO = 1.5
_SEED = 0


def best_rate(cells: Sequence[Found], task: str, arm: str) -> float:
    """The learning rate of the highest mean validation score; of equals, the lowest."""
    rates = sorted({cell["lr"] for cell in cells if (cell["task"], cell["arm"]) == (task, arm)})
    return max(rates, key=lambda lr: fmean(_scores(cells, task, arm, lr, "validation")))


def passing(cells: Sequence[Found], tasks: Sequence[str]) -> list[str]:
    """The tasks on which the language model alone is not below its floor, at its best rate, on test."""
    return [task for task in tasks if _alone(cells, task) >= floor_of(cells, task)]


def floor_of(cells: Sequence[Found], task: str) -> float:
    """What the language model alone has to reach."""
    without = fmean(cell["without_text"] for cell in cells if (cell["task"], cell["arm"]) == (task, "lm"))
    return FLOORS.get(task, FLOOR_RATIO * without)


def _alone(cells: Sequence[Found], task: str) -> float:
    return fmean(_scores(cells, task, "lm", best_rate(cells, task, "lm"), "test"))


def _scores(cells: Sequence[Found], task: str, arm: str, lr: float, part: str) -> list[float]:
    """By seed."""
    chosen = [cell for cell in cells if (cell["task"], cell["arm"], cell["lr"]) == (task, arm, lr)]
    return [cell[part] for cell in sorted(chosen, key=lambda cell: cell["seed"])]


def result(cells: Sequence[Found], tasks: Sequence[str]) -> dict[str, Any]:
    """The best rates and what they score, and joint against each arm, over seeds.

    Returns:
        `floors`, task -> what the language model alone has and needs; of the tasks above it: `rates` and
        `test`, task -> arm -> number; `against`, task -> arm -> what `interval` gives of joint minus the arm,
        whose samples are the seeds; `edges`, tasks and arms whose best rate is the lowest or highest tried.
    """
    compared = passing(cells, tasks)
    rates = {task: {arm: best_rate(cells, task, arm) for arm in ARMS} for task in compared}
    test = {
        task: {arm: _scores(cells, task, arm, lr, "test") for arm, lr in of_task.items()}
        for task, of_task in rates.items()
    }
    against = {
        task: {
            arm: interval(
                [np.array([a - b]) for a, b in zip(of_task["joint"], scores, strict=True)], seed=_SEED
            )
            for arm, scores in of_task.items()
            if arm != "joint"
        }
        for task, of_task in test.items()
    }
    tried = {task: {cell["lr"] for cell in cells if cell["task"] == task} for task in compared}
    edges = [
        f"{task}: {arm} {lr:g}"
        for task, of_task in rates.items()
        for arm, lr in of_task.items()
        if lr in (min(tried[task]), max(tried[task]))
    ]
    floors = {task: {"lm": _alone(cells, task), "floor": floor_of(cells, task)} for task in tasks}
    means = {task: {arm: fmean(scores) for arm, scores in of.items()} for task, of in test.items()}
    return {"floors": floors, "rates": rates, "test": means, "against": against, "edges": edges}


def tables(found: Mapping[str, Any], cells: Sequence[Found]) -> str:
    """The result in Markdown."""
    floors = [
        [
            task,
            percent(one["lm"]),
            percent(one["floor"]),
            "yes" if task in found["test"] else "no: not compared",
        ]
        for task, one in found["floors"].items()
    ]
    arms = [[arm, *(percent(of[arm]) for of in found["test"].values())] for arm in ARMS]
    differences = [
        [task, f"joint - {arm}", *difference(one)]
        for task, compared in found["against"].items()
        for arm, one in compared.items()
    ]
    every = [
        [cell["task"], cell["arm"], f"{cell['lr']:g}", str(cell["seed"])]
        + [percent(cell[part]) for part in ("validation", "test")]
        for cell in cells
    ]
    parts = [
        "# JAKET on classes, MetaQA and FewRel: is the joint model ahead of its baselines?",
        "`python -m proofs.jaket_transfer`; corpus, arms, metric and stopping rule: [README](../README.md). "
        f"Each arm at its best learning rate on validation. {NOT_COMPARABLE}",
        _primary(found),
        markdown_table(["task", "language model alone", "floor", "above"], floors),
    ]
    if found["test"]:
        parts += [
            markdown_table(["arm", *found["test"]], arms),
            markdown_table(["task", "difference on test", *DIFFERENCE], differences),
        ]
    if found["edges"]:
        parts.append(f"Best rates at the edge of the grid: {'; '.join(found['edges'])}.")
    head = ["task", "arm", "learning rate", "seed", "validation", "test"]
    return "\n\n".join([*parts, "Every cell:", markdown_table(head, every) + "\n"])


def _primary(found: Mapping[str, Any]) -> str:
    """Whether joint is above lm and lm+gnn+m on classes with 20 and with 5 % of the labels."""
    asked = [(task, arm) for task in PRIMARY for arm in ("lm", "lm+gnn+m")]
    known = {(task, arm): found["against"][task][arm] for task, arm in asked if task in found["against"]}
    if len(known) < len(asked):
        below = [task for task in PRIMARY if task not in found["against"]]
        return f"**Primary: not decided: {', '.join(below)} not compared.**"
    gained = "; ".join(
        f"{task}, joint - {arm} {gain(one['difference'])} {bounds(one)}" for (task, arm), one in known.items()
    )
    holds = "holds" if all(one["interval"][0] > 0 for one in known.values()) else "does not hold"
    return f"**Primary: {gained}. The claim {holds}.**"
