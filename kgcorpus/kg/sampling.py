"""Compiled selection of diamonds and of labelled versions, by the smallest hash of a key made of stable ids.

An edge's key, a wing's and a diamond's are mixed from the hashes of the entities' own ids, so that what is
kept depends on no order of rows, no numbering and no partitioning. The sample is not uniform: the cap on
wings acts an edge at a time. The kernels take many positional arguments, for numba has no keyword-only ones.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kgcorpus.kg.kernels import Int32s, Int64s

UInt64s = NDArray[np.uint64]

DIAMOND, CYCLE, SET = 0, 1, 2
WINGS_CAPPED, NOT_CANONICAL, PAIRS_CAPPED = 0, 1, 2

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


@njit(cache=True)
def mix(x: np.uint64) -> np.uint64:
    """`kgcorpus.contracts.draws.mix64`."""
    x = x + _GOLDEN
    x = (x ^ (x >> _S30)) * _FIRST
    x = (x ^ (x >> _S27)) * _SECOND
    return x ^ (x >> _S31)


@njit(cache=True)
def find_pair(offsets: Int64s, neighbours: Int32s, pairs: Int64s, a: int, b: int) -> int:
    """The index of the pair that connects a and b, or -1."""
    if offsets[a + 1] - offsets[a] > offsets[b + 1] - offsets[b]:
        a, b = b, a
    low, high = offsets[a], offsets[a + 1]
    at = low + np.searchsorted(neighbours[low:high], b)
    return pairs[at] if at < high and neighbours[at] == b else -1


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
        for wing in (x, y):
            if _edge_key(hashes, end, wing) < own:
                return False
    return True


@njit(cache=True)
def _kept_wings(hashes: UInt64s, edge: np.uint64, wings: Int32s, cap: int) -> Int32s:
    if len(wings) > cap:
        keys = np.empty(len(wings), np.uint64)
        for i in range(len(wings)):
            keys[i] = mix(edge ^ hashes[wings[i]])
        wings = wings[np.argsort(keys)[:cap]]
    return np.sort(wings)


@njit(cache=True)
def list_triangles(  # noqa: PLR0917
    edges: tuple[int, int],
    ends: tuple[Int32s, Int32s],
    wings: tuple[Int64s, Int32s],
    adjacency: tuple[Int64s, Int32s, Int64s],
    entities: Int32s,
    pairs: Int64s,
) -> int:
    """Write the triangles u < v < w of the pairs (u, v) in `edges` = [from, to); return how many there are.

    Args:
        ends, wings, adjacency: as in `sample_diamonds`.
        entities: out, [D, 3].
        pairs: out, [D, 3]: uv, uw, vw.
    """
    offsets, neighbours, neighbour_pairs = adjacency
    written = 0
    for e in range(edges[0], edges[1]):
        u, v = ends[0][e], ends[1][e]
        for i in range(wings[0][e], wings[0][e + 1]):
            w = wings[1][i]
            if w < v:
                continue
            entities[written, 0], entities[written, 1], entities[written, 2] = u, v, w
            pairs[written, 0] = e
            pairs[written, 1] = find_pair(offsets, neighbours, neighbour_pairs, u, w)
            pairs[written, 2] = find_pair(offsets, neighbours, neighbour_pairs, v, w)
            written += 1
    return written


@njit(cache=True)
def sample_diamonds(  # noqa: PLR0917
    edges: tuple[int, int],
    ends: tuple[Int32s, Int32s],
    wings: tuple[Int64s, Int32s],
    adjacency: tuple[Int64s, Int32s, Int64s],
    hashes: UInt64s,
    caps: tuple[int, int],
    dedup: int,
    entities: Int32s,
    pairs: Int64s,
    passed_over: Int64s,
) -> int:
    """Write the kept diamonds of the pairs `edges` = [from, to) and return how many there are.

    Args:
        ends: u and v of the pairs, [P] each.
        wings: offsets [P + 1] and the wings of each pair.
        adjacency: offsets [N + 1], neighbours [2P] and their pairs [2P].
        hashes: [N] hashes of the entities' ids.
        caps: wings kept an edge, then pairs of wings kept an edge.
        dedup: `DIAMOND`, `CYCLE` or `SET`.
        entities: out, [D, 4]: the edge's ends, then the two wings.
        pairs: out, [D, 5]: the edge, then each end with each wing.
        passed_over: in and out, [3] diamonds left out, by `WINGS_CAPPED`, `NOT_CANONICAL`, `PAIRS_CAPPED`.
    """
    offsets, neighbours, neighbour_pairs = adjacency
    written = 0
    for e in range(edges[0], edges[1]):
        count = wings[0][e + 1] - wings[0][e]
        if count < 2:
            continue
        a, b = ends[0][e], ends[1][e]
        edge = mix(_edge_key(hashes, a, b))
        kept = _kept_wings(hashes, edge, wings[1][wings[0][e] : wings[0][e + 1]], caps[0])
        possible = len(kept) * (len(kept) - 1) // 2
        passed_over[WINGS_CAPPED] += count * (count - 1) // 2 - possible
        keys = np.empty(possible, np.uint64)
        first, second = np.empty(possible, np.int32), np.empty(possible, np.int32)
        found = 0
        for i in range(len(kept)):
            for j in range(i + 1, len(kept)):
                x, y = kept[i], kept[j]
                if (
                    dedup != DIAMOND
                    and find_pair(offsets, neighbours, neighbour_pairs, x, y) >= 0
                    and not _is_canonical(hashes, dedup, (a, b, x, y))
                ):
                    passed_over[NOT_CANONICAL] += 1
                    continue
                keys[found] = mix(edge ^ _edge_key(hashes, x, y))
                first[found], second[found] = x, y
                found += 1
        chosen = np.arange(found)
        if found > caps[1]:
            chosen = np.sort(np.argsort(keys[:found])[: caps[1]])
            passed_over[PAIRS_CAPPED] += found - caps[1]
        for k in chosen:
            x, y = first[k], second[k]
            entities[written, 0], entities[written, 1] = a, b
            entities[written, 2], entities[written, 3] = x, y
            pairs[written, 0] = e
            pairs[written, 1] = find_pair(offsets, neighbours, neighbour_pairs, a, x)
            pairs[written, 2] = find_pair(offsets, neighbours, neighbour_pairs, a, y)
            pairs[written, 3] = find_pair(offsets, neighbours, neighbour_pairs, b, x)
            pairs[written, 4] = find_pair(offsets, neighbours, neighbour_pairs, b, y)
            written += 1
    return written


@njit(cache=True)
def label_cycles(  # noqa: PLR0917
    pairs: Int64s,
    starts: Int64s,
    sizes: Int64s,
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
        starts, sizes: [P] where a pair's candidates begin in `triples`, and how many there are.
        triples: [T] triple indices.
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
                if place[k] < sizes[pairs[row, k]]:
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
