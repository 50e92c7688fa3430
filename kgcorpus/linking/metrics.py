"""Measures of linking: shares with bootstrap intervals over pages, precision against recall, F1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Float64s
from kgcorpus.contracts.bootstrap import percentiles, ratio_interval, resampled

ROUNDS = 1000
# Confidence thresholds at which an evaluation states precision and recall.
THRESHOLDS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)


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
    right: NDArray[np.bool_],
    confidence: Float64s,
    pages: NDArray[np.int64],
    *,
    totals: NDArray[np.int64],
    draws: NDArray[np.int64],
    floor: float = 0.9,
) -> dict[str, Any]:
    """Precision and recall of the answers at falling confidence.

    Args:
        right, confidence, pages: [n] of the answers given; pages are numbers from 0.
        totals: [P] questions asked on each page.
        draws: of `resampled_pages`.

    Returns:
        `curve`: up to 20 points {confidence, precision, recall}; and `recall_at_precision_FLOOR`, the highest
        recall at a precision of at least `floor`, with its 95 % `interval` over resampled pages.
    """
    total = int(totals.sum())
    order = np.argsort(-confidence, kind="stable")
    right, confidence, pages = right[order], confidence[order], pages[order]
    # Answers of equal confidence come together.
    ends = np.flatnonzero(np.append(np.diff(confidence) != 0, True)[: len(order)])

    def counts(weights: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Right answers and answers at each of `ends`, of answers that count `weights` times."""
        return np.cumsum(weights * right)[ends], np.cumsum(weights)[ends]

    def best(hits: NDArray[np.int64], given: NDArray[np.int64], total: int) -> float:
        reached = hits[hits >= floor * np.maximum(given, 1)]
        return float(reached.max()) / max(total, 1) if len(reached) else 0.0

    hits, given = counts(np.ones(len(order), np.int64))
    times = (np.bincount(draw, minlength=len(totals)) for draw in draws)
    rounds = [best(*counts(each[pages]), int((each * totals).sum())) for each in times]
    low, high = percentiles(np.array(rounds)) if rounds else (0.0, 0.0)
    precision, recall = hits / given, hits / max(total, 1)
    points = np.unique(np.linspace(0, len(ends) - 1, 20).astype(int)) if len(ends) else ends
    curve = [
        {
            "confidence": _short(confidence[ends[at]]),
            "precision": _short(precision[at]),
            "recall": _short(recall[at]),
        }
        for at in points
    ]
    reached = {"mean": _short(best(hits, given, total)), "interval": [_short(low), _short(high)]}
    return {"curve": curve, f"recall_at_precision_{floor}": reached}


def reliability(
    right: NDArray[np.bool_], confidence: Float64s, *, bins: int = 10, seed: int = 0
) -> dict[str, Any]:
    """How well confidence fits the share of right answers (Guo et al., 2017), in bins of equal size.

    Args:
        right, confidence: [n] of the answers given.
        bins: groups of answers of similar confidence.

    Returns:
        `curve`: {n, confidence, right, interval} a bin, means, and the 95 % interval of `right` over
        resampled answers; `ece`: the expected calibration error, the mean of |confidence - right| weighted by
        n; `ece_interval`: its 95 % interval over resampled answers, which is biased upwards, as each
        resample adds noise of its own; `ece_by_chance`: what a calibrated confidence gives on average with so
        many answers.
    """
    order = np.argsort(confidence, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    if not groups:
        return {"curve": [], "ece": None, "ece_interval": None, "ece_by_chance": None}
    chance = np.random.default_rng(0).random((ROUNDS, len(confidence))) < confidence
    rounds = [
        _error_of_bins(right[draw], confidence[draw], bins)
        for draw in resampled(len(confidence), rounds=ROUNDS, seed=seed)
    ]
    curve = []
    for group in groups:
        low, high = percentiles(right[group][resampled(len(group), rounds=ROUNDS, seed=seed)].mean(axis=1))
        curve.append(
            {
                "n": len(group),
                "confidence": _short(confidence[group].mean()),
                "right": _short(right[group].mean()),
                "interval": [_short(low), _short(high)],
            }
        )
    return {
        "curve": curve,
        "ece": _short(_calibration_error(right[None], confidence, groups)[0]),
        "ece_interval": [_short(end) for end in percentiles(np.array(rounds))],
        "ece_by_chance": _short(_calibration_error(chance, confidence, groups).mean()),
    }


def _error_of_bins(right: NDArray[np.bool_], confidence: Float64s, bins: int) -> float:
    groups = [g for g in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(g)]
    return float(_calibration_error(right[None], confidence, groups)[0])


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


def f1_of_texts(
    right: NDArray[np.int64], predicted: NDArray[np.int64], gold: NDArray[np.int64], *, seed: int
) -> dict[str, Any]:
    """`f1` of the sums of [T] counts a text, with the 95 % `intervals` over resampled texts."""
    draws = resampled_pages(np.arange(len(gold)), seed=seed)
    sizes = {"precision": predicted, "recall": gold, "f1": predicted + gold}
    ends = {
        name: ratio_interval((2 if name == "f1" else 1) * right, size, draws) if size.sum() else None
        for name, size in sizes.items()
    }
    return {
        **f1(int(right.sum()), int(predicted.sum()), int(gold.sum())),
        "intervals": {name: end and [_short(value) for value in end] for name, end in ends.items()},
    }


def numbers_of(items: Sequence[Any]) -> NDArray[np.int64]:
    """[n] each item's number among the distinct ones, in order of first sight."""
    known: dict[Any, int] = {}
    return np.array([known.setdefault(item, len(known)) for item in items], np.int64)


def _short(value: Any) -> float:
    return round(float(value), 4)
