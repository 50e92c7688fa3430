"""The corpus's graph as sorted arrays: a fact's true ends, and the entities that a relation leads to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.languages import base_language_of
from kgcorpus.contracts.manifest import Manifest, load_manifest
from kgcorpus.contracts.shards import read_shard
from kgcorpus.kg.names import Names


class Facts:
    """Facts by number, sorted once by each of the keys that are asked for.

    Memory: 40 bytes a fact, and the ids.

    Args:
        triples: columns h, r, t.
    """

    def __init__(self, triples: pa.Table) -> None:
        ends = pa.chunked_array([*triples["h"].chunks, *triples["t"].chunks], pa.string())
        coded = pc.dictionary_encode(ends).combine_chunks()
        relations = pc.dictionary_encode(triples["r"].cast(pa.string())).combine_chunks()
        self._entities = np.array(coded.dictionary.to_pylist(), object)
        self._relation_row = {r: i for i, r in enumerate(relations.dictionary.to_pylist())}
        h, t = np.split(coded.indices.to_numpy().astype(np.int64), 2)
        r = relations.indices.to_numpy().astype(np.int64)
        # By the direction in which the other end is asked for.
        self._by_direction = {"tail": _Sorted.of(h, r, t), "head": _Sorted.of(t, r, h)}

    @cached_property
    def _entity_row(self) -> dict[str, int]:
        return {qid: i for i, qid in enumerate(self._entities)}

    def true_ends(self, qid: str, relation: str, direction: str) -> list[str]:
        """All ends that the graph gives an entity by a relation; `tail`: the entity is the head."""
        entity, r = self._entity_row.get(qid), self._relation_row.get(relation)
        if entity is None or r is None:
            return []
        return list(self._entities[self._by_direction[direction].ends(entity, r)])

    def range_of(self, relation: str, direction: str) -> "Range":
        """The entities that stand at a relation's other end, one a fact."""
        r = self._relation_row.get(relation)
        rows = np.empty(0, np.int64) if r is None else self._by_direction[direction].of_relation(r)
        return Range(rows, self._entities)


@dataclass(frozen=True)
class Range:
    """A relation's other ends, as often as facts name them."""

    _rows: NDArray[np.int64]
    _entities: NDArray[Any]

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, places: NDArray[np.int64]) -> list[str]:
        """The entities at these places."""
        return list(self._entities[self._rows[places]])

    def counts(self) -> dict[str, int]:
        """Entity -> facts that name it."""
        rows, times = np.unique(self._rows, return_counts=True)
        return dict(zip(self._entities[rows], times.tolist(), strict=True))


@dataclass(frozen=True)
class _Sorted:
    """Facts ordered by (relation, given entity, other entity)."""

    given: NDArray[np.int64]
    relation: NDArray[np.int64]
    other: NDArray[np.int64]

    @classmethod
    def of(cls, given: NDArray[np.int64], relation: NDArray[np.int64], other: NDArray[np.int64]) -> "_Sorted":
        order = np.lexsort((other, given, relation))
        return cls(given[order], relation[order], other[order])

    def of_relation(self, relation: int) -> NDArray[np.int64]:
        return self.other[slice(*np.searchsorted(self.relation, [relation, relation + 1]))]

    def ends(self, given: int, relation: int) -> NDArray[np.int64]:
        first, last = np.searchsorted(self.relation, [relation, relation + 1])
        inside = np.searchsorted(self.given[first:last], [given, given + 1])
        return self.other[first + inside[0] : first + inside[1]]


@dataclass(frozen=True)
class Graph:
    """What the objective reads of a build beside its records.

    Attributes:
        facts: table `triples`.
        entities: their names.
        relations: their names; None where they were not asked for.
        lang: the language of the records' labels: the build's first.
    """

    facts: Facts
    entities: Names
    relations: Names | None
    lang: str

    def entity_label(self, qid: str) -> str | None:
        """The label that the records use."""
        return self.entities.label(qid, self.lang)

    def relation_label(self, pid: str) -> str | None:
        """The relation's label in the same language."""
        return self.relations.label(pid, self.lang) if self.relations else None


def open_graph(corpus: Path, *, relation_names: bool) -> Graph:
    """Read the tables `triples` and `entities` of a build, and if asked for `relations`.

    Raises:
        InputError: no finished build, or one without them.
    """
    manifest = load_manifest(corpus, required=True)

    def names(table: str, key: str) -> Names:
        return Names.from_arrow(_read(corpus, manifest, table, [key, "names"]), key)

    return Graph(
        Facts(_read(corpus, manifest, "triples", ["h", "r", "t"])),
        names("entities", "qid"),
        names("relations", "pid") if relation_names else None,
        base_language_of(corpus),
    )


def _read(corpus: Path, manifest: Manifest, name: str, columns: Sequence[str]) -> pa.Table:
    files = manifest.built(corpus, name).files
    return pa.concat_tables(read_shard(corpus / file.path, columns) for file in files)
