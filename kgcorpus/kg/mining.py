"""The passes of cycle mining (count, sample, label), each in units of work on a few blocks of the graph.

One unit of `triangles` is an ordered triple of parts, of `diamonds` a block. A pass leaves in `Arrays` what
the next needs, so that in one process they follow each other in memory, and on a cluster they meet in files.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int64s, UInt64s
from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.tally import MOST, Tally
from kgcorpus.kg import sampling, triangles
from kgcorpus.kg.arrays import Arrays
from kgcorpus.kg.graph import Graph, id_hashes, offsets_of
from kgcorpus.kg.partition import Block, GraphPartition
from kgcorpus.kg.sums import Sizes, SmallestPerEdge

Dedup = Literal["diamond", "cycle", "set"]
Unit = tuple[int, ...]

_DEDUP = {"diamond": sampling.DIAMOND, "cycle": sampling.CYCLE, "set": sampling.SET}
_PARALLEL = 8  # triples a pair may bring to a cycle's versions, so that their number stays below 8^5
# Of a triangle's edges ab, bc, ac: the edge's ends, and the third corner.
_CORNERS = (
    ([0, 1], 2),
    ([1, 2], 0),
    ([0, 2], 1),
)
_BLOCK = 1 << 18  # cycles in memory at a time
_HASHED = 1 << 22  # triples hashed at a time
_MERGED = 1 << 22  # combinations merged at a time, before they are merged


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is mined, and how it is cut up.

    Attributes:
        dedup: of four entities that are all connected, keep each diamond, one diamond for each chorded cycle,
            or one for the set; decided before `pairs_per_edge`.
        wings_per_edge: triangles on an edge that may form its diamonds.
        pairs_per_edge: diamonds kept on an edge.
        per_pair: versions kept of a cycle, a version being one triple for each of its pairs; of a pair with
            more than 8 triples 8 take part.
        per_combination: expected number of versions kept for one multiset of relations.
        parts: number of parts that the entities are divided into; the work has parts ** 3 units. No result
            depends on it.
    """

    seed: int
    dedup: Dedup
    wings_per_edge: int
    pairs_per_edge: int
    per_pair: int
    per_combination: int
    parts: int = 1


@dataclass(frozen=True, kw_only=True)
class Versions:
    """Cycles with one triple a pair: entities [V, 3 or 4], pairs and triples [V, 3 or 5], the others [V]."""

    entities: NDArray[np.int32]
    pairs: Int64s
    triples: Int64s
    keys: UInt64s
    combination: UInt64s


def passes(parts: int) -> list[tuple[str, list[Unit]]]:
    """The passes after `prepare`, in order, with their units, which may run in any order and at once."""
    numbers = range(parts)
    pairs, triples = list(product(numbers, repeat=2)), list(product(numbers, repeat=3))
    return [("triangles", triples), ("diamonds", pairs), ("combinations", [()])]


def cycle_units(parts: int) -> list[Unit]:
    """The units whose `versions` are all the cycles that are kept before the cap on combinations."""
    numbers = range(parts)
    return [*product(numbers, repeat=3), *product(numbers, repeat=2)]


def prepare(arrays: Arrays, settings: Settings) -> None:
    """Cut the graph into blocks, hash entities, relations and triples; the pass before all others.

    Args:
        arrays: hold the graph as the group "graph", of `Graph.to_arrays` or `write_graph`.
        settings: of the mining.
    """
    graph = Graph.from_arrays(arrays.get("graph"))
    u, v, n = graph.pair_u, graph.pair_v, len(graph.entity_ids)
    partition = GraphPartition.of(u, v, entities=n, parts=settings.parts)
    arrays.put("partition", {"members": partition.members, "starts": partition.starts})
    for wanted, block in partition.blocks(u, v):
        arrays.put(_name("block", wanted), block.to_arrays())
    del partition
    salt = np.uint64(hash64(settings.seed, "cycle"))
    stable_entities, stable_relations = id_hashes(graph.entity_ids, "Q"), id_hashes(graph.relation_ids, "P")
    arrays.put("id-hashes", {"entities": stable_entities, "relations": stable_relations})
    entities, relations = mix64_array(stable_entities ^ salt), mix64_array(stable_relations ^ salt)
    with arrays.growing("hashes") as add:
        add({"entities": entities, "relations": relations})
        for first, end in graph.pair_ranges(_HASHED):
            start, stop = graph.pair_offsets[first], graph.pair_offsets[end]
            hashes, order = sampling.hash_triples(
                u[first:end],
                v[first:end],
                graph.pair_offsets[first : end + 1] - start,
                graph.triple_relation[start:stop],
                graph.triple_forward[start:stop],
                entities,
                relations,
            )
            add({"triples": hashes, "order": order + start})


class Miner:
    """One process's view of a prepared graph."""

    def __init__(self, arrays: Arrays, settings: Settings) -> None:
        self._arrays, self._settings = arrays, settings

    def run(self, name: str, unit: Unit) -> None:
        """One unit of a pass."""
        getattr(self, f"_{name}")(*unit)

    @cached_property
    def graph(self) -> Graph:
        """The graph that was prepared."""
        return Graph.from_arrays(self._arrays.get("graph"))

    def versions(self, unit: Unit, tally: Tally) -> Iterator[Versions]:
        """A unit's triangles (three parts) or kept diamonds (two), about `_BLOCK` at a time."""
        if len(unit) == 2:
            yield from self._diamond_versions(unit, tally)
            return
        from_source = self._arrays.get(_name("triangles", unit))["from_source"]
        for corners, pairs, _ in self._list_triangles(unit, from_source):
            triangles.order_corners(corners, pairs)
            yield self._label(corners, pairs, tally)

    def count(self, unit: Unit, tally: Tally) -> None:
        """What a unit found before any cap, under the names in `cycles.mine_batches`."""
        found = self._arrays.get(_name("triangles" if len(unit) == 3 else "diamonds", unit))
        for name in sorted(found):
            if found[name].ndim == 0:
                tally.count(name, int(found[name]))

    def combinations(self) -> tuple[UInt64s, Int64s]:
        """Hashes of the multisets of relations, ascending, and how many versions each one has."""
        found = self._arrays.get("combinations")
        return found["values"], found["sizes"]

    def id_hashes(self) -> tuple[UInt64s, UInt64s]:
        """[N] and [R] hashes of the entities' and relations' ids, without the seed."""
        found = self._arrays.get("id-hashes")
        return found["entities"], found["relations"]

    def _triangles(self, i: int, j: int, k: int) -> None:
        """Count, then keep the common neighbours of every edge of the three blocks."""
        unit = i, j, k
        sides = _sides(unit)
        blocks = {side: self._block(side) for side in sides}
        on_edge = {side: np.zeros(len(block.targets), np.int64) for side, block in blocks.items()}
        from_source = np.zeros(len(self._members[i]), np.int64)
        ab, bc, ac = sides
        wedges = triangles.count_triangles(
            blocks[ab].arrays,
            blocks[bc].arrays,
            blocks[ac].arrays,
            (on_edge[ab], on_edge[bc], on_edge[ac]),
            from_source,
            np.full(len(self._members[k]), -1, np.int32),
        )
        kept = {
            side: SmallestPerEdge(counts, self._settings.wings_per_edge) for side, counts in on_edge.items()
        }
        combinations, labelled = Sizes(), 0
        for corners, pairs, edges in self._list_triangles(unit, from_source):
            for at, side in enumerate(sides):
                ends, third = _CORNERS[at]
                kept[side].offer(edges[:, at], corners[:, ends], corners[:, third], self._entity_hashes)
            triangles.order_corners(corners, pairs)
            combinations.add(self._label(corners, pairs, Tally()).combination)
            labelled += self._count_versions(pairs)
        for side, smallest in kept.items():
            self._arrays.put(_name("common_neighbours", (*side, *unit)), smallest.to_arrays(on_edge[side]))
        self._arrays.put(_name("triangle-combinations", unit), combinations.to_arrays())
        fours = self._count_complete_fours(i, j, k)
        counts = {
            "length3": from_source.sum(),
            "length3_labelled": labelled,
            "wedges": wedges,
            # A complete graph of four holds 6 diamonds, but 3 chorded cycles and 1 set of entities.
            "length4_cycles": -3 * fours,
            "length4_sets": -5 * fours,
        }
        arrays = {name: np.array(min(n, MOST), np.int64) for name, n in counts.items()}
        self._arrays.put(_name("triangles", unit), arrays | {"from_source": from_source})

    def _diamonds(self, i: int, j: int) -> None:
        """Merge the common neighbours found on a block's edges, and count the diamonds' combinations."""
        names = [
            _name("common_neighbours", (i, j, *unit))
            for unit in product(range(self._settings.parts), repeat=3)
            if (i, j) in _sides(unit)
        ]
        pieces = [self._arrays.get(name) for name in names]
        graph, cap, block = self.graph, self._settings.wings_per_edge, self._block((i, j))
        counts = np.zeros(len(block.targets), np.int64)
        for piece in pieces:
            counts[piece["edges"]] += piece["counts"]
        smallest = SmallestPerEdge(counts, cap)
        for piece in pieces:
            edges = np.repeat(piece["edges"], np.minimum(piece["counts"], cap))
            pairs = block.pairs[edges]
            ends = np.stack([graph.pair_u[pairs], graph.pair_v[pairs]], axis=1)
            smallest.offer(edges, ends, piece["common_neighbours"], self._entity_hashes)
        del pieces, piece  # so that memory is given back
        for name in names:
            self._arrays.forget(name)
        diamonds = np.array((counts * (counts - 1) // 2).sum(), np.int64)
        totals = dict.fromkeys(("length4_diamonds", "length4_cycles", "length4_sets"), diamonds)
        self._arrays.put(_name("diamonds", (i, j)), smallest.to_arrays(counts) | totals)
        combinations = Sizes()
        for versions in self._diamond_versions((i, j), Tally()):
            combinations.add(versions.combination)
        self._arrays.put(_name("diamond-combinations", (i, j)), combinations.to_arrays())

    def _combinations(self) -> None:
        """Merge the units' combinations, a range of hashes at a time."""
        names = [
            _name("triangle-combinations" if len(unit) == 3 else "diamond-combinations", unit)
            for unit in cycle_units(self._settings.parts)
        ]
        total = sum(len(self._arrays.get(name)["values"]) for name in names)
        ranges = max(1, total // _MERGED)
        cuts = [number * 2**64 // ranges for number in range(1, ranges)]
        with self._arrays.growing("combinations") as add:
            for number in range(ranges):
                combinations = Sizes()
                for name in names:
                    found = self._arrays.get(name)
                    ends = np.searchsorted(found["values"], np.array(cuts, np.uint64))
                    first, end = [0, *ends.tolist(), len(found["values"])][number : number + 2]
                    combinations.add(found["values"][first:end], found["sizes"][first:end])
                add(combinations.to_arrays())
        for name in names:
            self._arrays.forget(name)

    @cached_property
    def _members(self) -> list[NDArray[np.int32]]:
        found = self._arrays.get("partition")
        return np.split(found["members"], found["starts"][1:-1])

    @cached_property
    def _hashes(self) -> dict[str, Any]:
        return self._arrays.get("hashes")

    @property
    def _entity_hashes(self) -> UInt64s:
        return self._hashes["entities"]

    def _block(self, wanted: tuple[int, int]) -> Block:
        return Block(**self._arrays.get(_name("block", wanted)))

    def _list_triangles(
        self, unit: tuple[int, ...], from_source: Int64s
    ) -> Iterator[tuple[NDArray[np.int32], Int64s, Int64s]]:
        """Corners, pairs and edges, [D, 3] each, by rank of the corners."""
        blocks = [self._block(side) for side in _sides(unit)]
        ab, bc, ac = (block.arrays for block in blocks)
        i, j, k = unit
        members = self._members[i], self._members[j], self._members[k]
        via = np.full(len(members[2]), -1, np.int32)
        for sources, size in _ranges(from_source):
            corners, edges = np.empty((size, 3), np.int32), np.empty((size, 3), np.int64)
            triangles.list_triangles(sources, ab, bc, ac, members, via, corners, edges)
            pairs = np.stack([block.pairs[edges[:, at]] for at, block in enumerate(blocks)], axis=1)
            yield corners, pairs, edges

    def _count_complete_fours(self, i: int, j: int, k: int) -> int:
        ab, ac, bc = (self._block(side).arrays for side in ((i, j), (i, k), (j, k)))
        via_c = np.zeros(len(self._members[k]), np.int32)
        total = 0
        for last in range(self._settings.parts):
            ad, bd, cd = (self._block((part, last)).arrays for part in (i, j, k))
            via_d = np.zeros(len(self._members[last]), np.int64)
            total += triangles.count_complete_fours(ab, ac, ad, bc, bd, cd, via_c, via_d)
        return total

    def _diamond_versions(self, wanted: tuple[int, ...], tally: Tally) -> Iterator[Versions]:
        graph, settings, block = self.graph, self._settings, self._block((wanted[0], wanted[1]))
        found = self._arrays.get(_name("diamonds", wanted))
        edge_pairs, kept = block.pairs[found["edges"]], np.minimum(found["counts"], settings.wings_per_edge)
        ends = graph.pair_u[edge_pairs], graph.pair_v[edge_pairs]
        common = found["counts"], offsets_of(kept), found["common_neighbours"]
        passed_over = np.zeros(3, np.int64)
        for edges, bound in _ranges(np.minimum(kept * (kept - 1) // 2, settings.pairs_per_edge)):
            entities, pairs = np.empty((bound, 4), np.int32), np.empty((bound, 5), np.int64)
            n = sampling.sample_diamonds(
                edges,
                ends,
                edge_pairs,
                common,
                (graph.pair_starts, graph.pair_v),
                self._entity_hashes,
                settings.pairs_per_edge,
                _DEDUP[settings.dedup],
                entities,
                pairs,
                passed_over,
            )
            yield self._label(entities[:n], pairs[:n], tally)
        tally.drop("wings_per_edge", int(passed_over[sampling.WINGS_CAPPED]))
        tally.drop("dedup", int(passed_over[sampling.NOT_CANONICAL]))
        tally.drop("pairs_per_edge", int(passed_over[sampling.PAIRS_CAPPED]))

    def _count_versions(self, pairs: Int64s) -> int:
        """Every choice of one triple for each pair of the cycles, exact above 64 bits too."""
        sizes = self.graph.pair_offsets[pairs + 1] - self.graph.pair_offsets[pairs]
        if np.prod(sizes, axis=1, dtype=np.float64).sum() < MOST / 2:
            return int(np.prod(sizes, axis=1).sum())
        return sum(map(math.prod, sizes.tolist()))

    def _label(self, entities: NDArray[np.int32], pairs: Int64s, tally: Tally) -> Versions:
        graph, hashes = self.graph, self._hashes
        sizes = graph.pair_offsets[pairs + 1] - graph.pair_offsets[pairs]
        possible = np.prod(np.minimum(sizes, _PARALLEL), axis=1)
        cap = min(self._settings.per_pair, int(possible.max(initial=1)))
        bound = int(np.minimum(possible, cap).sum())
        cycle, keys = np.empty(bound, np.int64), np.empty(bound, np.uint64)
        triples = np.empty((bound, pairs.shape[1]), np.int64)
        sampling.label_cycles(
            pairs,
            graph.pair_offsets,
            _PARALLEL,
            hashes["order"],
            hashes["triples"],
            cap,
            cycle,
            triples,
            keys,
        )
        tally.drop("per_pair", self._count_versions(pairs) - bound)
        # A sum, so that a combination is a multiset; the number of triples distinguishes the lengths.
        combination = mix64_array(
            hashes["relations"][graph.triple_relation[triples]].sum(axis=1, dtype=np.uint64)
            + np.uint64(pairs.shape[1])
        )
        return Versions(
            entities=entities[cycle], pairs=pairs[cycle], triples=triples, keys=keys, combination=combination
        )


def _name(kind: str, unit: Unit) -> str:
    return "-".join((kind, *map(str, unit)))


def _sides(unit: Unit) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """The blocks of a task: lowest to middle, middle to highest, lowest to highest corner."""
    return (unit[0], unit[1]), (unit[1], unit[2]), (unit[0], unit[2])


def _ranges(bounds: Int64s) -> Iterator[tuple[tuple[int, int], int]]:
    """Ranges of places with about `_BLOCK` cycles, and the most that each can hold; one range at least."""
    ends = np.cumsum(bounds)
    total = int(ends[-1]) if len(ends) else 0
    marks = np.searchsorted(ends, np.arange(_BLOCK, total, _BLOCK), side="left") + 1
    cuts = np.unique(np.concatenate([[0], marks, [len(bounds)]]))
    for start, end in pairwise(cuts.tolist()) if len(cuts) > 1 else [(0, 0)]:
        yield (start, end), int(bounds[start:end].sum())
