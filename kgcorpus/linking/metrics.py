"""Measures of linking: shares with bootstrap intervals over pages, precision against recall, F1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Float64s
from kgcorpus.contracts.bootstrap import ratio_interval, resampled

ROUNDS = 1000


def resampled_pages(pages: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """[ROUNDS, P] the pages drawn in each round, of the P distinct ones."""
    n = int(pages.max()) + 1 if len(pages) else 0
    return resampled(n, rounds=ROUNDS, seed=seed)


def share(values: Float64s, pages: NDArray[np.int64], draws: NDArray[np.int64]) -> dict[str, Any]:
    """The mean of [n] values, and the 95 % interval of the mean over resampled pages.

    Args:
        pages: [n] each value's page, numbers from 0.
        draws: as `resampled_pages` gives them.
    """
    if not len(values):
        return {"n": 0, "mean": None, "interval": None}
    p = draws.shape[1]
    sums, counts = np.bincount(pages, values, p), np.bincount(pages, minlength=p)
    low, high = ratio_interval(sums, counts, draws)
    return {"n": len(values), "mean": _short(values.mean()), "interval": [_short(low), _short(high)]}


def precision_recall(
    right: NDArray[np.bool_], confidence: Float64s, *, total: int, floor: float = 0.9
) -> dict[str, Any]:
    """Precision and recall of the answers at falling confidence.

    Args:
        right, confidence: [n] of the answers given.
        total: questions asked.

    Returns:
        `curve`: up to 20 points {confidence, precision, recall}; and the highest recall at a precision of
        at least `floor`.
    """
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum(right[order])
    given = np.arange(1, len(order) + 1)
    # Answers of equal confidence come together.
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True)[: len(order)])
    precision, recall = hits[ends] / given[ends], hits[ends] / max(total, 1)
    points = ends[np.unique(np.linspace(0, len(ends) - 1, 20).astype(int))] if len(ends) else ends
    curve = [
        {
            "confidence": _short(confidence[order][at]),
            "precision": _short(hits[at] / given[at]),
            "recall": _short(hits[at] / max(total, 1)),
        }
        for at in points
    ]
    reached = recall[precision >= floor]
    return {"curve": curve, f"recall_at_precision_{floor}": _short(reached.max()) if len(reached) else 0.0}


def reliability(right: NDArray[np.bool_], confidence: Float64s, *, bins: int = 10) -> dict[str, Any]:
    """How well confidence fits the share of right answers (Guo et al., 2017), in bins of equal size.

    Args:
        right, confidence: [n] of the answers given.
        bins: groups of answers of similar confidence.

    Returns:
        `curve`: {n, confidence, right} a bin, means; `ece`: the expected calibration error, the mean of
        |confidence - right| weighted by n; `ece_by_chance`: what a calibrated confidence gives on average
        with so many answers.
    """
    order = np.argsort(confidence, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    drawn = np.random.default_rng(0).random((ROUNDS, len(confidence))) < confidence
    return {
        "curve": [
            {
                "n": len(group),
                "confidence": _short(confidence[group].mean()),
                "right": _short(right[group].mean()),
            }
            for group in groups
        ],
        "ece": _short(_calibration_error(right[None], confidence, groups)[0]) if groups else None,
        "ece_by_chance": _short(_calibration_error(drawn, confidence, groups).mean()) if groups else None,
    }


def _calibration_error(
    right: NDArray[np.bool_], confidence: Float64s, groups: Sequence[NDArray[np.int64]]
) -> Float64s:
    """[k] errors of k rows of n answers."""
    gaps = [abs(right[:, group].mean(axis=1) - confidence[group].mean()) * len(group) for group in groups]
    return np.sum(gaps, axis=0) / len(confidence)


def f1(right: int, predicted: int, gold: int) -> dict[str, Any]:
    """Precision, recall and their harmonic mean."""
    precision, recall = right / max(predicted, 1), right / max(gold, 1)
    both = precision + recall
    return {
        "right": right,
        "predicted": predicted,
        "gold": gold,
        "precision": _short(precision),
        "recall": _short(recall),
        "f1": _short(2 * precision * recall / both if both else 0.0),
    }


def numbers_of(items: Sequence[Any]) -> NDArray[np.int64]:
    """[n] each item's number among the distinct ones, in order of first sight."""
    known: dict[Any, int] = {}
    return np.array([known.setdefault(item, len(known)) for item in items], np.int64)


def _short(value: Any) -> float:
    return round(float(value), 4)
