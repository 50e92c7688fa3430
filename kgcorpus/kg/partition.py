"""Partition of the edges into blocks by the parts of their ends, so that a task needs three blocks only.

Suri and Vassilvitskii (2011), section 4, with ordered triples of parts: every edge points from the entity
of lower (degree, index) to the other, so a triangle has one order of its corners and is found by one task.
With one part there is one block, the whole graph, and one task.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import mix64_array
from kgcorpus.kg import kernels, triangles
from kgcorpus.kg.arrays import Group
from kgcorpus.kg.graph import offsets_of
from kgcorpus.kg.kernels import BlockArrays


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphPartition:
    """N entities, each in one of C parts.

    Attributes:
        rank: int32 [N], place by (degree, index); an edge points up.
        part: int32 [N], of the entity at each rank, by a hash of its index; it changes no result.
        number: int32 [N], the place within its part, by rank, of the entity at each rank.
        members: int32 [N], the entities of one part after another.
        starts: int64 [C + 1], where each part's members start.
    """

    rank: NDArray[np.int32]
    part: NDArray[np.int32]
    number: NDArray[np.int32]
    members: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, u: NDArray[np.int32], v: NDArray[np.int32], *, entities: int, parts: int) -> Self:
        """Divide the ends of the edges (u, v)."""
        order, rank = kernels.rank_by_degree(u, v, entities)
        mixed = mix64_array(order.astype(np.uint64))
        part = (mixed % np.uint64(parts)).astype(np.int32)
        starts = offsets_of(np.bincount(part, minlength=parts))
        number, members = kernels.place_in_parts(order, part, starts)
        return cls(rank=rank, part=part, number=number, members=members, starts=starts)

    def size(self, part: int) -> int:
        """Return the number of entities in the part."""
        return int(self.starts[part + 1] - self.starts[part])

    def blocks(
        self, u: NDArray[np.int32], v: NDArray[np.int32], *, pairs: bool = True
    ) -> "Iterator[tuple[tuple[int, int], Block]]":
        """Yield the edges that point from each part to each, by parts of lower ends.

        The edges are read once for each part, and those from one part are in memory at a time.

        Args:
            pairs: also return the edges' places.
        """
        sizes = np.diff(self.starts)
        for source in range(len(sizes)):
            blocks = kernels.gather_blocks(u, v, self.rank, self.part, self.number, sizes, source, pairs)
            for target, arrays in enumerate(blocks):
                yield (source, target), Block(*arrays)


@dataclass(frozen=True, eq=False)
class Block:
    """E edges between two parts of A and B entities, all numbered within their part.

    Attributes:
        offsets: int64 [A + 1], the edges of each source.
        targets: int32 [E].
        pairs: int64 [E], the edge's place among all edges; or empty if not requested.
    """

    offsets: NDArray[np.int64]
    targets: NDArray[np.int32]
    pairs: NDArray[np.int64]

    @cached_property
    def arrays(self) -> BlockArrays:
        """What the kernels take."""
        return self.offsets, self.targets, self.pairs

    def to_arrays(self) -> Group:
        """The block as arrays by name."""
        return {"offsets": self.offsets, "targets": self.targets, "pairs": self.pairs}


def count_triangles(u: NDArray[np.int32], v: NDArray[np.int32], *, entities: int, parts: int = 1) -> int:
    """Triangles of the simple graph of these edges, given as entity indices in any order and direction.

    Args:
        parts: cuts the work into parts ** 3 tasks, done here one after another.
    """
    partition = GraphPartition.of(u, v, entities=entities, parts=parts)
    numbers = range(parts)
    blocks = dict(partition.blocks(u, v, pairs=False))
    total = 0
    for i, j, k in product(numbers, repeat=3):
        marked = np.zeros(partition.size(k), np.bool_)
        ab, bc, ac = (blocks[wanted].arrays for wanted in ((i, j), (j, k), (i, k)))
        total += triangles.count_simple_triangles(ab, bc, ac, marked)
    return total
