"""The knowledge graph as compressed sparse rows, and seeded samples of it: neighbours, hops, walks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import below_array, hash64, mix64_array
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
        """The same nodes without their edges."""
        return Graph(np.zeros_like(self.offsets), self.neighbours[:0], self.relations[:0])

    def without_pairs(self, pairs: NDArray[np.int64]) -> "Graph":
        """The same nodes without the edges, in either direction, between the two of each pair [pairs, 2]."""
        heads = np.repeat(np.arange(self.nodes), np.diff(self.offsets))
        barred = _codes(self, *np.concatenate([pairs, pairs[:, ::-1]]).T)
        kept = ~np.isin(_codes(self, heads, self.neighbours.astype(np.int64)), barred)
        sizes = np.bincount(heads[kept], minlength=self.nodes)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return Graph(offsets, self.neighbours[kept], self.relations[kept])


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


@dataclass(frozen=True)
class Neighbours:
    """Sampled edges of n nodes, `count` columns; a node with fewer edges leaves columns empty.

    Attributes:
        nodes, relations: [n, count]; meaningless where nothing is present.
        present: [n, count].
    """

    nodes: NDArray[np.int64]
    relations: NDArray[np.int64]
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class Hop:
    """What one GAT layer reads to make n nodes of its output from m nodes of its input.

    Attributes:
        own: [n], each output node's row in the input.
        neighbours: [n, count], its neighbours' rows in the input.
        relations: [n, count], by which relation.
        present: [n, count], where there is a neighbour.
    """

    own: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    relations: NDArray[np.int64]
    present: NDArray[np.bool_]


def keys_of(nodes: NDArray[np.int64], *key: int | str) -> NDArray[np.uint64]:
    """A key of draws for each node, the same at any position in a batch."""
    return mix64_array(nodes.astype(np.uint64) ^ np.uint64(hash64(*key)))


def sample_neighbours(
    graph: Graph, nodes: NDArray[np.int64], keys: NDArray[np.uint64], *, count: int
) -> Neighbours:
    """Up to `count` edges of each node, without replacement, every set of them equally likely.

    Floyd's algorithm (Bentley and Floyd 1987) for all nodes at once: the cost does not grow with the degree.

    Args:
        nodes: [n].
        keys: [n], what each node's draws depend on.
    """
    first = graph.offsets[nodes]
    degree = graph.offsets[nodes + 1] - first
    chosen = np.tile(np.arange(count), (len(nodes), 1))
    present = chosen < degree[:, None]
    (many,) = np.nonzero(degree > count)
    picks = np.empty((len(many), count), np.int64)
    for i in range(count):
        last = degree[many] - count + i
        drawn = below_array(keys[many] + np.uint64(i), last + 1)
        taken = (picks[:, :i] == drawn[:, None]).any(axis=1)
        picks[:, i] = np.where(taken, last, drawn)
    chosen[many] = picks
    edges = np.where(present, first[:, None] + chosen, 0)
    if not len(graph.neighbours):
        return Neighbours(edges, edges, present)
    return Neighbours(
        graph.neighbours[edges].astype(np.int64), graph.relations[edges].astype(np.int64), present
    )


def sample_hops(
    graph: Graph,
    targets: NDArray[np.int64],
    *,
    layers: int,
    count: int,
    key: Sequence[int | str],
    hidden_pairs: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], list[Hop]]:
    """The sampled neighbourhoods from which `layers` GAT layers make the targets.

    Args:
        targets: [n], distinct and ascending.
        count: neighbours a node and layer.
        key: what the draws depend on, beside layer and node.
        hidden_pairs: [pairs, 2] whose edges, in either direction, no layer may read.

    Returns:
        The nodes that the first layer reads, ascending, and each layer's hop, the first one first.
    """
    hops = []
    nodes = targets
    barred = (
        None
        if hidden_pairs is None
        else _codes(graph, *np.concatenate([hidden_pairs, hidden_pairs[:, ::-1]]).T)
    )
    for layer in reversed(range(layers)):
        found = sample_neighbours(graph, nodes, keys_of(nodes, *key, layer), count=count)
        present = found.present
        if barred is not None:
            present = present & ~np.isin(_codes(graph, nodes[:, None], found.nodes), barred)
        read = np.unique(np.concatenate([nodes, found.nodes[present]]))
        # An empty column points at the node itself; its value is weighted with 0.
        filled = np.where(present, found.nodes, nodes[:, None])
        hops.append(
            Hop(
                np.searchsorted(read, nodes),
                np.searchsorted(read, filled),
                np.where(present, found.relations, 0),
                present,
            )
        )
        nodes = read
    return nodes, hops[::-1]


def walk(
    graph: Graph, roots: NDArray[np.int64], *, length: int, key: Sequence[int | str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Random walks of `length` steps, one from each root; a walk ends early at a node without edges.

    Returns:
        The consecutive nodes [steps, 2] of all walks, and the relation [steps] of each step.
    """
    pairs, relations = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
    start, here = roots, roots
    for step in range(length):
        found = sample_neighbours(graph, here, keys_of(start, *key, step), count=1)
        alive = found.present[:, 0]
        there = found.nodes[alive, 0]
        pairs.append(np.stack([here[alive], there], axis=1))
        relations.append(found.relations[alive, 0])
        start, here = start[alive], there
    return np.concatenate(pairs), np.concatenate(relations)


def _codes(graph: Graph, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each ordered pair of nodes."""
    return a * graph.nodes + b
