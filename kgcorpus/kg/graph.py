"""The knowledge graph in arrays: connected pairs with their triples, and an undirected adjacency."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.tally import Tally

if TYPE_CHECKING:
    from kgcorpus.kg.arrays import Group

_NUMBER = r"(?:0|[1-9][0-9]{0,17})"  # fits an int64, and one number has one spelling
_NUMBERED = 1 << 18  # ids at a time
_STRINGS = ("entity", "relation")


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """N entities, R relations, P connected pairs u < v and T triples, ordered by the ids.

    Attributes:
        entity_ids: [N] ids by Q number, then those of another form as strings; the place is the index.
        relation_ids: [R] relation ids, by P number likewise.
        pair_u, pair_v: int32 [P], the pair's entities, sorted by (u, v).
        pair_offsets: int64 [P + 1], a pair's triples.
        triple_relation: int32 [T], sorted within a pair.
        triple_forward: bool [T], the head is the pair's u.
    """

    entity_ids: pa.LargeStringArray
    relation_ids: pa.LargeStringArray
    pair_u: NDArray[np.int32]
    pair_v: NDArray[np.int32]
    pair_offsets: NDArray[np.int64]
    triple_relation: NDArray[np.int32]
    triple_forward: NDArray[np.bool_]

    @classmethod
    def from_arrow(cls, triples: pa.Table, *, tally: Tally) -> Self:
        """Take the string columns h, r, t; self-loops and exact duplicates are dropped and counted."""
        ends = pa.chunked_array([*triples["h"].chunks, *triples["t"].chunks], triples["h"].type)
        ids, relations = order_ids(pc.unique(ends), "Q"), order_ids(pc.unique(triples["r"]), "P")
        h, r, t = _index(triples["h"], ids), _index(triples["r"], relations), _index(triples["t"], ids)
        return cls.from_indices(h, r, t, ids, relations, tally=tally)

    @classmethod
    def from_indices(
        cls,
        h: NDArray[np.int32],
        r: NDArray[np.int32],
        t: NDArray[np.int32],
        entity_ids: pa.LargeStringArray,
        relation_ids: pa.LargeStringArray,
        *,
        tally: Tally,
    ) -> Self:
        """Take triples as places among ids that are in order; otherwise as `from_arrow`."""
        arrays, self_loops = sort_group(h, r, t, first=0, entities=len(entity_ids))
        tally.drop("self_loop", self_loops)
        tally.drop("duplicate_triple", len(h) - self_loops - len(arrays["triple_relation"]))
        return cls(entity_ids=entity_ids, relation_ids=relation_ids, **arrays)

    @classmethod
    def from_arrays(cls, group: "Group") -> Self:
        """The inverse of `to_arrays`; nothing is copied."""
        strings = {
            f"{name}_ids": pa.LargeStringArray.from_buffers(
                len(group[f"{name}_offsets"]) - 1,
                pa.py_buffer(group[f"{name}_offsets"]),
                pa.py_buffer(group[f"{name}_bytes"]),
            )
            for name in _STRINGS
        }
        arrays = {
            name: array for name, array in group.items() if not name.startswith(("entity_", "relation_"))
        }
        return cls(**strings, **arrays)

    def to_arrays(self) -> "Group":
        """The graph as arrays by name."""
        group = string_arrays(self.entity_ids, self.relation_ids)
        names = ("pair_u", "pair_v", "pair_offsets", "triple_relation", "triple_forward")
        return group | {name: getattr(self, name) for name in names}

    @cached_property
    def entities(self) -> list[str]:
        """[N] `entity_ids`."""
        return self.entity_ids.to_pylist()

    @cached_property
    def relations(self) -> list[str]:
        """[R] `relation_ids`."""
        return self.relation_ids.to_pylist()

    @cached_property
    def pair_starts(self) -> NDArray[np.int64]:
        """[N + 1] where the pairs start whose u is the entity."""
        return offsets_of(np.bincount(self.pair_u, minlength=len(self.entity_ids)))

    @cached_property
    def adjacency(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        """Offsets [N + 1], sorted neighbours [2P], and the pair that connects the two [2P]."""
        from kgcorpus.kg import kernels

        return kernels.adjacency(self.pair_u, self.pair_v, len(self.entity_ids))

    def pair_ranges(self, triples: int) -> Iterator[tuple[int, int]]:
        """Ranges of pairs with about so many triples each; one range at least."""
        inner = np.searchsorted(self.pair_offsets, np.arange(triples, self.pair_offsets[-1], triples))
        cuts = np.unique([0, *inner.tolist(), len(self.pair_u)]).tolist()
        yield from pairwise(cuts) if len(cuts) > 1 else [(0, 0)]

    def degrees(self) -> NDArray[np.int64]:
        """[N] distinct neighbours of each entity, in either direction."""
        n = len(self.entity_ids)
        return np.bincount(self.pair_u, minlength=n) + np.bincount(self.pair_v, minlength=n)

    def two_hop_counts(self) -> NDArray[np.int64]:
        """[N] distinct entities within two hops of each, itself left out: TRELM's knowledge connectivity.

        The time is the sum of the squared degrees.
        """
        from kgcorpus.kg import kernels

        offsets, neighbours, _ = self.adjacency
        return kernels.two_hop_counts(offsets, neighbours)

    def triple_ends(self, triples: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Heads and tails, as entity indices, of triples given by their index; shaped like the argument."""
        pair = np.searchsorted(self.pair_offsets, triples, side="right") - 1
        u, v, forward = self.pair_u[pair], self.pair_v[pair], self.triple_forward[triples]
        return np.where(forward, u, v), np.where(forward, v, u)


def sort_group(
    h: NDArray[np.int32], r: NDArray[np.int32], t: NDArray[np.int32], *, first: int, entities: int
) -> tuple["Group", int]:
    """Sort triples whose smaller entity is one of `entities` from `first` on.

    Returns:
        The arrays of `Graph` for these triples, without the ids, and the number of self-loops.
    """
    from kgcorpus.kg import kernels

    offsets, keys, self_loops = kernels.sort_triples(h, r, t, first, entities)
    pair_u, pair_v, starts = kernels.list_pairs(offsets, keys, first)
    group: Group = {
        "pair_u": pair_u,
        "pair_v": pair_v,
        "pair_offsets": starts,
        "triple_relation": ((keys & 0xFFFFFFFF) >> 1).astype(np.int32),
        "triple_forward": (keys & 1).astype(np.bool_),
    }
    return group, self_loops


def string_arrays(entity_ids: pa.LargeStringArray, relation_ids: pa.LargeStringArray) -> "Group":
    """The ids as arrays by name, as `Graph.from_arrays` takes them."""
    group: Group = {}
    for name, ids in zip(_STRINGS, (entity_ids, relation_ids), strict=True):
        _, offsets, data = ids.buffers()
        group[f"{name}_offsets"] = np.frombuffer(offsets, np.int64)[: len(ids) + 1]
        group[f"{name}_bytes"] = np.frombuffer(data or b"", np.uint8)
    return group


def offsets_of(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n + 1] where each of the n groups of these sizes starts, and where the last ends."""
    return np.append(0, np.cumsum(sizes)).astype(np.int64)


def id_hashes(ids: pa.LargeStringArray, letter: str) -> NDArray[np.uint64]:
    """Return stable 64-bit hashes [N]; ids that end in different numbers never collide."""
    numbers = numbers_of(ids, letter)
    hashes = mix64_array(numbers.fill_null(0).to_numpy().astype(np.uint64) ^ np.uint64(hash64("id", letter)))
    others = np.flatnonzero(pc.is_null(numbers).to_numpy(zero_copy_only=False))
    for place, ident in zip(others, ids.take(pa.array(others)).to_pylist(), strict=True):
        hashes[place] = hash64("id", ident)
    return hashes


def numbers_of(ids: pa.LargeStringArray, letter: str) -> pa.Int64Array:
    """[N] the number after the letter, or null; a slice at a time, for it takes several copies."""
    slices = [ids.slice(start, _NUMBERED) for start in range(0, len(ids), _NUMBERED)]
    return pa.chunked_array([_numbers_of_slice(ids, letter) for ids in slices], pa.int64()).combine_chunks()


def id_arrays(numbers: NDArray[np.int64], letter: str) -> list[pa.LargeStringArray]:
    """The ids with these numbers, in arrays of some."""
    prefix, nothing = pa.scalar(letter, pa.large_string()), pa.scalar("", pa.large_string())
    return [
        pc.binary_join_element_wise(
            prefix, pa.array(numbers[start : start + _NUMBERED]).cast(pa.large_string()), nothing
        )
        for start in range(0, len(numbers), _NUMBERED)
    ]


def _numbers_of_slice(ids: pa.LargeStringArray, letter: str) -> pa.Int64Array:
    numbered = pc.match_substring_regex(ids, f"^{letter}{_NUMBER}$")
    return pc.if_else(numbered, pc.utf8_slice_codeunits(ids, 1), None).cast(pa.int64())


def order_ids(distinct: pa.Array, letter: str) -> pa.LargeStringArray:
    """Ids by the number after their letter, then those of another form as strings."""
    ids = distinct.cast(pa.large_string())
    numbers = numbers_of(ids, letter)
    others = np.flatnonzero(pc.is_null(numbers).to_numpy(zero_copy_only=False))
    # Nulls go to the end, and the others there into their own order.
    order = np.argsort(numbers.fill_null(np.iinfo(np.int64).max).to_numpy(), kind="stable")
    del numbers
    places = pc.sort_indices(ids.take(pa.array(others))).to_numpy()
    order[len(order) - len(others) :] = others[places]
    return ids.take(pa.array(order))


def _index(values: pa.ChunkedArray, ids: pa.LargeStringArray) -> NDArray[np.int32]:
    return pc.index_in(values, value_set=ids.cast(values.type)).to_numpy()
