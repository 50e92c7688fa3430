"""Partial results that tasks merge in any order: the smallest keys of each edge, and counts of values."""

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int64s, UInt64s
from kgcorpus.kg import sampling
from kgcorpus.kg.arrays import Group
from kgcorpus.kg.graph import offsets_of


class SmallestPerEdge:
    """For each edge of a block, the common neighbours of its ends with the smallest keys, at most `cap`."""

    def __init__(self, counts: Int64s, cap: int) -> None:
        self._starts = offsets_of(np.minimum(counts, cap))
        self._common = np.empty(self._starts[-1], np.int32)
        self._keys = np.empty(self._starts[-1], np.uint64)
        self._filled = np.zeros(len(counts), np.int32)

    def offer(
        self, edges: Int64s, ends: NDArray[np.int32], common: NDArray[np.int32], hashes: UInt64s
    ) -> None:
        """Keep the common neighbours with the smallest keys, of these triangles and those before.

        Args:
            edges: [D] places in the block.
            ends: [D, 2] the edges' entities.
            common: [D] the triangles' third entities.
            hashes: [N] of the entities.
        """
        sampling.offer_common_neighbours(
            np.ascontiguousarray(edges),
            np.ascontiguousarray(ends),
            np.ascontiguousarray(common),
            hashes,
            self._starts,
            self._filled,
            self._keys,
            self._common,
        )

    def to_arrays(self, counts: Int64s) -> Group:
        """Return the edges with triangles, their numbers of triangles, and the kept common neighbours."""
        sampling.sort_within(self._starts, self._common)
        edges = np.flatnonzero(counts)
        return {"edges": edges, "counts": counts[edges], "common_neighbours": self._common}


class Sizes:
    """How often each value occurs, in sorted runs that are merged when two are of like size."""

    def __init__(self) -> None:
        self._runs: list[tuple[UInt64s, Int64s]] = []

    def add(self, values: UInt64s, sizes: Int64s | None = None) -> None:
        """Add the values, each once, or ascending distinct values with their sizes."""
        self._runs.append(np.unique(values, return_counts=True) if sizes is None else (values, sizes))
        while len(self._runs) > 1 and 2 * len(self._runs[-1][0]) > len(self._runs[-2][0]):
            self._merge_last()

    def to_arrays(self) -> Group:
        """Distinct values, ascending, and their sizes."""
        while len(self._runs) > 1:
            self._merge_last()
        values, sizes = self._runs[0] if self._runs else (np.empty(0, np.uint64), np.empty(0, np.int64))
        return {"values": values, "sizes": sizes}

    def _merge_last(self) -> None:
        (values, sizes), (others, other_sizes) = self._runs.pop(), self._runs.pop()
        self._runs.append(sampling.merge_sizes(values, sizes, others, other_sizes))
