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
