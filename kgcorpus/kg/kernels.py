"""Compiled loops that build the graph's arrays: pairs, adjacency, two-hop counts, blocks of edges.

The kernels take many positional arguments, for numba has no keyword-only ones.
"""

import numpy as np

from kgcorpus.contracts.arrays import Int32s, Int64s
from kgcorpus.kg.compiled import njit

BlockArrays = tuple[Int64s, Int32s, Int64s]


@njit(cache=True)
def sort_triples(h: Int32s, r: Int32s, t: Int32s, first: int, n: int) -> tuple[Int64s, Int64s, int]:
    """Group triples by their smaller entity u, and within it by (v, relation, direction).

    Args:
        first, n: u is one of the n entities from `first` on.

    Returns:
        [n + 1] where each u starts, [T] `v << 32 | relation << 1 | (h < t)` without self-loops and
        duplicates, and the number of self-loops.
    """
    offsets = np.zeros(n + 1, np.int64)
    for i in range(len(h)):
        if h[i] != t[i]:
            offsets[min(h[i], t[i]) - first + 1] += 1
    offsets = np.cumsum(offsets)
    keys = np.empty(offsets[n], np.int64)
    cursor = offsets[:-1].copy()
    for i in range(len(h)):
        if h[i] != t[i]:
            u, v = min(h[i], t[i]), max(h[i], t[i])
            keys[cursor[u - first]] = np.int64(v) << 32 | np.int64(r[i]) << 1 | np.int64(h[i] < t[i])
            cursor[u - first] += 1
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
def list_pairs(offsets: Int64s, keys: Int64s, first: int) -> tuple[Int32s, Int32s, Int64s]:
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
                pair_u[at], pair_v[at], starts[at] = first + u, keys[i] >> 32, i
                at += 1
    starts[size] = len(keys)
    return pair_u, pair_v, starts


@njit(cache=True)
def count_values(values: Int32s, counts: Int64s) -> None:
    """Add to `counts` how often each value occurs."""
    for i in range(len(values)):
        counts[values[i]] += 1


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
def place_in_parts(order: Int32s, part: Int32s, starts: Int64s) -> tuple[Int32s, Int32s]:
    """[N] the number within its part of the entity at each rank; [N] the entities, part after part."""
    number, members = np.empty(len(order), np.int32), np.empty(len(order), np.int32)
    cursor = starts[:-1].copy()
    for rank in range(len(order)):
        at = cursor[part[rank]]
        number[rank], members[at] = at - starts[part[rank]], order[rank]
        cursor[part[rank]] += 1
    return number, members


@njit(cache=True)
def gather_blocks(
    u: Int32s,
    v: Int32s,
    rank: Int32s,
    part: Int32s,
    number: Int32s,
    sizes: Int64s,
    source: int,
    keep_pairs: bool,
) -> list[BlockArrays]:
    """The edges from a part up to each of C, [C] blocks; parallel edges become one, the first.

    Args:
        rank: [N] of each entity.
        part, number: [N] of the entity at each rank.
        sizes: [C] entities of each part.
        source: the part of the lower ends.
        keep_pairs: else the blocks' pairs are left empty.
    """
    # With one part each entity's number is its rank, and its part need not be looked up.
    parts = len(sizes)
    several = parts > 1
    width = sizes[source] + 2
    offsets = np.zeros(parts * width, np.int64)
    for e in range(len(u)):
        low, high = _ordered_ranks(rank, u[e], v[e])
        if low == high or (several and part[low] != source):
            continue
        cell = np.uint64(low)
        if several:
            cell = np.uint64(part[high] * width + number[low])
        offsets[cell + np.uint64(2)] += 1
    firsts = np.zeros(parts + 1, np.int64)
    for block in range(parts):
        start, end = block * width, (block + 1) * width
        offsets[start:end] = np.cumsum(offsets[start:end])
        firsts[block + 1] = firsts[block] + offsets[end - 1]
    targets = np.empty(firsts[-1], np.int32)
    pairs = np.empty(firsts[-1] if keep_pairs else 0, np.int64)
    for e in range(len(u)):
        low, high = _ordered_ranks(rank, u[e], v[e])
        if low == high or (several and part[low] != source):
            continue
        cell, first, target = np.uint64(low), 0, np.int32(high)
        if several:
            block = part[high]
            cell, first, target = np.uint64(block * width + number[low]), firsts[block], number[high]
        at = np.uint64(first + offsets[cell + np.uint64(1)])
        targets[at] = target
        if keep_pairs:
            pairs[at] = e
        offsets[cell + np.uint64(1)] += 1
    blocks = []
    for block in range(parts):
        own = offsets[block * width : (block + 1) * width - 1]
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
