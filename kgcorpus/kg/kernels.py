"""Compiled passes over the graph: two-hop counts, triangles and complete graphs of four entities.

Triangles are found by compact forward (Latapy 2008): every edge points from the entity of lower
(degree, index) to the other, which bounds the out-degree by the square root of twice the number of edges, and
a triangle is closed from its lowest corner alone.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@njit(cache=True)
def two_hop_counts(offsets: Int64s, neighbours: Int32s) -> Int64s:
    """[N] distinct entities within two hops, itself left out, from the simple adjacency."""
    n = len(offsets) - 1
    counts = np.zeros(n, np.int64)
    seen = np.full(n, -1, np.int32)
    for u in range(n):
        seen[u] = u
        for i in range(offsets[u], offsets[u + 1]):
            v = neighbours[i]
            if seen[v] != u:
                seen[v] = u
                counts[u] += 1
            for j in range(offsets[v], offsets[v + 1]):
                w = neighbours[j]
                if seen[w] != u:
                    seen[w] = u
                    counts[u] += 1
    return counts


@njit(cache=True)
def close_triangles(  # noqa: PLR0917 - numba takes no keyword-only arguments
    offsets: Int64s, targets: Int32s, pairs: Int64s, multiplicity: Int64s, cursor: Int64s, wings: Int32s
) -> int:
    """Visit each triangle once and, for each of its three pairs, note the third entity: the pair's wing.

    Args:
        offsets, targets, pairs: the oriented adjacency, [N + 1], [P], [P].
        multiplicity: [P] triples of a pair.
        cursor: [P], moved on by one for each wing of the pair; zeros in the pass that counts.
        wings: where wings are written at their pair's cursor; empty in the pass that counts.

    Returns:
        The triangles with every choice of one triple a pair.
    """
    n = len(offsets) - 1
    via = np.full(n, -1, np.int64)
    emit = len(wings) > 0
    labelled = 0
    for u in range(n):
        for i in range(offsets[u], offsets[u + 1]):
            via[targets[i]] = pairs[i]
        for i in range(offsets[u], offsets[u + 1]):
            v, uv = targets[i], pairs[i]
            for j in range(offsets[v], offsets[v + 1]):
                w, vw = targets[j], pairs[j]
                uw = via[w]
                if uw < 0:
                    continue
                if emit:
                    wings[cursor[uv]] = w
                    wings[cursor[vw]] = u
                    wings[cursor[uw]] = v
                cursor[uv] += 1
                cursor[vw] += 1
                cursor[uw] += 1
                labelled += multiplicity[uv] * multiplicity[vw] * multiplicity[uw]
        for i in range(offsets[u], offsets[u + 1]):
            via[targets[i]] = -1
    return labelled


@njit(cache=True)
def count_complete_fours(offsets: Int64s, targets: Int32s) -> int:
    """Sets of four entities that are all connected, from the oriented adjacency."""
    n = len(offsets) - 1
    out_of_u = np.full(n, -1, np.int64)
    shared_by = np.full(n, -1, np.int64)
    shared = np.empty(n, np.int32)
    total = 0
    for u in range(n):
        for i in range(offsets[u], offsets[u + 1]):
            out_of_u[targets[i]] = u
        for i in range(offsets[u], offsets[u + 1]):
            v = targets[i]
            size = 0
            for j in range(offsets[v], offsets[v + 1]):
                w = targets[j]
                if out_of_u[w] == u:
                    shared[size] = w
                    size += 1
                    shared_by[w] = i
            for k in range(size):
                w = shared[k]
                for j in range(offsets[w], offsets[w + 1]):
                    if shared_by[targets[j]] == i:
                        total += 1
    return total
