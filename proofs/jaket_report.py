"""JAKET's comparisons and tables from the cells."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64
from kgcorpus.report.markdown import markdown_table
from proofs.jaket_cells import ARMS
from proofs.report import DIFFERENCE, NOT_COMPARABLE, bounds, difference, gain, percent
from proofs.statistics import Found, gains, interval, of_arm

TASKS = ("category", "masked_entity")
# Arms of `evaluate jaket-memory` beside the joint one: the trained model with another memory or no edges.
ABLATIONS = ("stale_memory", "random_memory", "no_graph")
_SEED = 0


def is_validation(qid: str) -> bool:
    """Whether questions about the entity choose the learning rate: of half of them."""
    return hash64("jaket-validation", qid) % 2 == 0


def right(cell: Found, task: str, *, validation: bool, arm: str = "joint") -> tuple[list[int], list[str]]:
    """Which answers are right (0, 1), and what each question is about."""
    of_task = cell[task]
    pairs = zip(of_task["right"][arm], of_task["about"], strict=True)
    chosen = [(int(yes), qid) for yes, qid in pairs if is_validation(qid) == validation]
    return [yes for yes, _ in chosen], [qid for _, qid in chosen]


def best_rates(cells: Sequence[Found]) -> dict[str, float]:
    """Each arm's rate of the highest mean validation accuracy over seeds and tasks; of equals, the lowest."""
    rates = sorted({cell["lr"] for cell in cells})

    def score(arm: str, lr: float) -> float:
        return fmean(
            fmean(right(cell, task, validation=True)[0]) for cell in of_arm(cells, arm, lr) for task in TASKS
        )

    return {arm: max(rates, key=lambda lr: score(arm, lr)) for arm in ARMS}


def result(cells: Sequence[Found]) -> dict[str, Any]:
    """The learning rate of each arm, and the comparisons of `proofs.statistics.interval` at it, by task.

    Returns:
        `rates`; `accuracy`, task -> arm -> share of right answers on the test entities; `primary`, task
        -> what `interval` gives of joint against no graph; and `secondary`, task -> comparison -> the same.
    """
    rates = best_rates(cells)
    joint, alone = (of_arm(cells, arm, rates[arm]) for arm in ARMS)

    def against(task: str, others: Sequence[Found], arm: str = "joint") -> list[NDArray[np.float64]]:
        samples = []
        for one, other in zip(joint, others, strict=True):
            answers, about = right(one, task, validation=False)
            baseline, _ = right(other, task, validation=False, arm=arm)
            samples.append(gains(answers, baseline, about))
        return samples

    compared = {
        task: {"joint - no graph": interval(against(task, alone), seed=_SEED)}
        | {f"joint - joint with {arm}": interval(against(task, joint, arm), seed=_SEED) for arm in ABLATIONS}
        for task in TASKS
    }
    accuracy = {
        task: {arm: _mean(of_arm(cells, arm, lr), task) for arm, lr in rates.items()}
        | {arm: _mean(joint, task, arm) for arm in ABLATIONS}
        for task in TASKS
    }
    primary = {task: compared[task].pop("joint - no graph") for task in TASKS}
    return {"rates": rates, "accuracy": accuracy, "primary": primary, "secondary": compared}


def _mean(cells: Sequence[Found], task: str, arm: str = "joint") -> float:
    return fmean(fmean(right(cell, task, validation=False, arm=arm)[0]) for cell in cells)


def tables(found: Mapping[str, Any], cells: Sequence[Found]) -> str:
    """The result in Markdown."""
    primary = found["primary"]
    holds = "holds" if all(one["interval"][0] > 0 for one in primary.values()) else "does not hold"
    gained = "; ".join(
        f"{task.replace('_', ' ')} {gain(one['difference'])} {bounds(one)}" for task, one in primary.items()
    )
    names = {arm: f"{arm}, learning rate {lr:g}" for arm, lr in found["rates"].items()}
    names |= {arm: f"joint, asked with {arm.replace('_', ' ')}" for arm in ABLATIONS}
    arms = [[name, *(percent(found["accuracy"][task][arm]) for task in TASKS)] for arm, name in names.items()]
    differences = [
        [task.replace("_", " "), name.replace("_", " "), *difference(one)]
        for task, compared in found["secondary"].items()
        for name, one in {"joint - no graph": primary[task], **compared}.items()
    ]
    every = [
        [cell["arm"], f"{cell['lr']:g}", str(cell["seed"]), f"{cell['tokens']:,}"]
        + [percent(fmean(right(cell, task, validation=v)[0])) for task in TASKS for v in (True, False)]
        for cell in cells
    ]
    tasks = [task.replace("_", " ") for task in TASKS]
    return "\n\n".join(
        [
            "# JAKET: does the graph tell of entities never seen?",
            "`make proof-jaket`; the world, the arms, the metric and the stopping rule: "
            "[README](../README.md). Accuracy on entities that training neither linked, sampled nor "
            f"predicted. {NOT_COMPARABLE}",
            f"**Primary: joint - no graph: {gained}. The claim {holds}.**",
            markdown_table(["arm", *tasks], arms),
            markdown_table(["task", "difference on test", *DIFFERENCE], differences),
            "Every cell:",
            markdown_table(
                ["arm", "learning rate", "seed", "tokens"]
                + [f"{task}, {part}" for task in tasks for part in ("validation", "test")],
                every,
            )
            + "\n",
        ]
    )
