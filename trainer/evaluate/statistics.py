"""Statistics of scores: mean and deviation over seeds, the selected epoch, paired cluster bootstrap."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kgcorpus.contracts.bootstrap import ratio_interval, resampled

RESAMPLES = 2000
Scores = Mapping[str, float]


def compare(
    system: Sequence[bool], baseline: Sequence[bool], clusters: Sequence[str], *, seed: int
) -> dict[str, Any]:
    """Accuracies of both, and the difference with its 95 % bootstrap interval.

    Whole clusters are drawn with replacement, so that several questions about one thing count as one sample.

    Args:
        system, baseline: whether each got each question right.
        clusters: what each question is about.
        seed: of the resampling.

    Returns:
        n, clusters, accuracy, baseline, difference, interval [low, high]; without questions, only n = 0.
    """
    if not system:
        return {"n": 0}
    names = {name: i for i, name in enumerate(sorted(set(clusters)))}
    member = np.array([names[name] for name in clusters])
    gain = np.bincount(member, weights=np.array(system, float) - np.array(baseline, float))
    size = np.bincount(member)
    k = len(names)
    interval = ratio_interval(gain, size, resampled(k, rounds=RESAMPLES, seed=seed))
    return {
        "n": len(system),
        "clusters": k,
        "accuracy": float(np.mean(system)),
        "baseline": float(np.mean(baseline)),
        "difference": float(gain.sum() / size.sum()),
        "interval": list(interval),
    }


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
