"""What the graph tells of its relations: which go together on a pair, and which have a like range."""

import numpy as np
from numpy.typing import NDArray

from kgcorpus.kg.graph import Graph

# Low, for a graph rarely states a fact in both of its forms: in one real graph "part of" and "has part" meet
# on 4 % of the pairs of the rarer one, "mother" and "child" on 7 %; and to avoid a wrong choice costs little.
_TOGETHER = 0.02
_LIKE = 10  # relations of like range, so that the draw among them leaves no habit to learn


class RelationFacts:
    """Look-ups of relations by pair, by entity and by relation; built in the time of sorting the triples."""

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
        together = _shared(pair_of_triple, relation, size)
        alone = np.diag(together)
        self._together = together / np.maximum(np.minimum(alone[:, None], alone), 1)
        shared_tails = _shared(tails, relation, size)
        alone = np.diag(shared_tails)
        self._like = shared_tails / np.maximum(alone[:, None] + alone - shared_tails, 1)

    def only_relation(self, a: str, b: str) -> str | None:
        """The relation of a connected pair, in either direction or both; None if it has several."""
        u, v = sorted((self._entity[a], self._entity[b]))
        at = np.searchsorted(self._pairs, u * len(self._entity) + v)
        return self.relations[self._first[at]] if self._first[at] == self._last[at] else None

    def of_entity(self, entity: str) -> list[str]:
        """The relations of an entity's triples, on either side."""
        start = self._entity[entity] * self._size
        low, high = np.searchsorted(self._incident, [start, start + self._size])
        return [self.relations[key - start] for key in self._incident[low:high]]

    def go_together(self, one: str, other: str) -> bool:
        """Is either likely true of a pair that has the other: its inverse, its superclass, its companion?

        Yes if both stand, in whichever direction, on 2 % of the pairs of the rarer one.
        """
        return bool(self._together[self._relation[one], self._relation[other]] >= _TOGETHER)

    def of_like_range(self, relation: str) -> list[str]:
        """The 10 relations that share most of their tails with this one (Jaccard), at least one tail."""
        shares = self._like[self._relation[relation]]
        nearest = np.lexsort((np.arange(self._size), -shares))[: _LIKE + 1]
        return [self.relations[i] for i in nearest if shares[i] and self.relations[i] != relation]


def _shared(groups: NDArray[np.integer], relations: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    """[R, R] how many groups hold both relations; on the diagonal, how many hold the one."""
    group, relation = np.divmod(np.unique(groups.astype(np.int64) * size + relations), max(size, 1))
    counts = np.diag(np.bincount(relation, minlength=size))
    at = np.arange(len(group))
    for step in range(1, size):
        at = at[: np.searchsorted(at, len(group) - step)]
        at = at[group[at] == group[at + step]]
        if not len(at):
            break
        met = np.bincount(relation[at] * size + relation[at + step], minlength=size * size)
        counts += met.reshape(size, size) + met.reshape(size, size).T
    return counts
