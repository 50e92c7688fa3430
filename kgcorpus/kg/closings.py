"""Compiled counts behind rules: pairs that a body of two atoms joins, and those that a third relation closes.

An atom, seen from one of its entities, is 2 * relation where that entity is the head and one more where it
is the tail.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.typed import Dict
from numpy.typing import NDArray

Int64s = NDArray[np.int64]


class Facts(NamedTuple):
    """Distinct triples of N entities and R relations, by entity and by atom.

    Attributes:
        offsets: [N + 1] an entity's links, each triple one of its head and one of its tail.
        others, atoms: [2T] a link's other entity and its atom, sorted by (entity, other, atom).
        atom_offsets: [2R + 1] an atom's links.
        ends, far_ends: [2T] the entities of an atom's links, sorted by (atom, end, far end).
        sizes: [R] triples of a relation.
    """

    offsets: Int64s
    others: Int64s
    atoms: Int64s
    atom_offsets: Int64s
    ends: Int64s
    far_ends: Int64s
    sizes: Int64s

    @classmethod
    def of(cls, h: Int64s, r: Int64s, t: Int64s, *, entities: int, relations: int) -> "Facts":
        """Take [T] triples as numbers; repeated ones count once."""
        order = np.lexsort((t, h, r))
        h, r, t = h[order], r[order], t[order]
        new = np.append(True, (np.diff(h) != 0) | (np.diff(r) != 0) | (np.diff(t) != 0))[: len(h)]
        h, r, t = h[new], r[new], t[new]
        end, far = np.concatenate([h, t]), np.concatenate([t, h])
        atom = np.concatenate([2 * r, 2 * r + 1])
        by_entity = np.lexsort((atom, far, end))
        by_atom = np.lexsort((far, end, atom))
        return cls(
            offsets=_offsets(end, entities),
            others=far[by_entity],
            atoms=atom[by_entity],
            atom_offsets=_offsets(atom, 2 * relations),
            ends=end[by_atom],
            far_ends=far[by_atom],
            sizes=np.bincount(r, minlength=relations),
        )


def _offsets(groups: Int64s, n: int) -> Int64s:
    return np.append(0, np.cumsum(np.bincount(groups, minlength=n))).astype(np.int64)


@njit(cache=True)
def _bodies(facts: Facts, first_link: Int64s, end: int, v: int) -> Int64s:
    """Bodies (atom of u * 2R + atom of v) that join u to v, each once for each z.

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
                    bodies[size] = atoms[i] * 2 * len(facts.sizes) + atoms[j]
                size += 1
                i += 1
        if fill or size == 0:
            return bodies
        bodies = np.empty(size, np.int64)
        size, fill = 0, True


@njit(cache=True)
def _close(facts: Facts, bodies: Int64s, links: range, loop: bool, counts: Dict) -> None:
    """Count the sorted bodies, each once, for every head among u's links to v."""
    relations = len(facts.sizes)
    for b in range(len(bodies)):
        if b and bodies[b] == bodies[b - 1]:
            continue
        of_u, of_v = divmod(bodies[b], 2 * relations)
        for i in links:
            relation, backward = divmod(facts.atoms[i], 2)
            if backward and loop:
                continue  # a loop is one fact, listed in both directions
            first, second = (of_v, of_u) if backward else (of_u, of_v)
            key = (first * 2 * relations + second) * relations + relation
            counts[key] = counts.get(key, 0) + 1


@njit(cache=True)
def closed_pairs(facts: Facts) -> tuple[Int64s, Int64s]:
    """Count, for every rule, the pairs (x, y) that its body joins and its head holds for.

    Each connected pair is met once, from the entity with more links: the work is the sum over the pairs of
    the lesser number of links.

    Returns:
        Keys ((first * 2R + second) * R + head) of the rules with any, in no order, and their counts.
    """
    offsets, others = facts.offsets, facts.others
    n = len(offsets) - 1
    degrees = np.diff(offsets)
    first_link = np.full(n, -1, np.int64)
    counts = Dict.empty(types.int64, types.int64)
    for u in range(n):
        end = offsets[u + 1]
        for i in range(end - 1, offsets[u] - 1, -1):
            first_link[others[i]] = i
        i = offsets[u]
        while i < end:
            v, start = others[i], i
            while i < end and others[i] == v:
                i += 1
            if (degrees[v], v) <= (degrees[u], u):
                bodies = _bodies(facts, first_link, end, v)
                bodies.sort()
                _close(facts, bodies, range(start, i), u == v, counts)
        first_link[others[offsets[u] : end]] = -1
    keys, sums = np.empty(len(counts), np.int64), np.empty(len(counts), np.int64)
    for at, (key, count) in enumerate(counts.items()):
        keys[at], sums[at] = key, count
    return keys, sums


class Scratch(NamedTuple):
    """What `body_sizes` writes down about each of N entities; one call leaves it ready for the next.

    Attributes:
        start, stop: int64 [N] an entity's links of the second atom; both 0 without one.
        joined: int64 [N] how many y an x is joined to.
        seen: int64 [N] when an entity was last met, by `clock`.
        clock: int64 [1].
    """

    start: Int64s
    stop: Int64s
    joined: Int64s
    seen: Int64s
    clock: Int64s

    @classmethod
    def of(cls, facts: Facts) -> "Scratch":
        """Room for these facts' entities."""
        n = len(facts.offsets) - 1
        return cls(*(np.zeros(size, np.int64) for size in (n, n, n, n, 1)))


@njit(cache=True)
def body_sizes(facts: Facts, scratch: Scratch, first: int, second: int, heads: Int64s) -> tuple[int, Int64s]:
    """Count the pairs (x, y) that a body joins: all, and for each head those whose x is its subject.

    An x with one z joins as many y as that z; only where it has several are the y told apart.
    """
    ends, far_ends, at = facts.ends, facts.far_ends, facts.atom_offsets
    start, stop, joined, seen, clock = scratch
    # The second atom from z's side: the same links, listed the other way.
    of_z = range(at[second ^ 1], at[(second ^ 1) + 1])
    for i in of_z:
        z = ends[i]
        if stop[z] == 0:
            start[z] = i
        stop[z] = i + 1
    total = 0
    last = at[first]
    while last < at[first + 1]:
        begin, x = last, ends[last]
        while last < at[first + 1] and ends[last] == x:
            last += 1
        if last == begin + 1:
            size = stop[far_ends[begin]] - start[far_ends[begin]]
        else:
            size = 0
            clock[0] += 1
            for z in far_ends[begin:last]:
                for y in far_ends[start[z] : stop[z]]:
                    size += seen[y] != clock[0]
                    seen[y] = clock[0]
        joined[x] = size
        total += size
    with_head = np.zeros(len(heads), np.int64)
    for k, head in enumerate(heads):
        for i in range(at[2 * head], at[2 * head + 1]):
            if i == at[2 * head] or ends[i] != ends[i - 1]:
                with_head[k] += joined[ends[i]]
    for i in of_z:
        start[ends[i]] = stop[ends[i]] = 0
    joined[ends[at[first] : at[first + 1]]] = 0
    return total, with_head
