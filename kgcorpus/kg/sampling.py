"""Compiled sampling of diamonds and their labelled versions: those with the smallest hash of a stable key.

The keys of edges, common neighbours and diamonds are mixed from the hashes of the entities' ids. So the
sample does not depend on the order of rows, the numbering of entities or partitions. It is not uniform,
because the cap on common neighbours acts on each edge. The kernels take positional arguments, because numba
has no keyword-only ones.
"""

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int32s, Int64s, UInt64s
from kgcorpus.kg.compiled import njit

DIAMOND, CYCLE, SET = 0, 1, 2
WINGS_CAPPED, NOT_CANONICAL, PAIRS_CAPPED = 0, 1, 2

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_FEW = 16  # up to so many triples of a pair, inserting them one by one is quicker than a sort
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


@njit(cache=True)
def mix(x: np.uint64) -> np.uint64:
    """`kgcorpus.contracts.draws.mix64`."""
    x = x + _GOLDEN
    x = (x ^ (x >> _S30)) * _FIRST
    x = (x ^ (x >> _S27)) * _SECOND
    return x ^ (x >> _S31)


@njit(cache=True)
def find_pair(starts: Int64s, pair_v: Int32s, a: int, b: int) -> int:
    """The index of the pair that connects a and b, or -1; the arrays are `Graph`'s."""
    if a > b:
        a, b = b, a
    low, high = starts[a], starts[a + 1]
    at = low + np.searchsorted(pair_v[low:high], b)
    return at if at < high and pair_v[at] == b else -1


@njit(cache=True)
def _edge_key(hashes: UInt64s, a: int, b: int) -> np.uint64:
    return mix(hashes[a] + hashes[b])


@njit(cache=True)
def _is_canonical(hashes: UInt64s, dedup: int, corners: tuple[int, int, int, int]) -> bool:
    """Of the diamonds of four entities that are all connected, the one on the edge of the smallest key.

    `CYCLE` compares the two diamonds of one cycle, `SET` all six.
    """
    a, b, x, y = corners
    own = _edge_key(hashes, a, b)
    if _edge_key(hashes, x, y) < own:
        return False
    if dedup == CYCLE:
        return True
    for end in (a, b):
        for third in (x, y):
            if _edge_key(hashes, end, third) < own:
                return False
    return True


@njit(cache=True)
def offer_common_neighbours(
    edges: Int64s,
    ends: Int32s,
    common: Int32s,
    hashes: UInt64s,
    starts: Int64s,
    filled: Int32s,
    keys: UInt64s,
    kept: Int32s,
) -> None:
    """Let each edge keep its common neighbours of the smallest keys, as many as it has room for.

    Args:
        edges: [D] edges of a block.
        ends: [D, 2] entities of the edges.
        common: [D] third entities of triangles on them.
        hashes: [N] hashes of the entities' ids.
        starts: [E + 1] each edge's room in `keys` and `kept`, which hold a heap with the largest key first.
        filled: in and out, [E] common neighbours kept so far.
    """
    for i in range(len(edges)):
        e = edges[i]
        key = mix(mix(_edge_key(hashes, ends[i, 0], ends[i, 1])) ^ hashes[common[i]])
        start, room = starts[e], starts[e + 1] - starts[e]
        if filled[e] < room:
            at = np.int64(filled[e])
            filled[e] += 1
            while at > 0 and keys[start + (at - 1) // 2] < key:
                above = (at - 1) // 2
                keys[start + at], kept[start + at] = keys[start + above], kept[start + above]
                at = above
        elif key < keys[start]:
            at = np.int64(0)
            while 2 * at + 1 < room:
                below = 2 * at + 1
                if below + 1 < room and keys[start + below + 1] > keys[start + below]:
                    below += 1
                if keys[start + below] <= key:
                    break
                keys[start + at], kept[start + at] = keys[start + below], kept[start + below]
                at = below
        else:
            continue
        keys[start + at], kept[start + at] = key, common[i]


@njit(cache=True)
def sort_within(starts: Int64s, values: Int32s) -> None:
    """Sort each group of values in place."""
    for e in range(len(starts) - 1):
        values[starts[e] : starts[e + 1]].sort()


@njit(cache=True)
def merge_sizes(
    values: UInt64s, sizes: Int64s, others: UInt64s, other_sizes: Int64s
) -> tuple[UInt64s, Int64s]:
    """Merge two lists of ascending distinct values and add up the sizes of equal ones."""
    merged = np.empty(len(values) + len(others), np.uint64)
    summed = np.empty(len(merged), np.int64)
    i = j = at = 0
    while i < len(values) or j < len(others):
        from_first = j == len(others) or (i < len(values) and values[i] <= others[j])
        from_second = i == len(values) or (j < len(others) and others[j] <= values[i])
        summed[at] = 0
        if from_first:
            merged[at] = values[i]
            summed[at] += sizes[i]
            i += 1
        if from_second:
            merged[at] = others[j]
            summed[at] += other_sizes[j]
            j += 1
        at += 1
    return merged[:at].copy(), summed[:at].copy()


@njit(cache=True)
def sample_diamonds(
    edges: tuple[int, int],
    ends: tuple[Int32s, Int32s],
    edge_pairs: Int64s,
    common: tuple[Int64s, Int64s, Int32s],
    pair_table: tuple[Int64s, Int32s],
    hashes: UInt64s,
    cap: int,
    dedup: int,
    entities: Int32s,
    pairs: Int64s,
    passed_over: Int64s,
) -> int:
    """Write the kept diamonds of the edges [from, to) and return how many there are.

    Args:
        ends: [E] entities u < v of the edges that have triangles.
        edge_pairs: [E] the edges' pairs.
        common: [E] triangles on each edge; [E + 1] where each edge's kept common neighbours start; these.
        pair_table: `Graph`'s pair_starts and pair_v.
        hashes: [N] hashes of the entities' ids.
        cap: diamonds kept an edge.
        dedup: `DIAMOND`, `CYCLE` or `SET`.
        entities: out, [D, 4]: the edge's ends, then the two common neighbours.
        pairs: out, [D, 5]: the edge, then each end with each common neighbour.
        passed_over: in and out, [3] diamonds left out, by `WINGS_CAPPED`, `NOT_CANONICAL`, `PAIRS_CAPPED`.
    """
    starts_of_u, pair_v = pair_table
    counts, starts, values = common
    written = 0
    for e in range(edges[0], edges[1]):
        kept = values[starts[e] : starts[e + 1]]
        possible = len(kept) * (len(kept) - 1) // 2
        passed_over[WINGS_CAPPED] += counts[e] * (counts[e] - 1) // 2 - possible
        if possible == 0:
            continue
        a, b = ends[0][e], ends[1][e]
        edge = mix(_edge_key(hashes, a, b))
        keys = np.empty(possible, np.uint64)
        first, second = np.empty(possible, np.int32), np.empty(possible, np.int32)
        found = 0
        for i in range(len(kept)):
            for j in range(i + 1, len(kept)):
                x, y = kept[i], kept[j]
                if (
                    dedup != DIAMOND
                    and find_pair(starts_of_u, pair_v, x, y) >= 0
                    and not _is_canonical(hashes, dedup, (a, b, x, y))
                ):
                    passed_over[NOT_CANONICAL] += 1
                    continue
                keys[found] = mix(edge ^ _edge_key(hashes, x, y))
                first[found], second[found] = x, y
                found += 1
        chosen = np.arange(found)
        if found > cap:
            chosen = np.sort(np.argsort(keys[:found])[:cap])
            passed_over[PAIRS_CAPPED] += found - cap
        for k in chosen:
            x, y = first[k], second[k]
            entities[written, 0], entities[written, 1] = a, b
            entities[written, 2], entities[written, 3] = x, y
            pairs[written, 0] = edge_pairs[e]
            pairs[written, 1] = find_pair(starts_of_u, pair_v, a, x)
            pairs[written, 2] = find_pair(starts_of_u, pair_v, a, y)
            pairs[written, 3] = find_pair(starts_of_u, pair_v, b, x)
            pairs[written, 4] = find_pair(starts_of_u, pair_v, b, y)
            written += 1
    return written


@njit(cache=True)
def hash_triples(
    pair_u: Int32s,
    pair_v: Int32s,
    starts: Int64s,
    relation: Int32s,
    forward: NDArray[np.bool_],
    entity_hashes: UInt64s,
    relation_hashes: UInt64s,
) -> tuple[UInt64s, Int64s]:
    """[T] hashes of the triples, and [T] their indices, of each pair by hash."""
    hashes = np.empty(len(relation), np.uint64)
    order = np.empty(len(relation), np.int64)
    for p in range(len(pair_u)):
        for i in range(starts[p], starts[p + 1]):
            head, tail = (pair_u[p], pair_v[p]) if forward[i] else (pair_v[p], pair_u[p])
            # Mixed one after another: a sum or xor of the three would be equal for both directions.
            key = mix(mix(entity_hashes[tail]) ^ relation_hashes[relation[i]])
            hashes[i] = mix(key ^ entity_hashes[head])
            if starts[p + 1] - starts[p] <= _FEW:
                at = i
                while at > starts[p] and hashes[order[at - 1]] > hashes[i]:
                    order[at] = order[at - 1]
                    at -= 1
                order[at] = i
        if starts[p + 1] - starts[p] > _FEW:
            own = hashes[starts[p] : starts[p + 1]]
            order[starts[p] : starts[p + 1]] = starts[p] + np.argsort(own, kind="mergesort")
    return hashes, order


@njit(cache=True)
def label_cycles(
    pairs: Int64s,
    starts: Int64s,
    parallel: int,
    triples: Int64s,
    triple_hashes: UInt64s,
    cap: int,
    cycle: Int64s,
    chosen: Int64s,
    keys: UInt64s,
) -> int:
    """Write, for each cycle, the `cap` versions (one triple a pair) of the smallest key; return how many.

    Args:
        pairs: [C, m] the cycles' pairs.
        starts: [P + 1] a pair's triples.
        parallel: triples of a pair that take part.
        triples: [T] triple indices, of each pair by hash.
        triple_hashes: [T] by triple index.
        cycle: out, [V] row of `pairs`.
        chosen: out, [V, m] triple indices.
        keys: out, [V] the version's key.
    """
    written = 0
    m = pairs.shape[1]
    place = np.zeros(m, np.int64)
    best = np.empty((cap, m), np.int64)
    best_keys = np.empty(cap, np.uint64)
    for row in range(len(pairs)):
        place[:] = 0
        kept = 0
        while True:
            total = np.uint64(m)
            for k in range(m):
                total += triple_hashes[triples[starts[pairs[row, k]] + place[k]]]
            key = mix(total)
            if kept < cap or key < best_keys[kept - 1]:
                at = kept if kept < cap else cap - 1
                while at > 0 and best_keys[at - 1] > key:
                    best_keys[at] = best_keys[at - 1]
                    best[at] = best[at - 1]
                    at -= 1
                best_keys[at] = key
                best[at] = place
                kept = min(kept + 1, cap)
            # The next choice of one triple a pair, as an odometer counts.
            k = 0
            while k < m:
                place[k] += 1
                p = pairs[row, k]
                if place[k] < min(parallel, starts[p + 1] - starts[p]):
                    break
                place[k] = 0
                k += 1
            if k == m:
                break
        for i in range(kept):
            cycle[written] = row
            keys[written] = best_keys[i]
            for k in range(m):
                chosen[written, k] = triples[starts[pairs[row, k]] + best[i, k]]
            written += 1
    return written
