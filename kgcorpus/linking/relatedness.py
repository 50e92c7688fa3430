"""Relatedness of two entities: common in-links (Milne and Witten, 2008) and common graph neighbours."""

from typing import NamedTuple

import numpy as np

from kgcorpus.contracts.arrays import Float32s, Int32s, Int64s, UInt64s
from kgcorpus.kg.compiled import njit

_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)


class Sets(NamedTuple):
    """[N] sorted sets of numbers below `universe`; the e-th is `items[offsets[e]:offsets[e + 1]]`."""

    offsets: Int64s
    items: Int32s
    universe: int


class Memo(NamedTuple):
    """Values by pair of entities; a later pair takes the place of an earlier one."""

    pairs: UInt64s
    values: Float32s


def sets_of(owners: Int64s, items: Int64s, *, n: int, universe: int) -> Sets:
    """The distinct items of each of n owners; those of owner -1 are left out.

    Args:
        owners, items: [k] pairs in any order.
        universe: above all items.
    """
    keys = np.unique(owners[owners >= 0].astype(np.int64) << 32 | items[owners >= 0])
    return Sets(offsets_of(keys >> 32, n), (keys & 0xFFFFFFFF).astype(np.int32), universe)


def offsets_of(groups: Int64s, n: int) -> Int64s:
    """[n + 1] where each of n groups begins among its members, which are in order."""
    return np.append(0, np.cumsum(np.bincount(groups, minlength=n))).astype(np.int64)


def milne_witten(a: int, b: int, sets: Sets) -> float:
    """1 - (log max(|A|, |B|) - log |A n B|) / (log W - log min(|A|, |B|)), at least 0.

    0 where no element is in both; W is the universe's size (Milne and Witten, 2008).
    """
    return float(_milne_witten(a, b, sets))


@njit(cache=True)
def empty_memo(size: int) -> Memo:
    """A memo of at least `size` places."""
    places = 256
    while places < size:
        places *= 2
    return Memo(np.full(places, _NONE, np.uint64), np.empty(places, np.float32))


@njit(cache=True)
def _milne_witten(a: int, b: int, sets: Sets) -> float:
    offsets, items, universe = sets
    start, end = offsets[a], offsets[a + 1]
    other, other_end = offsets[b], offsets[b + 1]
    if end - start > other_end - other:
        start, end, other, other_end = other, other_end, start, end
    small, large = end - start, other_end - other
    common = 0
    if small * 32 < large:
        for i in range(start, end):
            other += np.searchsorted(items[other:other_end], items[i])
            if other < other_end and items[other] == items[i]:
                common += 1
    else:
        while start < end and other < other_end:
            x, y = items[start], items[other]
            common += x == y
            start += x <= y
            other += y <= x
    if common == 0:
        return 0.0
    if small == universe:
        return 1.0
    value = 1 - (np.log(large) - np.log(common)) / (np.log(universe) - np.log(small))
    return max(0.0, value)


@njit(cache=True)
def relatedness(a: int, b: int, links: Sets, graph: Sets, graph_weight: float, memo: Memo) -> float:
    """The larger of Milne-Witten over in-links and, times `graph_weight`, over the graph's neighbours."""
    low, high = min(a, b), max(a, b)
    if low == high:
        return 1.0
    pair = np.uint64(low) << np.uint64(32) | np.uint64(high)
    hashed = pair * np.uint64(0x9E3779B97F4A7C15)
    place = np.int64((hashed >> np.uint64(32)) & np.uint64(len(memo.pairs) - 1))
    if memo.pairs[place] != pair:
        value = _milne_witten(low, high, links)
        if graph_weight > 0:
            value = max(value, graph_weight * _milne_witten(low, high, graph))
        memo.pairs[place], memo.values[place] = pair, value
    return memo.values[place]
