"""Compiled loops that build the graph's arrays: pairs, adjacency, two-hop counts, blocks of edges.

The kernels take many positional arguments, for numba has no keyword-only ones.
"""

import numpy as np

from kgcorpus.contracts.arrays import Int32s, Int64s
from kgcorpus.kg.compiled import njit

BlockArrays = tuple[Int64s, Int32s, Int64s]


@njit(cache=True)
def sort_triples(h: Int32s, r: Int32s, t: Int32s, n: int) -> tuple[Int64s, Int64s, int]:
    """Group triples by their smaller entity u, and within it by (v, relation, direction).

    Returns:
        [n + 1] where each u starts, [T] `v << 32 | relation << 1 | (h < t)` without self-loops and
        duplicates, and the number of self-loops.
    """
    offsets = np.zeros(n + 1, np.int64)
    for i in range(len(h)):
        if h[i] != t[i]:
            offsets[min(h[i], t[i]) + 1] += 1
    offsets = np.cumsum(offsets)
    keys = np.empty(offsets[n], np.int64)
    cursor = offsets[:-1].copy()
    for i in range(len(h)):
        if h[i] != t[i]:
            u, v = min(h[i], t[i]), max(h[i], t[i])
            keys[cursor[u]] = np.int64(v) << 32 | np.int64(r[i]) << 1 | np.int64(h[i] < t[i])
            cursor[u] += 1
    kept = 0
    for u in range(n):
        start, end = offsets[u], offsets[u + 1]
        keys[start:end].sort()
        offsets[u] = kept
        for i in range(start, end):
            if kept == offsets[u] or keys[kept - 1] != keys[i]:
                keys[kept] = keys[i]
                kept += 1
    offsets[n] = kept
    return offsets, keys[:kept], len(h) - len(keys)


@njit(cache=True)
def list_pairs(offsets: Int64s, keys: Int64s) -> tuple[Int32s, Int32s, Int64s]:
    """The distinct pairs of `sort_triples`: u, v, and where each one's triples start, with the end."""
    size = 0
    for u in range(len(offsets) - 1):
        for i in range(offsets[u], offsets[u + 1]):
            size += i == offsets[u] or keys[i] >> 32 != keys[i - 1] >> 32
    pair_u, pair_v = np.empty(size, np.int32), np.empty(size, np.int32)
    starts = np.empty(size + 1, np.int64)
    at = 0
    for u in range(len(offsets) - 1):
        for i in range(offsets[u], offsets[u + 1]):
            if i == offsets[u] or keys[i] >> 32 != keys[i - 1] >> 32:
                pair_u[at], pair_v[at], starts[at] = u, keys[i] >> 32, i
                at += 1
    starts[size] = len(keys)
    return pair_u, pair_v, starts


@njit(cache=True)
def adjacency(pair_u: Int32s, pair_v: Int32s, n: int) -> tuple[Int64s, Int32s, Int64s]:
    """Offsets [n + 1], neighbours [2P] and their pairs [2P] from pairs sorted by (u, v)."""
    offsets = np.zeros(n + 1, np.int64)
    for e in range(len(pair_u)):
        offsets[pair_u[e] + 1] += 1
        offsets[pair_v[e] + 1] += 1
    offsets = np.cumsum(offsets)
    cursor = offsets[:-1].copy()
    neighbours, pairs = np.empty(2 * len(pair_u), np.int32), np.empty(2 * len(pair_u), np.int64)
    # The smaller neighbours first: so each row comes out sorted.
    for ends, others in ((pair_v, pair_u), (pair_u, pair_v)):
        for e in range(len(ends)):
            at = cursor[ends[e]]
            neighbours[at], pairs[at] = others[e], e
            cursor[ends[e]] += 1
    return offsets, neighbours, pairs


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
def rank_by_degree(u: Int32s, v: Int32s, n: int) -> tuple[Int32s, Int32s]:
    """[n] entities by (number of edges, index), and [n] each one's place in that order."""
    degrees = np.zeros(n, np.int64)
    for e in range(len(u)):
        degrees[u[e]] += 1
        degrees[v[e]] += 1
    starts = np.zeros(degrees.max() + 2 if n else 1, np.int64)
    for x in range(n):
        starts[degrees[x] + 1] += 1
    starts = np.cumsum(starts)
    order, rank = np.empty(n, np.int32), np.empty(n, np.int32)
    for x in range(n):
        at = starts[degrees[x]]
        order[at], rank[x] = x, at
        starts[degrees[x]] += 1
    return order, rank


@njit(cache=True)
def place_in_colours(order: Int32s, colour: Int32s, starts: Int64s) -> tuple[Int32s, Int32s]:
    """[N] the number within its colour of the entity at each rank; [N] the entities, colour after colour."""
    number, members = np.empty(len(order), np.int32), np.empty(len(order), np.int32)
    cursor = starts[:-1].copy()
    for rank in range(len(order)):
        at = cursor[colour[rank]]
        number[rank], members[at] = at - starts[colour[rank]], order[rank]
        cursor[colour[rank]] += 1
    return number, members


@njit(cache=True)
def gather_blocks(
    u: Int32s,
    v: Int32s,
    rank: Int32s,
    colour: Int32s,
    number: Int32s,
    sizes: Int64s,
    keep_pairs: bool,
) -> list[BlockArrays]:
    """The edges from each of C colours up to each, [C * C] blocks; parallel edges become one, the first.

    Args:
        rank: [N] of each entity.
        colour, number: [N] of the entity at each rank.
        sizes: [C] entities of each colour.
        keep_pairs: else the blocks' pairs are left empty.
    """
    # With one colour each entity's number is its rank, and its colour need not be looked up.
    colours = len(sizes)
    several = colours > 1
    places = np.zeros(colours * colours + 1, np.int64)
    for block in range(colours * colours):
        places[block + 1] = places[block] + sizes[block // colours] + 2
    offsets = np.zeros(places[-1], np.int64)
    for e in range(len(u)):
        low, high = _ordered_ranks(rank, u[e], v[e])
        if low == high:
            continue
        cell = np.uint64(low)
        if several:
            cell = np.uint64(places[colour[low] * colours + colour[high]] + number[low])
        offsets[cell + np.uint64(2)] += 1
    firsts = np.zeros(colours * colours + 1, np.int64)
    for block in range(colours * colours):
        start, end = places[block], places[block + 1]
        offsets[start:end] = np.cumsum(offsets[start:end])
        firsts[block + 1] = firsts[block] + offsets[end - 1]
    targets = np.empty(firsts[-1], np.int32)
    pairs = np.empty(firsts[-1] if keep_pairs else 0, np.int64)
    for e in range(len(u)):
        low, high = _ordered_ranks(rank, u[e], v[e])
        if low == high:
            continue
        cell, first, target = np.uint64(low), 0, np.int32(high)
        if several:
            block = colour[low] * colours + colour[high]
            cell, first, target = np.uint64(places[block] + number[low]), firsts[block], number[high]
        at = np.uint64(first + offsets[cell + np.uint64(1)])
        targets[at] = target
        if keep_pairs:
            pairs[at] = e
        offsets[cell + np.uint64(1)] += 1
    blocks = []
    for block in range(colours * colours):
        own = offsets[places[block] : places[block + 1] - 1]
        start, end = firsts[block], firsts[block + 1]
        some_pairs = pairs[start:end] if keep_pairs else pairs
        kept = _drop_parallel(own, targets[start:end], some_pairs)
        blocks.append((own, targets[start : start + kept], some_pairs[:kept]))
    return blocks


@njit(cache=True, inline="always")
def _ordered_ranks(rank: Int32s, u: int, v: int) -> tuple[np.uint32, np.uint32]:
    """Without a branch, for no processor foresees which end is the higher; unsigned, to index with."""
    of_u, of_v = rank[np.uint32(u)], rank[np.uint32(v)]
    return np.uint32(min(of_u, of_v)), np.uint32(max(of_u, of_v))


@njit(cache=True)
def _drop_parallel(offsets: Int64s, targets: Int32s, pairs: Int64s) -> int:
    seen = np.full(targets.max() + 1 if len(targets) else 0, -1, np.int32)
    kept = np.uint64(0)
    for a in range(len(offsets) - 1):
        start, end = np.uint64(offsets[a]), np.uint64(offsets[a + 1])
        offsets[a] = kept
        for e in range(start, end):
            target = np.uint32(targets[e])
            if seen[target] != a:
                seen[target] = a
                targets[kept] = target
                if len(pairs):
                    pairs[kept] = pairs[e]
                kept += np.uint64(1)
    offsets[len(offsets) - 1] = kept
    return int(kept)
