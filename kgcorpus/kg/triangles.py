"""Compiled functions that count triangles, and complete graphs of four entities, in blocks of edges.

The algorithm is compact forward (Latapy 2008). Every edge points from the entity of lower (degree, index) to
the other one, so that an entity has at most sqrt(2 E) edges out of E. A triangle is found from its lowest
corner. A block has the edges from one part of the graph to another, as arrays (offsets [A + 1], targets [E],
pairs [E]); entities are numbered within their part (`kgcorpus.kg.partition`).
"""

import numpy as np

from kgcorpus.contracts.arrays import Bools, Int32s, Int64s
from kgcorpus.kg.compiled import njit
from kgcorpus.kg.kernels import BlockArrays


@njit(cache=True)
def count_triangles(
    ab: BlockArrays,
    bc: BlockArrays,
    ac: BlockArrays,
    on_edge: tuple[Int64s, Int64s, Int64s],
    from_source: Int64s,
    via: Int32s,
) -> int:
    """Count the triangles whose corners a, b, c have the three blocks' parts.

    Args:
        on_edge: the number of triangles on each edge of ab, bc and ac; increased in place. Equal blocks share
            one array.
        from_source: the number of triangles of each a; increased in place.
        via: [C] working memory, -1 everywhere before and after.

    Returns:
        The number of paths a, b, c that were examined.
    """
    starts_ab, middles, _ = ab
    starts_bc, highest, _ = bc
    starts_ac, shared, _ = ac
    on_ab, on_bc, on_ac = on_edge
    wedges = 0
    # Unsigned indices spare the compiled code the test for negative ones.
    for a in range(len(starts_ab) - 1):
        first, last = np.uint64(starts_ac[a]), np.uint64(starts_ac[a + 1])
        for i in range(first, last):
            via[np.uint32(shared[i])] = i - first
        for e in range(np.uint64(starts_ab[a]), np.uint64(starts_ab[a + 1])):
            b = np.uint64(middles[e])
            start, end = starts_bc[b], starts_bc[b + np.uint64(1)]
            wedges += end - start
            for f in range(np.uint64(start), np.uint64(end)):
                found = via[np.uint32(highest[f])]
                if found < 0:
                    continue
                g = first + np.uint64(found)
                on_ab[e] += 1
                on_bc[f] += 1
                on_ac[g] += 1
                from_source[a] += 1
        for i in range(first, last):
            via[np.uint32(shared[i])] = -1
    return wedges


@njit(cache=True)
def count_simple_triangles(ab: BlockArrays, bc: BlockArrays, ac: BlockArrays, marked: Bools) -> int:
    """Count the triangles whose corners have the three blocks' parts, without listing them.

    Args:
        marked: [C] working memory, False everywhere before and after. It has one byte an entity, so that more
            of it fits the cache.
    """
    starts_ab, middles, _ = ab
    starts_bc, highest, _ = bc
    starts_ac, shared, _ = ac
    total = 0
    # Unsigned indices spare the compiled code the test for negative ones.
    for a in range(len(starts_ab) - 1):
        first, last = np.uint64(starts_ac[a]), np.uint64(starts_ac[a + 1])
        for e in range(first, last):
            marked[np.uint32(shared[e])] = True
        for e in range(np.uint64(starts_ab[a]), np.uint64(starts_ab[a + 1])):
            b = np.uint64(middles[e])
            for f in range(np.uint64(starts_bc[b]), np.uint64(starts_bc[b + np.uint64(1)])):
                total += marked[np.uint32(highest[f])]
        for e in range(first, last):
            marked[np.uint32(shared[e])] = False
    return total


@njit(cache=True)
def list_triangles(
    sources: tuple[int, int],
    ab: BlockArrays,
    bc: BlockArrays,
    ac: BlockArrays,
    members: tuple[Int32s, Int32s, Int32s],
    via: Int32s,
    corners: Int32s,
    edges: Int64s,
) -> None:
    """Write the triangles with a in `sources` = [from, to).

    Args:
        members: the entities of the three parts.
        via: [C] scratch, -1 everywhere.
        corners: out, [D, 3] entities a, b, c.
        edges: out, [D, 3] places of ab, bc, ac in their blocks.
    """
    at = 0
    for a in range(sources[0], sources[1]):
        first, last = ac[0][a], ac[0][a + 1]
        if first == last or ab[0][a] == ab[0][a + 1]:
            continue
        for i in range(first, last):
            via[ac[1][i]] = i - first
        for e in range(ab[0][a], ab[0][a + 1]):
            b = ab[1][e]
            for f in range(bc[0][b], bc[0][b + 1]):
                c = bc[1][f]
                if via[c] >= 0:
                    corners[at, 0], corners[at, 1], corners[at, 2] = (
                        members[0][a],
                        members[1][b],
                        members[2][c],
                    )
                    edges[at, 0], edges[at, 1], edges[at, 2] = e, f, first + via[c]
                    at += 1
        for i in range(first, last):
            via[ac[1][i]] = -1


@njit(cache=True)
def order_corners(corners: Int32s, pairs: Int64s) -> None:
    """Sort each triangle's corners in place, and its pairs from (ab, bc, ac) to (uv, uw, vw), u < v < w."""
    for i in range(len(corners)):
        # The pair opposite to each corner moves with it.
        a, b, c = corners[i]
        on_c, on_a, on_b = pairs[i]
        if a > b:
            a, b, on_a, on_b = b, a, on_b, on_a
        if b > c:
            b, c, on_b, on_c = c, b, on_c, on_b
        if a > b:
            a, b, on_a, on_b = b, a, on_b, on_a
        corners[i, 0], corners[i, 1], corners[i, 2] = a, b, c
        pairs[i, 0], pairs[i, 1], pairs[i, 2] = on_c, on_b, on_a


@njit(cache=True)
def count_complete_fours(
    ab: BlockArrays,
    ac: BlockArrays,
    ad: BlockArrays,
    bc: BlockArrays,
    bd: BlockArrays,
    cd: BlockArrays,
    via_c: Int32s,
    via_d: Int64s,
) -> int:
    """Sets of four entities that are all connected and whose corners, by rank, have the blocks' parts.

    Args:
        via_c, via_d: int32 [C], int64 [D] scratch, 0 everywhere; via_d is changed.
    """
    total = 0
    mark = 0
    for a in range(len(ab[0]) - 1):
        if ac[0][a] == ac[0][a + 1] or ad[0][a] == ad[0][a + 1]:
            continue
        for i in range(ac[0][a], ac[0][a + 1]):
            via_c[ac[1][i]] = 1
        # Marks only grow: one of at least `of_a` is a neighbour of a, and the latest one of b too.
        mark += 1
        of_a = mark
        for i in range(ad[0][a], ad[0][a + 1]):
            via_d[ad[1][i]] = mark
        for e in range(ab[0][a], ab[0][a + 1]):
            b = ab[1][e]
            mark += 1
            shared = 0
            for i in range(bd[0][b], bd[0][b + 1]):
                if via_d[bd[1][i]] >= of_a:
                    via_d[bd[1][i]] = mark
                    shared += 1
            if shared == 0:
                continue
            for f in range(bc[0][b], bc[0][b + 1]):
                c = bc[1][f]
                if via_c[c]:
                    for i in range(cd[0][c], cd[0][c + 1]):
                        total += via_d[cd[1][i]] == mark
        for i in range(ac[0][a], ac[0][a + 1]):
            via_c[ac[1][i]] = 0
    return total
