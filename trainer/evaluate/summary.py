"""Scores over seeds as a result's JSON shows them."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Scores = Mapping[str, float]


def over_seeds(runs: Sequence[Scores]) -> dict[str, Any]:
    """name -> mean, deviation (of a sample; 0 of one run) and the value of each run."""
    return {
        name: {
            "mean": statistics.fmean(run[name] for run in runs),
            "deviation": statistics.stdev([run[name] for run in runs]) if len(runs) > 1 else 0.0,
            "values": [run[name] for run in runs],
        }
        for name in runs[0]
    }


def selection(metric: str, source: str, n: int, chosen: Sequence[tuple[int, float | None]]) -> dict[str, Any]:
    """How the epoch was selected.

    Args:
        metric: name of the metric.
        source: where the development examples are from.
        n: how many there are.
        chosen: for each seed, the epoch (from 1) and the metric at it; None without development examples.

    Returns:
        `metric`, `on` (the source), `n`, `epochs` (one a seed) and `dev`: the metric at these epochs, as
        `over_seeds` gives it; null without development examples.
    """
    scores = [score for _, score in chosen if score is not None]
    return {
        "metric": metric,
        "on": source,
        "n": n,
        "epochs": [epoch for epoch, _ in chosen],
        "dev": over_seeds([{"dev": score} for score in scores])["dev"] if scores else None,
    }
