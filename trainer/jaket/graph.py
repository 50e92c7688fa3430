"""The knowledge graph as compressed sparse rows, small enough to be shared as memory-mapped files."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.errors import InputError

Directions = Literal["both", "out"]
# Relation ids and those of their inverses share an int16.
_MOST_RELATIONS = 1 << 14


@dataclass(frozen=True)
class Graph:
    """Each node's edges side by side: those of node v are `offsets[v]` to `offsets[v + 1]`.

    A triple (h, r, t) is the edge (t, r) of h and, if edges are read both ways, the edge (h, r + R) of t,
    where R is the number of relations. An edge takes 6 bytes and a node 8.

    Attributes:
        offsets: int64 [nodes + 1].
        neighbours: int32 [edges], sorted within a node.
        relations: int16 [edges].
    """

    offsets: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    relations: NDArray[np.int16]

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.offsets) - 1

    def without_edges(self) -> "Graph":
        """The same nodes, each alone."""
        return Graph(np.zeros_like(self.offsets), self.neighbours[:0], self.relations[:0])


def group_edges(
    heads: NDArray[np.int32],
    relations: NDArray[np.int16],
    tails: NDArray[np.int32],
    *,
    nodes: int,
    relation_count: int,
    directions: Directions,
) -> Graph:
    """The rows of a list of triples, in any order; an entity's edge to itself is left out.

    Raises:
        InputError: more relations than the ids reach.
    """
    if relation_count > _MOST_RELATIONS:
        raise InputError(f"{relation_count} relations are more than {_MOST_RELATIONS}", where="jaket_edges")
    proper = heads != tails
    heads, relations, tails = heads[proper], relations[proper], tails[proper]
    if directions == "both":
        inverse = relations + np.int16(relation_count)
        heads, tails = np.concatenate([heads, tails]), np.concatenate([tails, heads])
        relations = np.concatenate([relations, inverse])
    order = np.lexsort((relations, heads.astype(np.int64) << 32 | tails))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(heads, minlength=nodes))]).astype(np.int64)
    return Graph(offsets, tails[order], relations[order])
