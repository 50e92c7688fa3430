"""Distinct triples, grouped by entity and by relation, for the measures of rules.

An atom, seen from one of its entities, is 2 * relation where that entity is the head and one more where it
is the tail.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int32s, Int64s
from kgcorpus.kg.compiled import njit

_LOW = np.int64(0xFFFFFFFF)


class Facts(NamedTuple):
    """Distinct triples of N entities and R relations, by entity and by atom.

    Attributes:
        offsets: int64 [N + 1] an entity's links, each triple one of its head and one of its tail.
        others, atoms: int32 [2T] a link's other entity and its atom, sorted by (entity, other, atom).
        atom_offsets: int64 [2R + 1] an atom's links.
        ends, far_ends: int32 [2T] the entities of an atom's links, sorted by (atom, end, far end).
        head_offsets: int64 [N + 1] the relations that an entity is the head of.
        head_relations: int32, ascending, each once.
        tail_offsets, tail_relations: likewise, those that it is the tail of.
        sizes: int64 [R] triples of a relation.
    """

    offsets: Int64s
    others: Int32s
    atoms: Int32s
    atom_offsets: Int64s
    ends: Int32s
    far_ends: Int32s
    head_offsets: Int64s
    head_relations: Int32s
    tail_offsets: Int64s
    tail_relations: Int32s
    sizes: Int64s

    def most_on_a_pair(self) -> int:
        """The largest number of triples that connect two entities, in both directions together."""
        return int(_longest_run(self.offsets, self.others))

    @classmethod
    def of(cls, h: Int32s, r: Int32s, t: Int32s, *, entities: int, relations: int) -> "Facts":
        """Take [T] triples as numbers; repeated ones count once."""
        starts, keys = _group(r, _pack(h, t), relations)
        h, t = _unpack(keys)
        r = np.repeat(np.arange(relations, dtype=np.int32), np.diff(starts))
        end, far = np.concatenate([h, t]), np.concatenate([t, h])
        atom = np.concatenate([2 * r, 2 * r + 1])
        offsets, by_entity = _group(end, _pack(far, atom), entities)
        others, atoms = _unpack(by_entity)
        del by_entity  # so that memory is given back
        atom_offsets, by_atom = _group(atom, _pack(end, far), 2 * relations)
        ends, far_ends = _unpack(by_atom)
        head_offsets, head_relations = _group(h, r.astype(np.int64), entities)
        tail_offsets, tail_relations = _group(t, r.astype(np.int64), entities)
        return cls(
            offsets=offsets,
            others=others,
            atoms=atoms,
            atom_offsets=atom_offsets,
            ends=ends,
            far_ends=far_ends,
            head_offsets=head_offsets,
            head_relations=head_relations.astype(np.int32),
            tail_offsets=tail_offsets,
            tail_relations=tail_relations.astype(np.int32),
            sizes=np.diff(starts),
        )

    def seen_from_tails(self) -> "Facts":
        """The same facts with the relations of tails in the place of those of heads."""
        return self._replace(head_offsets=self.tail_offsets, head_relations=self.tail_relations)

    def more_functional_in_tails(self) -> NDArray[np.bool_]:
        """[R] whether a relation's inverse functionality exceeds its functionality.

        Functionality is distinct heads / triples, inverse functionality distinct tails / triples (Galarraga
        et al. 2013, section 3).
        """
        heads, tails = (
            np.bincount(relations, minlength=len(self.sizes))
            for relations in (self.head_relations, self.tail_relations)
        )
        return tails > heads


def most_frequent_on_each_pair(
    h: Int32s, r: Int32s, t: Int32s, *, limit: int, relations: int
) -> NDArray[np.int64]:
    """Places of the triples to keep: of each pair of entities `limit`, those of the most frequent relations.

    Of equally frequent relations those of the smaller number are kept.
    """
    sizes = np.bincount(r, minlength=relations)
    low, high = np.minimum(h, t), np.maximum(h, t)
    order = np.lexsort((h > t, r, -sizes[r], high, low))
    new = np.diff(_pack(low, high)[order], prepend=-1) != 0
    places = np.arange(len(order))
    rank = places - np.maximum.accumulate(np.where(new, places, 0))
    return np.sort(order[rank < limit])


@njit(cache=True)
def _longest_run(offsets: Int64s, others: Int32s) -> int:
    longest = 0
    for u in range(len(offsets) - 1):
        run = 0
        for i in range(offsets[u], offsets[u + 1]):
            run = run + 1 if i > offsets[u] and others[i] == others[i - 1] else 1
            longest = max(longest, run)
    return longest


def _pack(high: Int32s, low: Int32s) -> Int64s:
    return high.astype(np.int64) << 32 | low


def _unpack(keys: Int64s) -> tuple[Int32s, Int32s]:
    return (keys >> 32).astype(np.int32), (keys & _LOW).astype(np.int32)


@njit(cache=True)
def _group(groups: Int32s, keys: Int64s, n: int) -> tuple[Int64s, Int64s]:
    """[n + 1] where each group starts, and the keys, in each group ascending and once."""
    offsets = np.zeros(n + 1, np.int64)
    for group in groups:
        offsets[group + 1] += 1
    offsets = np.cumsum(offsets)
    found = np.empty(len(keys), np.int64)
    cursor = offsets[:-1].copy()
    for i in range(len(keys)):
        found[cursor[groups[i]]] = keys[i]
        cursor[groups[i]] += 1
    kept = 0
    for group in range(n):
        start, end = offsets[group], offsets[group + 1]
        found[start:end].sort()
        offsets[group] = kept
        for i in range(start, end):
            if kept == offsets[group] or found[kept - 1] != found[i]:
                found[kept] = found[i]
                kept += 1
    offsets[n] = kept
    return offsets, found[:kept].copy()
