"""The graph in memory: a table of connected pairs with their triples, and a simple undirected adjacency."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.tally import Tally

_LONGEST_NUMBER = 18  # digits that fit an int64; a longer number is sorted as a string


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """N entities, R relations, P connected pairs u < v and T triples, ordered by the ids alone.

    Attributes:
        entities: [N] ids by Q number, then those of another form as strings; the place is the index.
        relations: [R] relation ids, by P number likewise.
        pair_u, pair_v: int32 [P], the pair's entities, sorted by (u, v).
        pair_offsets: int64 [P + 1], a pair's triples.
        triple_relation: int32 [T], sorted within a pair.
        triple_forward: bool [T], the head is the pair's u.
        neighbour_offsets: int64 [N + 1], an entity's neighbours.
        neighbours: int32 [2P], sorted within an entity.
        neighbour_pairs: int64 [2P], the pair that connects the two.
    """

    entities: list[str]
    relations: list[str]
    pair_u: NDArray[np.int32]
    pair_v: NDArray[np.int32]
    pair_offsets: NDArray[np.int64]
    triple_relation: NDArray[np.int32]
    triple_forward: NDArray[np.bool_]
    neighbour_offsets: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    neighbour_pairs: NDArray[np.int64]

    @classmethod
    def from_arrow(cls, triples: pa.Table, *, tally: Tally) -> Self:
        """Take the string columns h, r, t; self-loops and exact duplicates are dropped and counted."""
        h_ids, r_ids, t_ids = (
            triples[column].cast(pa.large_string()).combine_chunks() for column in ("h", "r", "t")
        )
        ids = _ordered(pa.concat_arrays([h_ids, t_ids]), "Q")
        relations = _ordered(r_ids, "P")
        h, t, r = _index(h_ids, ids), _index(t_ids, ids), _index(r_ids, relations)

        proper = h != t
        tally.drop("self_loop", len(h) - int(proper.sum()))
        h, r, t = h[proper], r[proper], t[proper]
        pair = np.minimum(h, t).astype(np.int64) * len(ids) + np.maximum(h, t)
        # The lower bit tells the two directions of one relation apart.
        link = r.astype(np.int64) * 2 + (h < t)
        order = np.lexsort((link, pair))
        pair, link = pair[order], link[order]
        distinct = _starts(pair) | _starts(link)
        tally.drop("duplicate_triple", len(pair) - int(distinct.sum()))
        pair, link = pair[distinct], link[distinct]

        first = np.flatnonzero(_starts(pair))
        u, v = np.divmod(pair[first], max(len(ids), 1))
        u, v = u.astype(np.int32), v.astype(np.int32)
        ends, others = np.concatenate([u, v]), np.concatenate([v, u])
        by_end = np.lexsort((others, ends))
        return cls(
            entities=ids.to_pylist(),
            relations=relations.to_pylist(),
            pair_u=u,
            pair_v=v,
            pair_offsets=np.append(first, len(pair)).astype(np.int64),
            triple_relation=(link >> 1).astype(np.int32),
            triple_forward=(link & 1).astype(np.bool_),
            neighbour_offsets=offsets_of(np.bincount(ends, minlength=len(ids))),
            neighbours=others[by_end],
            neighbour_pairs=by_end % max(len(first), 1),
        )

    def degrees(self) -> NDArray[np.int64]:
        """[N] distinct neighbours of each entity, in either direction."""
        return np.diff(self.neighbour_offsets)

    def two_hop_counts(self) -> NDArray[np.int64]:
        """[N] distinct entities within two hops of each, itself left out: TRELM's knowledge connectivity.

        The time is the sum of the squared degrees.
        """
        from kgcorpus.kg.kernels import two_hop_counts

        return two_hop_counts(self.neighbour_offsets, self.neighbours)

    def triple_ends(self, triples: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Heads and tails, as entity indices, of triples given by their index; shaped like the argument."""
        pair = np.searchsorted(self.pair_offsets, triples, side="right") - 1
        u, v, forward = self.pair_u[pair], self.pair_v[pair], self.triple_forward[triples]
        return np.where(forward, u, v), np.where(forward, v, u)


def offsets_of(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n + 1] where each of the n groups of these sizes starts, and where the last ends."""
    return np.append(0, np.cumsum(sizes)).astype(np.int64)


def _ordered(ids: pa.LargeStringArray, letter: str) -> pa.LargeStringArray:
    ids = pc.unique(ids)
    numbered = pc.match_substring_regex(ids, rf"^{letter}[0-9]{{1,{_LONGEST_NUMBER}}}$")
    digits = pc.if_else(numbered, pc.utf8_slice_codeunits(ids, 1), None)
    table = pa.table({"number": digits.cast(pa.int64()), "id": ids})
    order = pc.sort_indices(table, [("number", "ascending"), ("id", "ascending")])  # nulls come last
    return ids.take(order)


def _index(values: pa.LargeStringArray, ids: pa.LargeStringArray) -> NDArray[np.int32]:
    return pc.index_in(values, value_set=ids).to_numpy(zero_copy_only=False).astype(np.int32)


def _starts(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a run of equal values starts."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]
