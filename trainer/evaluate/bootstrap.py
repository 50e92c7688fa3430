"""Paired comparison of two systems on the same questions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kgcorpus.contracts.draws import hash64, mix64_array

RESAMPLES = 2000


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
        n, clusters, accuracy, baseline, difference, interval [low, high]; of no questions, n = 0 alone.
    """
    if not system:
        return {"n": 0}
    names = {name: i for i, name in enumerate(sorted(set(clusters)))}
    member = np.array([names[name] for name in clusters])
    gain = np.bincount(member, weights=np.array(system, float) - np.array(baseline, float))
    size = np.bincount(member)
    k = len(names)
    bits = mix64_array(np.arange(RESAMPLES * k, dtype=np.uint64) + np.uint64(hash64(seed, "bootstrap")))
    drawn = ((bits >> np.uint64(32)) * np.uint64(k) >> np.uint64(32)).astype(np.int64).reshape(RESAMPLES, k)
    resampled = gain[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {
        "n": len(system),
        "clusters": k,
        "accuracy": float(np.mean(system)),
        "baseline": float(np.mean(baseline)),
        "difference": float(gain.sum() / size.sum()),
        "interval": [float(low), float(high)],
    }
