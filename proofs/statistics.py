"""Chooses learning rates on the validation questions, and compares arms in pairs on the test questions."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.bootstrap import percentiles
from kgcorpus.contracts.draws import below_array, hash64

RESAMPLES = 10_000
Found = Mapping[str, Any]


def best_rates(cells: Sequence[Found]) -> dict[str, float]:
    """For each arm, the learning rate with the highest mean validation accuracy over the seeds.

    If several rates have the same accuracy, the lowest one is chosen.
    """
    best = {}
    for arm in sorted({cell["arm"] for cell in cells}):
        rates = sorted({cell["lr"] for cell in cells if cell["arm"] == arm})
        best[arm] = max(rates, key=lambda lr: fmean(accuracies(cells, arm, lr, "validation")))
    return best


def of_arm(cells: Sequence[Found], arm: str, lr: float) -> list[Found]:
    """The cells of an arm at a learning rate, in the order of their seeds."""
    return sorted((c for c in cells if (c["arm"], c["lr"]) == (arm, lr)), key=lambda cell: cell["seed"])


def accuracies(cells: Sequence[Found], arm: str, lr: float, asked: str) -> list[float]:
    """The accuracy of each seed's cell.

    Args:
        asked: which questions: validation, test, question_only or shuffled_context.
    """
    return [fmean(cell["right"][asked]) for cell in of_arm(cells, arm, lr)]


def gains(one: Sequence[int], other: Sequence[int], clusters: Sequence[str]) -> NDArray[np.float64]:
    """By how much one arm answers each question better than the other, [questions].

    A question is asked in several languages; its number is the mean over them.

    Args:
        one, other: 1 for each right answer of the two arms.
        clusters: the question of each answer.
    """
    _, member = np.unique(np.array(clusters), return_inverse=True)
    difference = np.array(one, float) - np.array(other, float)
    return np.bincount(member, weights=difference) / np.bincount(member)


def interval(samples: Sequence[NDArray[np.float64]], *, seed: int) -> dict[str, Any]:
    """The mean difference over seeds and its 95 % bootstrap interval over seeds and questions.

    The bootstrap draws seeds with replacement, and then questions of each seed drawn: each seed has its own
    world, and so its own questions.

    Args:
        samples: the `gains` of each seed.
        seed: the seed of the random draws.

    Returns:
        `difference`, `interval` [low, high], and `by_seed`.
    """
    n = len(samples)
    means = np.empty((RESAMPLES, n))
    chosen = _below(n, (RESAMPLES, n), hash64(seed, "seeds"))
    # A resample has n places. Each place takes the mean of resampled questions of the seed drawn for it.
    for place in range(n):
        for i, sample in enumerate(samples):
            rows = np.flatnonzero(chosen[:, place] == i)
            at = _below(len(sample), (len(rows), len(sample)), hash64(seed, "questions", place, i))
            means[rows, place] = sample[at].mean(axis=1)
    by_seed = [float(sample.mean()) for sample in samples]
    return {
        "difference": fmean(by_seed),
        "interval": list(percentiles(means.mean(axis=1))),
        "by_seed": by_seed,
    }


def _below(n: int, shape: tuple[int, int], key: int) -> NDArray[np.int64]:
    counters = np.arange(shape[0] * shape[1], dtype=np.uint64) ^ np.uint64(key)
    return below_array(counters, n).reshape(shape)
