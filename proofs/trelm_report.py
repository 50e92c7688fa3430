"""TRELM's comparisons and tables from the cells: what each arm knows, when, and what that took."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

import numpy as np

from kgcorpus.report.markdown import markdown_table
from proofs.report import DIFFERENCE, NOT_COMPARABLE, bounds, difference, gain, percent
from proofs.statistics import Found, interval
from proofs.trelm_cells import REMEDIES

_SEED = 0
_BASE_KNOWS = 0.95
TITLE, REMEDIES_TITLE = "TRELM: does routing save time?", "TRELM: remedies, attributed against random neurons"
TABLE_TITLE = "TRELM: what the frozen embedding table costs"
Pair = tuple[str, str, str]
# The fixed comparisons: of an arm with another on a corpus.
PRIMARY: tuple[Pair, ...] = (("path, attributed 30%", "dense", "mixed"),)
REMEDIES_PRIMARY: tuple[Pair, ...] = tuple(
    (f"exact, attributed 30%, {name}", f"exact, random 30%, {name}", "mixed") for name in REMEDIES
)

TABLE_PRIMARY: tuple[Pair, ...] = (
    ("exact, attributed 30%, table", "exact, attributed 30%", "mixed"),
    ("exact, attributed 30%, table", "dense", "mixed"),
)


def best_rates(sweep: Sequence[Found]) -> dict[tuple[str, str], float]:
    """By arm and corpus, the rate at which most new facts are known at the end; of equals, the lowest."""
    best = {}
    for arm, corpus in dict.fromkeys((cell["arm"], cell["corpus"]) for cell in sweep):
        own = [cell for cell in sweep if (cell["arm"], cell["corpus"]) == (arm, corpus)]
        rates = sorted({cell["lr"] for cell in own})
        best[arm, corpus] = max(rates, key=lambda lr: fmean(known(c)[-1] for c in own if c["lr"] == lr))
    return best


def known(cell: Found, whose: str = "new") -> list[float]:
    """The share of the facts that the model knows, probe by probe."""
    return [probe["right"][whose] for probe in cell["series"]]


def seconds(cell: Found) -> list[float]:
    """CPU time until each probe; the first is the base's, at 0."""
    return [probe["seconds"] for probe in cell["series"]]


def equal_time_gain(one: Found, other: Found) -> float:
    """How many more new facts `one` knows when the sooner of the two has ended."""
    end = min(seconds(one)[-1], seconds(other)[-1])
    first, second = (float(np.interp(end, seconds(cell), known(cell))) for cell in (one, other))
    return first - second


def time_to(cell: Found, values: Sequence[float], target: float) -> float | None:
    """CPU seconds until `values`, one a probe and straight between two, reach the target; None: never."""
    clock = seconds(cell)[-len(values) :]
    for i, value in enumerate(values):
        if value >= target:
            if i == 0:
                return clock[0]
            share = (target - values[i - 1]) / (value - values[i - 1])
            return clock[i - 1] + share * (clock[i] - clock[i - 1])
    return None


def result(compared: Sequence[Found], primary: Sequence[Pair] = PRIMARY) -> dict[str, Any]:
    """Differences of arms at equal time, by their names, with intervals over the paired seeds.

    Returns:
        `primary`, `secondary` (every arm against dense, attributed against random, with a memory against
        without), each what `interval` gives, and `arms`: what `_of_arm` gives by corpus.
    """

    def against(one: str, other: str, corpus: str) -> dict[str, Any]:
        pairs = zip(_cells(compared, one, corpus), _cells(compared, other, corpus), strict=True)
        return interval([np.array([equal_time_gain(a, b)]) for a, b in pairs], seed=_SEED)

    arms = list(dict.fromkeys(cell["arm"] for cell in compared))
    corpora = list(dict.fromkeys(cell["corpus"] for cell in compared))
    pairs = [(arm, "dense") for arm in arms if arm != "dense"]
    pairs += [
        (arm, random)
        for arm in arms
        if "attributed" in arm and (random := arm.replace("attributed", "random")) in arms
    ]
    return {
        "primary": [{"pair": list(pair), **against(*pair)} for pair in primary],
        "secondary": {
            corpus: {f"{one} - {other}": against(one, other, corpus) for one, other in pairs}
            for corpus in corpora
        },
        "arms": {corpus: {arm: _of_arm(compared, arm, corpus) for arm in arms} for corpus in corpora},
    }


def _cells(compared: Sequence[Found], arm: str, corpus: str) -> list[Found]:
    own = [cell for cell in compared if (cell["arm"], cell["corpus"]) == (arm, corpus)]
    return sorted(own, key=lambda cell: cell["seed"])


def _of_arm(compared: Sequence[Found], arm: str, corpus: str) -> dict[str, Any]:
    """Means over seeds, and the times to what the dense arm ended with, as shares of the dense arm's own."""
    own, dense = _cells(compared, arm, corpus), _cells(compared, "dense", corpus)
    shares: dict[str, list[float | None]] = {"accuracy": [], "loss": []}
    for cell, base in zip(own, dense, strict=True):
        goals = {"accuracy": known(base)[-1], "loss": -_losses(base)[-1]}
        for name, values in (("accuracy", known(cell)), ("loss", [-loss for loss in _losses(cell)])):
            reached = time_to(cell, values, goals[name])
            shares[name].append(None if reached is None else reached / seconds(base)[-1])
    whose = ("new", "rare", "frequent", "known")
    return {
        "lr": own[0]["lr"],
        "seconds": fmean(seconds(cell)[-1] for cell in own),
        **{name: fmean(known(cell, name)[-1] for cell in own) for name in whose},
        "known_before": fmean(known(cell, "known")[0] for cell in own),
        "loss": fmean(_losses(cell)[-1] for cell in own),
        "time_to_accuracy": shares["accuracy"],
        "time_to_loss": shares["loss"],
    }


def _losses(cell: Found) -> list[float]:
    """Mean training loss of the steps before each probe; none before the base's."""
    return [probe["loss"] for probe in cell["series"] if "loss" in probe]


def tables(
    found: Mapping[str, Any], sweep: Sequence[Found], compared: Sequence[Found], *, title: str = TITLE
) -> str:
    """The result in Markdown."""
    parts = [
        f"# {title}",
        "`make proof-trelm`; the arms, the metric and the stopping rule: [README](../README.md). "
        f"{NOT_COMPARABLE}",
        *(_headline(primary) for primary in found["primary"]),
    ]
    weak = sorted({cell["seed"] for cell in compared if known(cell, "known")[0] < _BASE_KNOWS})
    if weak:
        parts.insert(1, f"**The base of the seeds {weak} knows less than 95 % of the known facts.**")
    for name, arms in found["arms"].items():
        parts += [f"## Corpus: {name}", _arms(arms), _differences(found["secondary"][name])]
    for heading, cells in (("Every cell of the sweep:", sweep), ("Every cell compared:", compared)):
        rows = [
            [c["arm"], c["corpus"], f"{c['lr']:g}", str(c["seed"]), f"{seconds(c)[-1]:.1f}"]
            + [percent(known(c, whose)[-1]) for whose in ("new", "known")]
            + [f"{_losses(c)[-1]:.3f}"]
            for c in cells
        ]
        head = ["arm", "corpus", "learning rate", "seed", "CPU seconds", "new", "known", "loss"]
        parts += [heading, markdown_table(head, rows)]
    return "\n\n".join(parts) + "\n"


def _headline(primary: Mapping[str, Any]) -> str:
    one, other, corpus = primary["pair"]
    above = "is" if primary["interval"][0] > 0 else "is not"
    return (
        f"**Primary, new facts known at equal CPU time, {corpus} corpus: {one} - {other} = "
        f"{gain(primary['difference'])} {bounds(primary)} points. The interval {above} above 0.**"
    )


def _arms(arms: Mapping[str, Any]) -> str:
    head = ["arm", "learning rate", "CPU seconds", "new", "of these rare", "frequent", "known (before)"]
    head += ["loss", "time to dense's accuracy", "to its loss"]
    rows = [
        [
            arm,
            f"{a['lr']:g}",
            f"{a['seconds']:.1f}",
            *(percent(a[whose]) for whose in ("new", "rare", "frequent")),
            f"{percent(a['known'])} ({percent(a['known_before'])})",
            f"{a['loss']:.3f}",
            *map(_reached, (a["time_to_accuracy"], a["time_to_loss"])),
        ]
        for arm, a in arms.items()
    ]
    return markdown_table(head, rows)


def _differences(secondary: Mapping[str, Any]) -> str:
    rows = [[name, *difference(one)] for name, one in secondary.items()]
    return markdown_table(["new facts known at equal time", *DIFFERENCE], rows)


def _reached(shares: Sequence[float | None]) -> str:
    """The median share of the dense arm's time where all seeds got there, else how many did."""
    done = [share for share in shares if share is not None]
    count = f"{len(done)} of {len(shares)}"
    return f"{median(done):.2f} ({count})" if done else count
