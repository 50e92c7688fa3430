"""Cycles of length 3, and of length 4 with a diagonal: exact counts, and a capped sample with its triples.

KMLM, section 3.2: the search is undirected. A diamond is two triangles that share an edge; a complete graph
of four entities holds 6 diamonds, 3 chorded cycles and 1 set of entities.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg import kernels, sampling
from kgcorpus.kg.graph import Graph, offsets_of

Dedup = Literal["diamond", "cycle", "set"]
UInt64s = NDArray[np.uint64]
Int64s = NDArray[np.int64]

_DEDUP = {"diamond": sampling.DIAMOND, "cycle": sampling.CYCLE, "set": sampling.SET}
_PARALLEL = 8  # triples a pair may bring to a cycle's versions, so that their number stays below 8^5
_BLOCK = 1 << 18  # cycles in memory at a time
_BATCH = 10_000  # rows


@dataclass(frozen=True, kw_only=True)
class CycleCounts:
    """Cycles of the graph before any cap.

    Attributes:
        length3: triangles.
        length3_labelled: triangles with every choice of one triple a pair.
        length4_diamonds: two triangles that share an edge.
        length4_cycles: cycles of four with at least one diagonal.
        length4_sets: sets of four entities that hold a diamond.
    """

    length3: int
    length3_labelled: int
    length4_diamonds: int
    length4_cycles: int
    length4_sets: int


def count_cycles(graph: Graph) -> CycleCounts:
    """Count the cycles exhaustively."""
    return _Wings(graph).counts


def mine(
    graph: Graph,
    *,
    seed: int,
    dedup: Dedup,
    wings_per_edge: int,
    pairs_per_edge: int,
    per_pair: int,
    per_combination: int,
    tally: Tally,
) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of rows of the table `cycles`: a sample that depends on the graph and the seed alone.

    Every cap keeps what has the smallest hash. The order of the rows means nothing.

    Args:
        dedup: of four entities that are all connected, keep each diamond, one diamond for each chorded cycle,
            or one for the set; decided before `pairs_per_edge`.
        wings_per_edge: triangles on an edge that may form its diamonds.
        pairs_per_edge: diamonds kept on an edge.
        per_pair: versions kept of a cycle, a version being one triple for each of its pairs; of a pair with
            more than 8 triples 8 take part.
        per_combination: expected number of versions kept for one multiset of relations.
        tally: receives the counts of `CycleCounts`, `kept3` and `kept4`, `combinations` and the size of the
            `largest_combination` before its cap, and `relation.<id>`: kept cycles with that relation. Drops
            bear the argument's name: of diamonds for `wings_per_edge`, `dedup` and `pairs_per_edge`, of
            versions for `per_pair` and `per_combination`.
    """
    wings = _Wings(graph)
    for name, n in asdict(wings.counts).items():
        tally.count(name, n)
    sample = _Sample(
        graph, wings, seed=seed, dedup=dedup, caps=(wings_per_edge, pairs_per_edge), per_pair=per_pair
    )
    # Two passes: the share to keep of a combination needs its count, and all versions would fill the memory.
    found = [versions.combination for versions in sample.versions(tally)]
    combinations, sizes = np.unique(np.concatenate(found), return_counts=True)
    tally.count("combinations", len(combinations))
    tally.count("largest_combination", int(sizes.max(initial=0)))
    for versions in sample.versions(Tally()):
        share = per_combination / sizes[np.searchsorted(combinations, versions.combination)]
        # Mixed again: the key is small already where it had to win among a cycle's versions.
        kept = mix64_array(versions.keys) / 2.0**64 < share
        tally.drop("per_combination", len(kept) - int(kept.sum()))
        entities, triples = versions.entities[kept], versions.triples[kept]
        tally.count(f"kept{entities.shape[1]}", len(entities))
        _count_relations(graph, triples, tally)
        for start in range(0, len(entities), _BATCH):
            yield _rows(graph, entities[start : start + _BATCH], triples[start : start + _BATCH])


class _Wings:
    """The third entities of the triangles on each pair, and the counts that follow from them."""

    def __init__(self, graph: Graph) -> None:
        degrees = graph.degrees()
        rank = np.empty(len(degrees), np.int64)
        rank[np.lexsort((np.arange(len(degrees)), degrees))] = np.arange(len(degrees))
        source = np.repeat(np.arange(len(degrees)), degrees)
        upward = rank[graph.neighbours] > rank[source]
        offsets = offsets_of(np.bincount(source[upward], minlength=len(degrees)))
        targets, pairs = graph.neighbours[upward], graph.neighbour_pairs[upward]
        multiplicity = np.diff(graph.pair_offsets)

        triangles = np.zeros(len(multiplicity), np.int64)
        labelled = kernels.close_triangles(
            offsets, targets, pairs, multiplicity, triangles, np.empty(0, np.int32)
        )
        self.per_pair = triangles
        self.offsets = offsets_of(triangles)
        self.wings = np.empty(self.offsets[-1], np.int32)
        kernels.close_triangles(offsets, targets, pairs, multiplicity, self.offsets[:-1].copy(), self.wings)
        diamonds = int((triangles * (triangles - 1) // 2).sum())
        fours = kernels.count_complete_fours(offsets, targets)
        self.counts = CycleCounts(
            length3=len(self.wings) // 3,
            length3_labelled=int(labelled),
            length4_diamonds=diamonds,
            length4_cycles=diamonds - 3 * fours,
            length4_sets=diamonds - 5 * fours,
        )


@dataclass(frozen=True, kw_only=True)
class _Versions:
    """Cycles with one triple a pair: entities [V, 3 or 4], triples [V, 3 or 5], key and combination [V]."""

    entities: NDArray[np.int32]
    triples: Int64s
    keys: UInt64s
    combination: UInt64s


class _Sample:
    def __init__(
        self, graph: Graph, wings: _Wings, *, seed: int, dedup: Dedup, caps: tuple[int, int], per_pair: int
    ) -> None:
        self._graph, self._wings = graph, wings
        self._dedup, self._caps, self._per_pair = _DEDUP[dedup], caps, per_pair
        self._entity_hashes = _hashes(seed, "cycle-entity", graph.entities)
        self._relation_hashes = _hashes(seed, "cycle-relation", graph.relations)
        index = np.arange(len(graph.triple_relation))
        heads, tails = graph.triple_ends(index)
        # Mixed in turn, for a sum or xor of the three would not tell the directions apart.
        hashes = mix64_array(self._entity_hashes[tails])
        hashes = mix64_array(hashes ^ self._relation_hashes[graph.triple_relation])
        self._triple_hashes = mix64_array(hashes ^ self._entity_hashes[heads])
        sizes = np.diff(graph.pair_offsets)
        self._candidates = np.lexsort((self._triple_hashes, np.repeat(np.arange(len(sizes)), sizes)))
        self._candidate_counts = np.minimum(sizes, _PARALLEL)

    def versions(self, tally: Tally) -> Iterator[_Versions]:
        """Triangles, then diamonds, in blocks of about `_BLOCK` cycles."""
        graph, wings = self._graph, self._wings
        ends, inner = (graph.pair_u, graph.pair_v), (wings.offsets, wings.wings)
        adjacency = (graph.neighbour_offsets, graph.neighbours, graph.neighbour_pairs)
        for edges, bound in _blocks(wings.per_pair):
            entities, pairs = np.empty((bound, 3), np.int32), np.empty((bound, 3), np.int64)
            n = sampling.list_triangles(edges, ends, inner, adjacency, entities, pairs)
            yield self._label(entities[:n], pairs[:n], tally)
        kept = np.minimum(wings.per_pair, self._caps[0])
        passed_over = np.zeros(3, np.int64)
        for edges, bound in _blocks(np.minimum(kept * (kept - 1) // 2, self._caps[1])):
            entities, pairs = np.empty((bound, 4), np.int32), np.empty((bound, 5), np.int64)
            n = sampling.sample_diamonds(
                edges,
                ends,
                inner,
                adjacency,
                self._entity_hashes,
                self._caps,
                self._dedup,
                entities,
                pairs,
                passed_over,
            )
            yield self._label(entities[:n], pairs[:n], tally)
        tally.drop("wings_per_edge", int(passed_over[sampling.WINGS_CAPPED]))
        tally.drop("dedup", int(passed_over[sampling.NOT_CANONICAL]))
        tally.drop("pairs_per_edge", int(passed_over[sampling.PAIRS_CAPPED]))

    def _label(self, entities: NDArray[np.int32], pairs: Int64s, tally: Tally) -> _Versions:
        graph = self._graph
        possible = np.prod(self._candidate_counts[pairs], axis=1)
        cap = min(self._per_pair, int(possible.max(initial=1)))
        bound = int(np.minimum(possible, cap).sum())
        cycle, keys = np.empty(bound, np.int64), np.empty(bound, np.uint64)
        triples = np.empty((bound, pairs.shape[1]), np.int64)
        sampling.label_cycles(
            pairs,
            graph.pair_offsets,
            self._candidate_counts,
            self._candidates,
            self._triple_hashes,
            cap,
            cycle,
            triples,
            keys,
        )
        labelled = np.prod(np.diff(graph.pair_offsets)[pairs], axis=1).sum()
        tally.drop("per_pair", int(labelled) - bound)
        # A sum, so that a combination is a multiset; the number of triples tells the lengths apart.
        combination = mix64_array(
            self._relation_hashes[graph.triple_relation[triples]].sum(axis=1, dtype=np.uint64)
            + np.uint64(pairs.shape[1])
        )
        return _Versions(entities=entities[cycle], triples=triples, keys=keys, combination=combination)


def _blocks(bounds: Int64s) -> Iterator[tuple[tuple[int, int], int]]:
    """Ranges of pairs with about `_BLOCK` cycles, and the most that each can hold; one range at least."""
    ends = np.cumsum(bounds)
    total = int(ends[-1]) if len(ends) else 0
    marks = np.searchsorted(ends, np.arange(_BLOCK, total, _BLOCK), side="left") + 1
    cuts = np.unique(np.concatenate([[0], marks, [len(bounds)]]))
    for start, end in pairwise(cuts.tolist()) if len(cuts) > 1 else [(0, 0)]:
        yield (start, end), int(bounds[start:end].sum())


def _hashes(seed: int, kind: str, ids: list[str]) -> UInt64s:
    return np.fromiter((hash64(seed, kind, ident) for ident in ids), np.uint64, len(ids))


def _count_relations(graph: Graph, triples: Int64s, tally: Tally) -> None:
    relations = np.sort(graph.triple_relation[triples], axis=1)
    first = np.ones_like(relations, np.bool_)
    first[:, 1:] = relations[:, 1:] != relations[:, :-1]
    counts = np.bincount(relations[first], minlength=len(graph.relations))
    for relation in np.flatnonzero(counts):
        tally.count(f"relation.{graph.relations[relation]}", int(counts[relation]))


def _rows(graph: Graph, entities: NDArray[np.int32], triples: Int64s) -> list[dict[str, Any]]:
    used_entities, entity_at = np.unique(entities, return_inverse=True)
    used_triples, triple_at = np.unique(triples, return_inverse=True)
    ids = [graph.entities[i] for i in used_entities]
    heads, tails = graph.triple_ends(used_triples)
    ends = zip(heads, graph.triple_relation[used_triples], tails, strict=True)
    facts = [{"h": graph.entities[h], "r": graph.relations[r], "t": graph.entities[t]} for h, r, t in ends]
    keys = ["\t".join(fact.values()) for fact in facts]
    length = entities.shape[1]
    corners = cast("list[list[int]]", entity_at.reshape(entities.shape).tolist())
    sides = cast("list[list[int]]", triple_at.reshape(triples.shape).tolist())
    return [
        {
            "cycle_id": f"{hash64(length, *sorted(keys[i] for i in own_sides)):016x}",
            "length": length,
            "entities": [ids[i] for i in own_corners],
            "triples": [facts[i] for i in own_sides],
        }
        for own_corners, own_sides in zip(corners, sides, strict=True)
    ]
