"""Compiled counts for rule mining: the pairs (x, y) that the two atoms of a rule body join."""

from typing import NamedTuple

import numpy as np

from kgcorpus.contracts.arrays import Int32s, Int64s
from kgcorpus.kg.compiled import njit
from kgcorpus.kg.facts import Facts


class Scratch(NamedTuple):
    """What `body_sizes` writes down; one call leaves it ready for the next.

    Attributes:
        start: int64 [N], where an entity's links of the second atom start.
        links: int32 [N], how many it has; 0 everywhere.
        seen: int64 [N] when an entity was last met, by `clock`.
        clock: int64 [1].
        with_head: int64 [R], 0 everywhere.
    """

    start: Int64s
    links: Int32s
    seen: Int64s
    clock: Int64s
    with_head: Int64s

    @classmethod
    def of(cls, facts: Facts) -> "Scratch":
        """Room for these facts."""
        n = len(facts.offsets) - 1
        return cls(
            start=np.zeros(n, np.int64),
            links=np.zeros(n, np.int32),
            seen=np.zeros(n, np.int64),
            clock=np.zeros(1, np.int64),
            with_head=np.zeros(len(facts.sizes), np.int64),
        )


@njit(cache=True)
def body_sizes(
    facts: Facts, scratch: Scratch, second: int, firsts: Int64s, starts: Int64s, heads: Int64s
) -> tuple[Int64s, Int64s]:
    """Count the pairs (x, y) that bodies join: all, and for each head those whose x is its subject.

    Args:
        second: the second atom, of all the bodies: so its links are looked up once.
        firsts: [B] first atoms, each one's `heads` starting at `starts` [B + 1].

    Returns:
        [B] pairs, and those [len(heads)] with a head.
    """
    # The second atom from z's side: the same links, listed the other way.
    of_z = range(facts.atom_offsets[second ^ 1], facts.atom_offsets[(second ^ 1) + 1])
    for i in of_z:
        z = facts.ends[i]
        if scratch.links[z] == 0:
            scratch.start[z] = i
        scratch.links[z] += 1
    pairs, pairs_with_head = np.zeros(len(firsts), np.int64), np.zeros(len(heads), np.int64)
    for b in range(len(firsts)):
        pairs[b] = _count_pairs(facts, scratch, firsts[b])
        for k in range(starts[b], starts[b + 1]):
            pairs_with_head[k] = scratch.with_head[heads[k]]
        scratch.with_head[:] = 0
    for i in of_z:
        scratch.links[facts.ends[i]] = 0
    return pairs, pairs_with_head


@njit(cache=True)
def _count_pairs(facts: Facts, scratch: Scratch, first: int) -> int:
    """The pairs that a body joins; `scratch.with_head` receives them by the relations that x is a head of.

    If x has a single z, the pair count is deg(z); duplicates must be removed only if x has several z.
    """
    ends, far_ends = facts.ends, facts.far_ends
    links, with_head = scratch.links, scratch.with_head
    total = 0
    at, stop = facts.atom_offsets[first], facts.atom_offsets[first + 1]
    while at < stop:
        begin, x = at, ends[at]
        paths, most = 0, 0
        while at < stop and ends[at] == x:
            own = int(links[far_ends[at]])
            paths += own
            most = max(most, own)
            at += 1
        size = paths if paths == most else _union(facts, scratch, far_ends[begin:at])
        if size:
            total += size
            for i in range(facts.head_offsets[x], facts.head_offsets[x + 1]):
                with_head[facts.head_relations[i]] += size
    return total


@njit(cache=True)
def _union(facts: Facts, scratch: Scratch, joining: Int32s) -> int:
    """How many entities any of these is linked to by the second atom.

    Those of the one with the most links, often a hub, are not walked through: the others' are looked up.
    """
    start, links, seen, clock = scratch.start, scratch.links, scratch.seen, scratch.clock
    most = joining[0]
    for z in joining:
        if links[z] > links[most]:
            most = z
    of_most = facts.far_ends[start[most] : start[most] + links[most]]
    size = len(of_most)
    clock[0] += 1
    for z in joining:
        if z == most:
            continue
        for y in facts.far_ends[start[z] : start[z] + links[z]]:
            if seen[y] != clock[0]:
                seen[y] = clock[0]
                at = np.searchsorted(of_most, y)
                size += at == len(of_most) or of_most[at] != y
    return size
