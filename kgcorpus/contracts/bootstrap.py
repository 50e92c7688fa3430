"""Cluster bootstrap: 95 % intervals over resampled pages, questions or seeds (Efron and Tibshirani 1993)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import below_array, hash64


def resampled(clusters: int, *, rounds: int, seed: int) -> NDArray[np.int64]:
    """Draw clusters with replacement; return their numbers [rounds, clusters]."""
    counters = np.arange(rounds * clusters, dtype=np.uint64) + np.uint64(hash64(seed, "bootstrap"))
    return below_array(counters, clusters).reshape(rounds, clusters)


def ratio_interval(
    sums: NDArray[Any], sizes: NDArray[np.integer], drawn: NDArray[np.int64]
) -> tuple[float, float]:
    """The 95 % interval of sum(sums) / sum(sizes) over resampled clusters.

    Values of one cluster depend on each other, so clusters are drawn and not values.

    Args:
        sums, sizes: [clusters] the sum and the number of each cluster's values.
        drawn: [rounds, clusters] of `resampled`; a round whose clusters have no value is left out.
    """
    totals, counts = sums[drawn].sum(axis=1), sizes[drawn].sum(axis=1)
    return percentiles(totals[counts > 0] / counts[counts > 0])


def percentiles(values: NDArray[np.floating]) -> tuple[float, float]:
    """The 2.5th and the 97.5th percentile of resampled values [rounds]."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
