"""Where redirects lead, in memory-mapped arrays: a lookup instead of repeated joins.

A title is known by a 64-bit hash of its language and text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int32s, UInt64s
from kgcorpus.contracts.columns import places_in, ranges
from kgcorpus.kg.arrays import Folder

MAX_HOPS = 5  # redirects to redirects; a longer chain, or a circle, leads to no entity
_GROUP = "redirects"


@dataclass(frozen=True, kw_only=True, eq=False)
class Redirects:
    """Titles that redirect, and titles with an item.

    Attributes:
        sources, ends: [R] hashes of a redirect and of its target, ascending; pairs are distinct.
        keys: [T] hashes of the titles with an item that are no disambiguation page, ascending and distinct.
        item: [T] the title's first item in code point order, as its place in `qids`.
        qids: [Q] items in code point order.
    """

    sources: UInt64s
    ends: UInt64s
    keys: UInt64s
    item: Int32s
    qids: pa.LargeStringArray

    @classmethod
    def write(cls, folder: Path, parts: Iterable[pa.RecordBatch]) -> None:
        """Write the arrays of a build into a folder.

        Args:
            parts: what files and pages say of titles: columns lang, title, qid, target, disambiguation.
        """
        from kgcorpus.kg.strings import IdIndex, hash_rows, string_arrays

        pairs, keys, owned, ambiguous = [], [], [], []
        for part in parts:
            own = hash_rows(part.column("lang"), part.column("title"))
            leads, has_item = (_is_valid(part.column(name)) for name in ("target", "qid"))
            target = part.filter(pa.array(leads))
            pairs.append(np.stack([own[leads], hash_rows(target.column("lang"), target.column("target"))]))
            keys.append(own[has_item])
            owned.append(part.column("qid").drop_null().cast(pa.large_string()))
            ambiguous.append(
                own[part.column("disambiguation").fill_null(False).to_numpy(zero_copy_only=False)]
            )
        sources, ends = _distinct(np.concatenate([np.zeros((2, 0), np.uint64), *pairs], axis=1))
        qids = pc.unique(pa.chunked_array(owned, pa.large_string())).sort()
        index = IdIndex(qids)
        places = joined([index.find(column) for column in owned], np.int64).astype(np.int32)
        titles = joined(keys, np.uint64)
        order = np.lexsort((places, titles))
        order = order[~np.isin(titles[order], joined(ambiguous, np.uint64))]
        distinct, first = np.unique(titles[order], return_index=True)
        offsets, data = string_arrays(qids)
        group = {"sources": sources, "ends": ends, "keys": distinct, "item": places[order][first]}
        Folder(folder).put(_GROUP, {**group, "qid_offsets": offsets, "qid_data": data})

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map what `write` wrote."""
        from kgcorpus.kg.strings import strings_of

        found = Folder(folder).get(_GROUP)
        qids = strings_of(found.pop("qid_offsets"), found.pop("qid_data"))
        return cls(qids=qids, **found)

    def items_of(self, langs: pa.Array, targets: pa.Array) -> pa.Array:
        """[n] the items of the pages at which redirects to these titles end; null for none.

        If a title on the way redirects to several, one that ends at no item wins, then the first item.
        """
        from kgcorpus.kg.strings import hash_rows

        ends = hash_rows(langs, targets)
        owner = np.arange(len(ends))
        for _ in range(MAX_HOPS - 1):
            first = np.searchsorted(self.sources, ends)
            n = np.searchsorted(self.sources, ends, side="right") - first
            onward = ranges(first[n > 0], n[n > 0])
            owner = np.concatenate([owner[n == 0], np.repeat(owner[n > 0], n[n > 0])])
            ends = np.concatenate([ends[n == 0], self.ends[onward]])
        places = places_in(self.keys, ends)
        items = np.where(places >= 0, self.item[places], -1) if len(self.item) else places
        found = np.full(len(targets), len(self.qids), np.int64)
        np.minimum.at(found, owner, items)
        return self.qids.take(pa.array(found, mask=found < 0)).cast(pa.string())


def _distinct(pairs: UInt64s) -> UInt64s:
    """[2, R] the distinct ones of pairs [2, n], ascending."""
    ordered = pairs[:, np.lexsort(pairs[::-1])]
    return ordered[:, np.concatenate([[True], (np.diff(ordered) != 0).any(axis=0)])[: pairs.shape[1]]]


def _is_valid(column: pa.Array) -> NDArray[np.bool_]:
    return pc.is_valid(column).to_numpy(zero_copy_only=False)


def joined(arrays: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    """The arrays end to end; an empty one of the kind where there are none."""
    return np.concatenate([np.zeros(0, kind), *arrays])
