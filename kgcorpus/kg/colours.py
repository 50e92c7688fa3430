"""Partition of the edges into blocks by the colours of their ends, so that a task needs three blocks only.

Suri and Vassilvitskii (2011), section 4, with ordered triples of colours: every edge points from the entity
of lower (degree, index) to the other, so a triangle has one order of its corners and is found by one task.
With one colour there is one block, the whole graph, and one task.
"""

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
class Colouring:
    """N entities, each with a colour below C.

    Attributes:
        rank: int32 [N], place by (degree, index); an edge points up.
        colour: int32 [N], of the entity at each rank, from a hash of its index; it changes no result.
        number: int32 [N], the place within its colour, by rank, of the entity at each rank.
        members: int32 [N], the entities of one colour after another.
        starts: int64 [C + 1], where each colour's members start.
    """

    rank: NDArray[np.int32]
    colour: NDArray[np.int32]
    number: NDArray[np.int32]
    members: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, u: NDArray[np.int32], v: NDArray[np.int32], *, entities: int, colours: int) -> Self:
        """Colour the ends of the edges (u, v)."""
        order, rank = kernels.rank_by_degree(u, v, entities)
        mixed = mix64_array(order.astype(np.uint64))
        colour = (mixed % np.uint64(colours)).astype(np.int32)
        starts = offsets_of(np.bincount(colour, minlength=colours))
        number, members = kernels.place_in_colours(order, colour, starts)
        return cls(rank=rank, colour=colour, number=number, members=members, starts=starts)

    def size(self, colour: int) -> int:
        """How many entities bear the colour."""
        return int(self.starts[colour + 1] - self.starts[colour])

    def blocks(
        self, u: NDArray[np.int32], v: NDArray[np.int32], *, pairs: bool = True
    ) -> "dict[tuple[int, int], Block]":
        """The edges that point from each colour to each.

        Args:
            pairs: also tell the edges' places.
        """
        sizes = np.diff(self.starts)
        blocks = kernels.gather_blocks(u, v, self.rank, self.colour, self.number, sizes, pairs)
        wanted = product(range(len(sizes)), range(len(sizes)))
        return {ends: Block(*arrays) for ends, arrays in zip(wanted, blocks, strict=True)}


@dataclass(frozen=True, eq=False)
class Block:
    """E edges between two colours of A and B entities, all numbered within their colour.

    Attributes:
        offsets: int64 [A + 1], the edges of each source.
        targets: int32 [E].
        pairs: int64 [E], the edge's place among all edges; or empty, where that is not asked for.
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


def count_triangles(u: NDArray[np.int32], v: NDArray[np.int32], *, entities: int, colours: int = 1) -> int:
    """Triangles of the simple graph of these edges, given as entity indices in any order and direction.

    Args:
        colours: cuts the work into colours ** 3 tasks, done here one after another.
    """
    colouring = Colouring.of(u, v, entities=entities, colours=colours)
    palette = range(colours)
    blocks = colouring.blocks(u, v, pairs=False)
    total = 0
    for i, j, k in product(palette, repeat=3):
        marked = np.zeros(colouring.size(k), np.bool_)
        ab, bc, ac = (blocks[wanted].arrays for wanted in ((i, j), (j, k), (i, k)))
        total += triangles.count_simple_triangles(ab, bc, ac, marked)
    return total
