"""Arithmetic of Arrow's list offsets: sums, ranges and batches of bounded size."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int64s, UInt64s

# Text of a batch at most, in bytes or characters: offsets of strings have 32 bits.
MOST_TEXT = 1 << 27


def sums(values: NDArray[np.integer]) -> Int64s:
    """[n + 1] the sum of the values before each place."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])


def ranges(starts: Int64s, sizes: Int64s) -> Int64s:
    """The numbers from each start on, as many as its size, on end."""
    before = sums(sizes)
    return np.arange(before[-1]) + np.repeat(starts - before[:-1], sizes)


def places_in(sorted_keys: UInt64s, keys: UInt64s) -> Int64s:
    """[n] the first place of each key among the sorted ones, -1 for one that is not there."""
    if not len(sorted_keys):
        return np.full(len(keys), -1, np.int64)
    places = np.searchsorted(sorted_keys, keys)
    found = sorted_keys[np.minimum(places, len(sorted_keys) - 1)] == keys
    return np.where(found, places, -1)


def runs(sizes: Int64s, rows: int, *, most: int = MOST_TEXT) -> Iterator[tuple[int, int]]:
    """Cut rows of these sizes into batches.

    Args:
        rows: maximum rows of a batch.
        most: maximum sum of the sizes, unless a single row is larger.

    Yields:
        [start, end) of each batch.
    """
    before = sums(sizes)
    start = 0
    while start < len(sizes):
        last = int(np.searchsorted(before, before[start] + most, side="right")) - 1
        end = max(start + 1, min(start + rows, last))
        yield start, end
        start = end
