"""A graph of triples that do not fit into memory: sorted in parts, its arrays written as they are made.

Memory holds the ids, a few numbers for each entity, and `MOST_TRIPLES` triples at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.arrays import Int32s, Int64s
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg import kernels
from kgcorpus.kg.arrays import Arrays, Folder, Group, Memory
from kgcorpus.kg.graph import id_arrays, numbers_of, sort_group, string_arrays
from kgcorpus.kg.strings import IdIndex

Triples = Callable[[], Iterator[pa.RecordBatch]]

# Triples that are sorted at a time, unless one entity has more.
MOST_TRIPLES = 1 << 22
# Distinct numbers of single batches that wait at least.
_WAITING = 1 << 20
# Ranges of entities; each has three open files while triples are distributed.
_MOST_RANGES = 128


def write_graph(
    read: Triples, arrays: Arrays, workspace: Memory | Folder, *, tally: Tally, most: int = MOST_TRIPLES
) -> None:
    """Leave the arrays of `Graph.from_arrow` in the group "graph".

    Args:
        read: yields the triples from the first on at each call: string columns h, r, t.
        arrays: where the graph goes.
        workspace: takes 24 bytes a triple while they are sorted.
        tally: counts self-loops and duplicates, which are dropped.
        most: triples sorted at a time.
    """
    entities, relations = _ids(read())
    first_of = _number_triples(read(), entities, relations, workspace)
    cuts = _cut(first_of, most)
    _distribute(cuts, workspace)
    total, loops, kept = int(first_of[-1]), 0, 0
    with arrays.growing("graph") as add:
        add(string_arrays(entities, relations))
        for number, (first, end) in enumerate(pairwise(cuts)):
            own = workspace.get(_range_name(number))
            group, self_loops = sort_group(own["h"], own["r"], own["t"], first=first, entities=end - first)
            # The end of a range is where the next one starts.
            starts = group["pair_offsets"][:-1] + kept
            kept, loops = kept + len(group["triple_relation"]), loops + self_loops
            add(group | {"pair_offsets": starts})
            workspace.delete(_range_name(number))
        add({"pair_offsets": np.array([kept])})
    tally.drop("self_loop", loops)
    tally.drop("duplicate_triple", total - loops - kept)


def _ids(batches: Iterator[pa.RecordBatch]) -> tuple[pa.LargeStringArray, pa.LargeStringArray]:
    entities, relations = _DistinctIds("Q"), _DistinctIds("P")
    for batch in batches:
        entities.add(batch["h"])
        entities.add(batch["t"])
        relations.add(batch["r"])
    return entities.ordered(), relations.ordered()


class _DistinctIds:
    """The distinct ids of many arrays; as numbers where they can be, for those take a fifth of the memory."""

    def __init__(self, letter: str) -> None:
        self._letter = letter
        self._numbers, self._waiting = np.empty(0, np.int64), [np.empty(0, np.int64)]
        self._others = pa.array([], pa.large_string())

    def add(self, ids: pa.Array) -> None:
        distinct = pc.unique(ids).cast(pa.large_string())
        numbers = numbers_of(distinct, self._letter)
        self._waiting.append(numbers.drop_null().to_numpy())
        if numbers.null_count:
            others = distinct.filter(pc.is_null(numbers))
            self._others = pc.unique(pa.chunked_array([self._others, others]))
        if sum(map(len, self._waiting)) > max(len(self._numbers), _WAITING):
            self._merge()

    def ordered(self) -> pa.LargeStringArray:
        """Ids by number, then those of another form as strings."""
        self._merge()
        return pa.concat_arrays(
            [*id_arrays(self._numbers, self._letter), self._others.take(pc.sort_indices(self._others))]
        )

    def _merge(self) -> None:
        self._numbers, self._waiting = np.unique(np.concatenate([self._numbers, *self._waiting])), []


def _number_triples(
    batches: Iterator[pa.RecordBatch],
    entities: pa.LargeStringArray,
    relations: pa.LargeStringArray,
    workspace: Memory | Folder,
) -> Int64s:
    """Write the triples as numbers; return [N + 1] where each entity's start, sorted by the smaller one."""
    of_entity, of_relation = IdIndex(entities), IdIndex(relations)
    sizes = np.zeros(len(entities), np.int64)
    with workspace.growing("numbered") as add:
        add(_no_triples())
        for batch in batches:
            h, t = (of_entity.find(batch[name]).astype(np.int32) for name in ("h", "t"))
            kernels.count_values(np.minimum(h, t), sizes)
            add({"h": h, "r": of_relation.find(batch["r"]).astype(np.int32), "t": t})
    return np.append(0, np.cumsum(sizes))


def _cut(first_of: Int64s, most: int) -> list[int]:
    """Ends of ranges of entities with about `most` triples each: 0, ..., N."""
    total = int(first_of[-1])
    wanted = np.arange(0, total, max(most, -(-total // _MOST_RANGES)))
    cuts = np.searchsorted(first_of, wanted, side="right") - 1
    return [0, *(sorted({*cuts.tolist(), len(first_of) - 1} - {0}) or [0])]


def _distribute(cuts: list[int], workspace: Memory | Folder) -> None:
    """Put each triple into the range of its smaller entity."""
    numbered = workspace.get("numbered")
    ranges = len(cuts) - 1
    with ExitStack() as stack:
        adds = [stack.enter_context(workspace.growing(_range_name(number))) for number in range(ranges)]
        for add in adds:
            add(_no_triples())
        for start in range(0, len(numbered["h"]), MOST_TRIPLES):
            group = {name: array[start : start + MOST_TRIPLES] for name, array in numbered.items()}
            place = np.searchsorted(cuts[1:], np.minimum(group["h"], group["t"]), side="right")
            order = np.argsort(place, kind="stable")
            ends = np.searchsorted(place[order], np.arange(ranges + 1))
            for add, (first, end) in zip(adds, pairwise(ends.tolist()), strict=True):
                if first < end:
                    add({name: array[order[first:end]] for name, array in group.items()})
    workspace.delete("numbered")


def _no_triples() -> Group:
    none: Int32s = np.empty(0, np.int32)
    return {"h": none, "r": none, "t": none}


def _range_name(number: int) -> str:
    return f"range-{number}"
