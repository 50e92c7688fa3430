"""Compiled counts for rule mining: the pairs that a rule body joins and its head relation holds for."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int32s, Int64s
from kgcorpus.kg.compiled import njit
from kgcorpus.kg.facts import Facts

_KEYS = 1 << 22  # closed pairs in memory at a time


def closed_pairs(facts: Facts) -> Iterator[NDArray[np.uint64]]:
    """Tell, for every pair (x, y) that a body joins and a head holds for, the key of that rule.

    Each connected pair is met once, from the entity with more links: the work is the sum over the pairs of
    the lesser number of links.

    Yields:
        Keys (first * 2R + second) * R + head, in no order, some millions at a time.
    """
    first_link = np.full(len(facts.offsets) - 1, -1, np.int64)
    keys = np.empty(_KEYS, np.int64)
    u, link = 0, 0
    while u < len(first_link):
        u, link, size, keys = _close(facts, first_link, u, link, keys)
        yield keys[:size].astype(np.uint64)


@njit(cache=True)
def _close(facts: Facts, first_link: Int64s, u: int, link: int, keys: Int64s) -> tuple[int, int, int, Int64s]:
    """Write the keys of the pairs of u from its link `link` on, then of those after u, while there is room.

    Args:
        first_link: [N] scratch, -1 everywhere.
        keys: room for them; one pair may need more, for which an array of that size is made.

    Returns:
        Where the next call continues, how many keys were written, and where.
    """
    offsets, others, atoms = facts.offsets, facts.others, facts.atoms
    size = 0
    while u < len(first_link):
        begin, end = offsets[u], offsets[u + 1]
        for i in range(end - 1, begin - 1, -1):
            first_link[others[i]] = i
        i = max(link, begin)
        while i < end:
            v, start = others[i], i
            while i < end and others[i] == v:
                i += 1
            if (offsets[v + 1] - offsets[v], v) > (end - begin, u):
                continue
            bodies = _bodies(facts, first_link, end, v)
            if size + len(bodies) * (i - start) > len(keys):
                if size:
                    first_link[others[begin:end]] = -1
                    return u, start, size, keys
                keys = np.empty(len(bodies) * (i - start), np.int64)
            size = _keys_of(facts, bodies, atoms[start:i], u == v, keys, size)
        first_link[others[begin:end]] = -1
        u += 1
        link = 0
    return u, 0, size, keys


@njit(cache=True)
def _bodies(facts: Facts, first_link: Int64s, end: int, v: int) -> Int64s:
    """Distinct bodies (atom of u * 2R + atom of v) that join u to v.

    Args:
        first_link: [N] the first link of u to each entity, or -1; u's links stop at `end`.
    """
    offsets, others, atoms = facts.offsets, facts.others, facts.atoms
    size, fill = 0, False
    bodies = np.empty(0, np.int64)
    while True:
        for j in range(offsets[v], offsets[v + 1]):
            z = others[j]
            i = first_link[z]
            while 0 <= i < end and others[i] == z:
                if fill:
                    bodies[size] = np.int64(atoms[i]) * 2 * len(facts.sizes) + atoms[j]
                size += 1
                i += 1
        if fill or size == 0:
            break
        bodies = np.empty(size, np.int64)
        size, fill = 0, True
    bodies.sort()
    kept = 0
    for b in range(size):
        if b == 0 or bodies[b] != bodies[b - 1]:
            bodies[kept] = bodies[b]
            kept += 1
    return bodies[:kept]


@njit(cache=True)
def _keys_of(facts: Facts, bodies: Int64s, heads: Int32s, loop: bool, keys: Int64s, size: int) -> int:
    """Append the rules' keys of every body and every head, one of u's atoms to v, and return the new size."""
    relations = len(facts.sizes)
    for body in bodies:
        of_u, of_v = divmod(body, 2 * relations)
        for atom in heads:
            relation, backward = atom >> 1, atom & 1
            if backward and loop:
                continue  # a loop is one fact, listed in both directions
            first, second = (of_v, of_u) if backward else (of_u, of_v)
            keys[size] = (first * 2 * relations + second) * relations + relation
            size += 1
    return size
