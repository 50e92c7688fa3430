"""Statistics of relations: which relations co-occur on pairs, and which have similar ranges."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from kgcorpus.kg.graph import Graph

# Low, because graphs rarely state both forms of a fact: in one real graph "part of" and "has part" co-occur
# on 4 % of the pairs of the rarer relation, "mother" and "child" on 7 %. Excluding too many costs little.
_TOGETHER = 0.02
_LIKE = 10  # relations of similar range; choosing among several keeps wrong choices unpredictable


class RelationFacts:
    """Indexes of relations by pair, by entity and by relation. Building them sorts the triples once."""

    def __init__(self, graph: Graph) -> None:
        self.relations = graph.relations
        self._size = size = len(graph.relations)
        self._entity = {ident: i for i, ident in enumerate(graph.entities)}
        self._relation = {ident: i for i, ident in enumerate(graph.relations)}
        self._pairs = graph.pair_u.astype(np.int64) * len(graph.entities) + graph.pair_v
        self._first = graph.triple_relation[graph.pair_offsets[:-1]]
        self._last = graph.triple_relation[graph.pair_offsets[1:] - 1]

        heads, tails = graph.triple_ends(np.arange(len(graph.triple_relation)))
        relation = graph.triple_relation
        ends, twice = np.concatenate([heads, tails]), np.concatenate([relation, relation])
        self._incident = np.unique(ends.astype(np.int64) * size + twice)
        pair_of_triple = np.repeat(np.arange(len(graph.pair_u)), np.diff(graph.pair_offsets))
        self._pairs_of = _Groups(relation, pair_of_triple, groups=size, values=len(graph.pair_u))
        self._tails_of = _Groups(relation, tails, groups=size, values=len(graph.entities))
        self._with_tail = _Groups(tails, relation, groups=len(graph.entities), values=size)
        self._together = cache(self._share_of_pairs)
        self._like = cache(self._nearest)

    def only_relation(self, a: str, b: str) -> str | None:
        """Return the only relation of a connected pair, in any direction; None if there are several."""
        u, v = sorted((self._entity[a], self._entity[b]))
        at = np.searchsorted(self._pairs, u * len(self._entity) + v)
        return self.relations[self._first[at]] if self._first[at] == self._last[at] else None

    def of_entity(self, entity: str) -> list[str]:
        """Return the relations of all triples with this entity as head or tail."""
        start = self._entity[entity] * self._size
        low, high = np.searchsorted(self._incident, [start, start + self._size])
        return [self.relations[key - start] for key in self._incident[low:high]]

    def go_together(self, one: str, other: str) -> bool:
        """Whether two relations co-occur: inverses, sub-relations or relations that imply each other.

        True if both connect, in any direction, at least 2 % of the pairs of the rarer relation.
        """
        return self._together(*sorted((self._relation[one], self._relation[other]))) >= _TOGETHER

    def of_like_range(self, relation: str) -> list[str]:
        """Return the 10 relations with the most similar set of tails (Jaccard), sharing at least one tail."""
        return self._like(self._relation[relation])

    def _share_of_pairs(self, one: int, other: int) -> float:
        """Number of pairs that both relations connect, divided by the pairs of the rarer relation."""
        few, many = sorted((self._pairs_of[one], self._pairs_of[other]), key=len)
        at = np.minimum(np.searchsorted(many, few), len(many) - 1)
        return int((many[at] == few).sum()) / max(len(few), 1)

    def _nearest(self, relation: int) -> list[str]:
        tails = self._tails_of[relation]
        shared = np.bincount(self._with_tail.gather(tails), minlength=self._size)
        sizes = self._tails_of.sizes
        shares = shared / np.maximum(len(tails) + sizes - shared, 1)
        nearest = np.lexsort((np.arange(self._size), -shares))[: _LIKE + 1]
        return [self.relations[i] for i in nearest if shares[i] and i != relation]


class _Groups:
    """Distinct values of each group, ascending (compressed sparse rows).

    Args:
        group, value: [rows] the group and the value of each row.
        groups, values: the number of groups, and an upper bound of the values.
    """

    def __init__(
        self, group: NDArray[np.integer], value: NDArray[np.integer], *, groups: int, values: int
    ) -> None:
        owners, self._values = np.divmod(np.unique(group.astype(np.int64) * values + value), max(values, 1))
        self._starts = np.searchsorted(owners, np.arange(groups + 1))
        self.sizes = np.diff(self._starts)

    def __getitem__(self, group: int) -> NDArray[np.int64]:
        return self._values[self._starts[group] : self._starts[group + 1]]

    def gather(self, groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """Concatenate the values of several groups."""
        sizes = self.sizes[groups]
        before = np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self._values[np.repeat(self._starts[groups], sizes) + np.arange(sizes.sum()) - before]
