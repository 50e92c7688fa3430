"""Entities of titles and items, in memory-mapped arrays: a lookup instead of a join.

Titles are found by a 64-bit hash of language and title.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.arrays import Bools, Int32s, Int64s, UInt64s
from kgcorpus.contracts.columns import places_in
from kgcorpus.contracts.shards import read_batches
from kgcorpus.kg.arrays import Folder
from pipelines.redirects import joined

if TYPE_CHECKING:
    from kgcorpus.kg.strings import IdIndex

_GROUP = "titles"


@dataclass(frozen=True, kw_only=True, eq=False)
class TitleItems:
    """Titles with their items, and which items are in the graph.

    Attributes:
        keys: [T] the titles' hashes, ascending.
        item: [T] the title's item, as its place in `qids`.
        qids: [Q] distinct items: of titles, and those that pages name.
        in_graph: [Q] whether a triple has the item.
    """

    keys: UInt64s
    item: Int32s
    qids: pa.LargeStringArray
    in_graph: Bools

    @classmethod
    def write(
        cls, folder: Path, *, titles: Sequence[str], pages: Sequence[str], triples: Sequence[str] | None
    ) -> None:
        """Write the arrays of a build into a folder.

        Args:
            titles, pages, triples: the tables' shards; without triples all items are in the graph.
        """
        from kgcorpus.kg.strings import IdIndex, hash_rows, string_arrays

        keys, own = [], []
        for path in titles:
            for batch in read_batches(path, ["lang", "title", "qid"]):
                keys.append(hash_rows(batch.column("lang"), batch.column("title")))
                own.append(batch.column("qid").cast(pa.large_string()))
        named = [
            batch.column("qid").drop_null().unique().cast(pa.large_string())
            for path in pages
            for batch in read_batches(path, ["qid"])
        ]
        qids = pc.unique(pa.chunked_array([*own, *named], pa.large_string()))
        index = IdIndex(qids)
        items = [index.find(column).astype(np.int32) for column in own]
        in_graph = np.full(len(qids), triples is None)
        for path in triples or ():
            for batch in read_batches(path, ["h", "t"]):
                for column in batch.columns:
                    places = index.find(column)
                    in_graph[places[places >= 0]] = True
        all_keys, all_items = joined(keys, np.uint64), joined(items, np.int32)
        order = np.argsort(all_keys)
        offsets, data = string_arrays(qids)
        Folder(folder).put(
            _GROUP,
            {
                "keys": all_keys[order],
                "item": all_items[order],
                "qid_offsets": offsets,
                "qid_data": data,
                "in_graph": in_graph,
            },
        )

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map what `write` wrote."""
        from kgcorpus.kg.strings import strings_of

        found = Folder(folder).get(_GROUP)
        qids = strings_of(found["qid_offsets"], found["qid_data"])
        return cls(keys=found["keys"], item=found["item"], qids=qids, in_graph=found["in_graph"])

    def find(self, langs: pa.Array, titles: pa.Array) -> Int64s:
        """[n] the items of titles, as places in `qids`; -1 for none."""
        from kgcorpus.kg.strings import hash_rows

        places = places_in(self.keys, hash_rows(langs, titles))
        return np.where(places >= 0, self.item[places], -1) if len(self.item) else places

    def find_qids(self, qids: pa.Array) -> Int64s:
        """[n] the places of items in `qids`; -1 for null, and for an item that is not there."""
        return self._index.find(qids)

    def graph_qids(self, items: Int64s) -> pa.Array:
        """[n] the items at these places; null for -1, and for one outside the graph."""
        inside = (items >= 0) & self.in_graph[items] if len(self.in_graph) else np.zeros(len(items), bool)
        return self.qids.take(pa.array(items, mask=~inside)).cast(pa.string())

    @cached_property
    def _index(self) -> "IdIndex":
        from kgcorpus.kg.strings import IdIndex

        return IdIndex(self.qids)
