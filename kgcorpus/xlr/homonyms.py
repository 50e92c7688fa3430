"""Homonyms: entities that share a name, so that sentences about them are identical."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.kg.graph import Graph
from kgcorpus.kg.names import LabelIndex
from kgcorpus.kg.strings import hash_strings
from kgcorpus.xlr.candidates import Pair

_BATCH = 1 << 16
_REMEMBERED = 1 << 18


def normal_name(name: str) -> str:
    """Normalise a name: casefold, NFKC, no invisible characters, single spaces."""
    if name.isascii():
        return " ".join(name.lower().split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(c for c in folded if unicodedata.category(c) != "Cf").split())


class Homonyms:
    """Finds connected pairs of a graph whose entities have the same names as a given pair.

    Two entities share a name if any label or alias of one has the same `normal_name` as any label or alias of
    the other, across all languages. Only shared names are kept in memory. Building the index takes 12 bytes
    and about 1.5 microseconds for each name (half a minute for 20 million names).

    Args:
        graph: the triples.
        names: names of the graph's entities.
        languages: languages whose names are compared.
    """

    def __init__(self, graph: Graph, names: LabelIndex, languages: Sequence[str]) -> None:
        self._ids = graph.entities
        self._place = {ident: i for i, ident in enumerate(self._ids)}
        n = len(self._ids)
        self._pairs = graph.pair_u.astype(np.int64) * n + graph.pair_v
        rows = names.rows(pa.array(self._ids, pa.string()))
        known = np.flatnonzero(rows >= 0)
        hashes, owners = _all_names(names, languages, rows[known])
        self._groups, self._members = _shared(hashes, known[owners])
        order = np.lexsort((self._groups, self._members))
        self._groups_of, self._owners = self._groups[order], self._members[order]
        self.alike = lru_cache(_REMEMBERED)(self._alike)

    def sharing(self, entity: str) -> list[str]:
        """Return the entity and all entities that share a name with it, sorted."""
        return sorted(self._ids[i] for i in self._sharing(self._place[entity]))

    def _sharing(self, entity: int) -> NDArray[np.int64]:
        """Indices of the entities that share a name with this one, including itself."""
        first, last = np.searchsorted(self._owners, [entity, entity + 1])
        found = [np.array([entity])]
        for group in self._groups_of[first:last]:
            start, end = np.searchsorted(self._groups, [group, group + 1])
            found.append(self._members[start:end])
        return np.unique(np.concatenate(found))

    def _alike(self, pair: Pair) -> tuple[Pair, ...]:
        """The pair and all connected pairs with the same names, each with the smaller id first."""
        few, many = sorted((self._sharing(self._place[end]) for end in pair), key=len)
        found = {pair}
        if len(many) > 1 and len(self._pairs):
            n = len(self._ids)
            for one in few:
                keys = np.minimum(one, many) * n + np.maximum(one, many)
                at = np.minimum(np.searchsorted(self._pairs, keys), len(self._pairs) - 1)
                for other in many[self._pairs[at] == keys]:
                    a, b = sorted((self._ids[one], self._ids[other]))
                    found.add((a, b))
        return tuple(sorted(found))


def _all_names(
    names: LabelIndex, languages: Sequence[str], rows: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return [names] the hash of each normalised name, and [names] the index in `rows` of its entity."""
    hashes, owners = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for lang in languages:
        column = names.column(lang)
        for first in range(0, len(rows), _BATCH):
            part = pa.array(rows[first : first + _BATCH])
            labels, aliases = column.labels.take(part), column.aliases.take(part)
            of_alias = first + pc.list_parent_indices(aliases).to_numpy()
            of_label = first + np.arange(len(part))
            for texts, own in ((labels, of_label), (aliases.flatten(), of_alias)):
                normal = [normal_name(text) if text else "" for text in texts.to_pylist()]
                kept = np.array([bool(text) for text in normal], bool)
                hashes.append(hash_strings(pa.array(normal, pa.large_string()))[kept])
                owners.append(own[kept].astype(np.int64))
    return np.concatenate(hashes), np.concatenate(owners)


def _shared(
    hashes: NDArray[np.uint64], owners: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group entities by shared name: [members] group number, ascending, and [members] entity index."""
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    first = np.ones(len(hashes), bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    hashes, owners = hashes[first], owners[first]
    _, group, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    several = counts[group] > 1
    return group[several].astype(np.int64), owners[several]
