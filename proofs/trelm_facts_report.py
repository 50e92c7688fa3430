"""The comparisons and tables of the proof on the pretrained base."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import Any

import numpy as np

from kgcorpus.report.markdown import markdown_table
from proofs.report import DIFFERENCE, NOT_COMPARABLE, difference, percent
from proofs.statistics import Found, interval
from proofs.trelm_facts_cells import CUT
from proofs.trelm_report import equal_time_gain, known, seconds, time_to

_SEED = 0
# Share of the dense arm's best, and of its time.
TARGET, HALF = 0.9, 0.5
DENSE, ABOVE_CUT, RANDOM = "dense", "dense above the cut", "cut, also, random rows"
TITLE = "TRELM on a pretrained base: half the time at the same knowledge?"


def best_rates(sweep: Sequence[Found]) -> dict[str, float]:
    """By arm, the rate of the largest area under new facts over CPU time; of equals, the lowest."""
    best = {}
    for arm in dict.fromkeys(cell["arm"] for cell in sweep):
        own = [cell for cell in sweep if cell["arm"] == arm]
        rates = sorted({cell["lr"] for cell in own})
        best[arm] = max(rates, key=lambda lr: fmean(_area(c) for c in own if c["lr"] == lr))
    return best


def _area(cell: Found) -> float:
    """The mean share of new facts known over the cell's CPU time."""
    clock = seconds(cell)
    return float(np.trapezoid(known(cell), clock) / clock[-1]) if clock[-1] > 0 else 0.0


def result(compared: Sequence[Found]) -> dict[str, Any]:
    """Each arm's share of the dense arm's time, and differences at equal time, over the paired seeds.

    Returns:
        `primary`: `interval`'s figures of the share of time, `reached` and `met`; `cut`: the primary arm's
        share less that of the dense arm with the same cut; `shares`, `gains` by arm; `attributed`: at equal
        time, the primary arm less random rows; `arms`: means.
    """
    by = {arm: _cells(compared, arm) for arm in dict.fromkeys(cell["arm"] for cell in compared)}
    dense = by[DENSE]
    shares = {arm: [_share(a, d) for a, d in zip(cells, dense, strict=True)] for arm, cells in by.items()}
    primary = _interval(shares[CUT])
    reached = {arm: sum(_time(a, d) is not None for a, d in zip(by[arm], dense, strict=True)) for arm in by}
    whole = len(dense)
    cut = _interval([a - b for a, b in zip(shares[CUT], shares[ABOVE_CUT], strict=True)])

    def gains(one: str, other: str) -> dict[str, Any]:
        return _interval([equal_time_gain(a, b) for a, b in zip(by[one], by[other], strict=True)])

    return {
        "primary": {
            **primary,
            "reached": reached[CUT],
            "met": primary["interval"][1] < HALF and reached[CUT] == whole,
        },
        "cut": cut,
        "shares": {arm: {**_interval(own), "reached": reached[arm]} for arm, own in shares.items()},
        "gains": {arm: gains(arm, DENSE) for arm in by if arm != DENSE},
        "attributed": gains(CUT, RANDOM),
        "arms": {arm: _of_arm(cells) for arm, cells in by.items()},
    }


def _cells(compared: Sequence[Found], arm: str) -> list[Found]:
    return sorted((cell for cell in compared if cell["arm"] == arm), key=lambda cell: cell["seed"])


def _time(cell: Found, dense: Found) -> float | None:
    """CPU seconds to 90 % of the dense arm's best; None if it is not reached, or dense learned nothing."""
    target = TARGET * max(known(dense))
    return time_to(cell, known(cell), target) if target > known(dense)[0] else None


def _share(cell: Found, dense: Found) -> float:
    """Of the dense arm's time to 90 % of its best; a cell that never gets there counts twice its own time."""
    own, other = _time(cell, dense), _time(dense, dense)
    whole = seconds(dense)[-1] if other is None else other
    return (2 * seconds(cell)[-1] if own is None else own) / whole


def _interval(values: Sequence[float]) -> dict[str, Any]:
    return interval([np.array([value]) for value in values], seed=_SEED)


def roughness(losses: Sequence[float]) -> float:
    """Mean change of the loss from step to step, as a share of its fall over the run (Fig. 4's claim)."""
    tenth = max(1, len(losses) // 10)
    fall = fmean(losses[:tenth]) - fmean(losses[-tenth:])
    steps = [abs(b - a) for a, b in pairwise(losses)]
    return fmean(steps) / fall if fall > 0 and steps else float("inf")


def _of_arm(cells: Sequence[Found]) -> dict[str, Any]:
    def last(read: Callable[[Mapping[str, Any]], float | None]) -> float | None:
        found = [read(cell["series"][-1]) for cell in cells]
        kept = [value for value in found if value is not None]
        return fmean(kept) if kept else None

    names = ("new", "other wording", "graph only", "known")
    return {
        "lr": cells[0]["lr"],
        "steps": cells[0]["steps"],
        "seconds": fmean(seconds(cell)[-1] for cell in cells),
        "best": fmean(max(known(cell)) for cell in cells),
        **{name: last(lambda probe, name=name: probe["right"].get(name)) for name in names},  # type: ignore[misc]
        "known at the target": _known_at_target(cells),
        "held_out": last(lambda probe: probe.get("held_out")),
        "roughness": median(roughness(cell["losses"]) for cell in cells),
        "trained": cells[0]["trained"],
        "optimizer_bytes": max(cell["optimizer_bytes"] for cell in cells),
    }


def _known_at_target(cells: Sequence[Found]) -> float | None:
    """The front of new against known facts: what is kept when 90 % of the own best are new facts known."""
    found = []
    for cell in cells:
        when = time_to(cell, known(cell), TARGET * max(known(cell)))
        probes = [p for p in cell["series"] if "known" in p["right"]]
        if when is not None and probes:
            clock, kept = [p["seconds"] for p in probes], [p["right"]["known"] for p in probes]
            found.append(float(np.interp(when, clock, kept)))
    return fmean(found) if found else None


def tables(found: Mapping[str, Any], sweep: Sequence[Found], compared: Sequence[Found], *, costs: str) -> str:
    """The result in Markdown; `costs`: of a step, in Markdown."""
    parts = [
        f"# {TITLE}",
        "`python -m proofs.trelm pretrained`; the arms, the metric and the stopping rule: "
        f"[README](../README.md). {NOT_COMPARABLE}",
        _headline(found, len({cell["seed"] for cell in compared})),
        "## Arms",
        _arms(found),
        "## At equal CPU time",
        markdown_table(
            ["new facts known at equal time", *DIFFERENCE],
            [
                *([f"{arm} - {DENSE}", *difference(one)] for arm, one in found["gains"].items()),
                [f"{CUT} - {RANDOM}", *difference(found["attributed"])],
            ],
        ),
        "## What a step costs",
        costs,
        "## Cells",
    ]
    for heading, cells in (("Every cell of the sweep:", sweep), ("Every cell compared:", compared)):
        rows = [
            [
                *(c["arm"], f"{c['lr']:g}", str(c["seed"]), str(c["steps"]), f"{seconds(c)[-1]:.1f}"),
                *(percent(max(known(c))), percent(known(c)[-1]), f"{c['losses'][-1]:.3f}"),
            ]
            for c in cells
        ]
        head = ["arm", "learning rate", "seed", "steps", "CPU seconds", "best", "new", "loss"]
        parts += [heading, markdown_table(head, rows)]
    return "\n\n".join(parts) + "\n"


def _headline(found: Mapping[str, Any], seeds: int) -> str:
    primary, cut = found["primary"], found["cut"]
    low, high = primary["interval"]
    verdict = "below" if primary["met"] else "not below"
    same = cut["interval"][1] >= 0
    why = (
        "Dense training with the same cut is as quick, so the saving is layer freezing, not knowledge paths."
        if same
        else "Dense training with the same cut is slower."
    )
    return (
        f"**Primary, CPU time to {percent(TARGET)} % of tuned dense's best, as a share of dense's: "
        f"{primary['difference']:.2f} [{low:.2f}, {high:.2f}], reached in {primary['reached']} of {seeds} "
        f"seeds. The interval is {verdict} {HALF}. {why}**"
    )


def _arms(found: Mapping[str, Any]) -> str:
    head = ["arm", "learning rate", "share of dense's time", "reached", "best", "new", "other wording"]
    head += ["graph only", "known", "known at 90 %", "loss on real text", "roughness", "trained (millions)"]
    head += ["optimizer state (MB)"]
    rows = []
    for arm, a in found["arms"].items():
        share = found["shares"][arm]
        low, high = share["interval"]
        shares = (percent(a["best"]), *(_percent(a[name]) for name in ("new", "other wording", "graph only")))
        rows.append(
            [
                arm,
                f"{a['lr']:g}",
                f"{share['difference']:.2f} [{low:.2f}, {high:.2f}]",
                str(share["reached"]),
                *shares,
                _percent(a["known"]),
                _percent(a["known at the target"]),
                f"{a['held_out']:.3f}",
                f"{a['roughness']:.3f}",
                f"{a['trained'] / 1e6:.2f}",
                f"{a['optimizer_bytes'] / 1e6:.1f}",
            ]
        )
    return markdown_table(head, rows)


def _percent(share: float | None) -> str:
    return "" if share is None else percent(share)
