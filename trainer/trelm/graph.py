"""The graph of a build as sorted arrays, and the tokens of its labels inside a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kgcorpus.contracts.languages import base_language_of
from kgcorpus.contracts.links import refuse_links
from kgcorpus.contracts.manifest import Manifest, load_manifest
from kgcorpus.contracts.rows import Direction
from kgcorpus.contracts.shards import read_shard
from kgcorpus.importance.tokenizers import tokenizer_panics_as_errors
from kgcorpus.kg.names import LabelIndex
from kgcorpus.special_tokens import as_plain_text, plain_ids
from kgcorpus.tokens import tokenizer_key
from trainer.arrays import derived

_BATCH = 50_000
# Raised when the same labels get other tokens.
_VERSION = 1


class LabelTokens:
    """Id -> tokens of its label, in two arrays that are memory-mapped from a cache.

    A label takes 8 bytes and 4 a token; nothing is added to them later.

    Args:
        names: the ids and their labels.
        lang: the language of the labels.
        tokenizer: padding and truncation off.
        cache: a folder for the arrays, whose name holds all that they depend on; made where it is missing.

    Attributes:
        starts: [N + 1] int64, where the tokens of the id at each row begin.
        ids: [tokens] int32.
    """

    def __init__(self, names: LabelIndex, lang: str, tokenizer: Tokenizer, cache: Path) -> None:
        arrays = derived(cache, lambda: _tokenized(names.column(lang).labels, tokenizer))
        self.starts: NDArray[np.int64] = arrays["starts"]
        self.ids: NDArray[np.int32] = arrays["ids"]
        self._names, self._row_of = names, names.row_of
        # The last byte is that of row -1, an unknown id.
        self._labelled = (np.diff(self.starts) > 0).tobytes() + b"\0"

    def __contains__(self, ident: str) -> bool:
        return self._labelled[self._row_of.get(ident, -1)] > 0

    def of(self, ident: str) -> tuple[int, ...]:
        """The label's tokens; none without a label."""
        if ident not in self:
            return ()
        row = self._row_of[ident]
        return tuple(self.ids[self.starts[row] : self.starts[row + 1]].tolist())

    def of_all(self, idents: Sequence[str]) -> list[tuple[int, ...]]:
        """The same of several."""
        return [self.of(ident) for ident in idents]

    def rows(self, idents: pa.Array) -> NDArray[np.int64]:
        """[n] the rows of these ids, -1 for one that has none."""
        return self._names.places(idents)

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of tokens at each row, 0 for row -1; shaped like the argument."""
        return np.where(rows >= 0, self.starts[rows + 1] - self.starts[rows], 0)


def _tokenized(labels: pa.Array, tokenizer: Tokenizer) -> dict[str, NDArray[np.integer]]:
    parts = list(_encoded(labels, tokenizer))
    sizes = np.concatenate([np.zeros(1, np.int64), *(size for size, _ in parts)])
    return {
        "starts": np.cumsum(sizes),
        "ids": np.concatenate([np.empty(0, np.int32), *(ids for _, ids in parts)]),
    }


def _encoded(labels: pa.Array, tokenizer: Tokenizer) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """Of each batch of labels the number of tokens of each, and the tokens; a null has none."""
    for first in range(0, len(labels), _BATCH):
        part = labels[first : first + _BATCH]
        given = np.flatnonzero(pc.is_valid(part).to_numpy(zero_copy_only=False))
        with tokenizer_panics_as_errors("the labels' tokenizer"), as_plain_text(tokenizer):
            encodings = tokenizer.encode_batch_fast(
                # RoBERTa's tokens of a word inside a sentence begin with its space.
                [f" {label}" for label in part.drop_null().to_pylist()],
                add_special_tokens=False,
            )
        sizes = np.zeros(len(part), np.int64)
        rows = plain_ids(encodings, tokenizer)
        sizes[given] = [len(row) for row in rows]
        yield sizes, np.array([token for row in rows for token in row], np.int32)


def joined(lists: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lists one after the other, and where each starts: what an embedding bag reads."""
    starts = [0, *accumulate(map(len, lists))][:-1] if lists else []
    return np.array([x for part in lists for x in part], np.int64), np.array(starts, np.int64)


class Facts:
    """Facts by number, sorted once by each of the keys that are asked for.

    Memory: 32 bytes a fact, and the ids.

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
        size = len(self._entities), len(self._relation_row)
        # By the direction in which the other end is asked for.
        self._by_direction = {"tail": _Sorted.of(h, r, t, size), "head": _Sorted.of(t, r, h, size)}

    @cached_property
    def _entity_row(self) -> dict[str, int]:
        return {qid: i for i, qid in enumerate(self._entities)}

    @property
    def entities(self) -> pa.Array:
        """The ids that occur in a fact, by number."""
        return pa.array(self._entities, pa.string())

    def number(self, qid: str) -> int:
        """An entity's number, -1 for one without a fact."""
        return self._entity_row.get(qid, -1)

    def ends(self, qid: str, relation: str, direction: Direction) -> NDArray[np.int64]:
        """The numbers of all ends that the graph gives an entity; `tail`: the entity is the head."""
        first, last = self.bounds([(qid, relation)], direction)[0].tolist()
        return self._by_direction[direction].other[first:last]

    def bounds(self, asked: Sequence[tuple[str, str]], direction: Direction) -> NDArray[np.int64]:
        """[asked, 2] where the other ends of (entity, relation) begin and end in `others(direction)`."""
        entities = np.array([self._entity_row.get(qid, -1) for qid, _ in asked], np.int64)
        relations = np.array([self._relation_row.get(r, -1) for _, r in asked], np.int64)
        keys = relations * len(self._entities) + entities
        bounds = np.searchsorted(self._by_direction[direction].key, np.stack([keys, keys + 1], axis=1))
        bounds[(entities < 0) | (relations < 0)] = 0
        return bounds

    def others(self, direction: Direction) -> NDArray[np.int64]:
        """[facts] the other ends, in the order that `bounds` speaks of."""
        return self._by_direction[direction].other

    def range_of(self, relation: str, direction: Direction) -> "Range":
        """The entities at a relation's other end, one a fact."""
        r = self._relation_row.get(relation)
        rows = np.empty(0, np.int64) if r is None else self._by_direction[direction].of_relation(r)
        return Range(rows, self._entities)


@dataclass(frozen=True)
class Range:
    """A relation's other ends, as often as facts name them.

    Attributes:
        rows: [facts] numbers of the entities.
    """

    rows: NDArray[np.int64]
    _entities: NDArray[Any]

    def __len__(self) -> int:
        return len(self.rows)

    def counts(self) -> dict[str, int]:
        """Entity -> facts that name it."""
        rows, times = np.unique(self.rows, return_counts=True)
        return dict(zip(self._entities[rows], times.tolist(), strict=True))


@dataclass(frozen=True)
class _Sorted:
    """Facts ordered by (relation, given entity, other entity).

    Attributes:
        key: [facts] relation * entities + given entity, ascending.
        other: [facts] other entity.
        first: [relations + 1] where each relation's facts begin.
    """

    key: NDArray[np.int64]
    other: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        given: NDArray[np.int64],
        relation: NDArray[np.int64],
        other: NDArray[np.int64],
        size: tuple[int, int],
    ) -> "_Sorted":
        """Order facts; `size`: the numbers of entities and relations."""
        entities, relations = size
        key = relation * entities + given
        order = np.lexsort((other, key))
        key = key[order]
        return cls(key, other[order], np.searchsorted(key, np.arange(relations + 1) * entities))

    def of_relation(self, relation: int) -> NDArray[np.int64]:
        return self.other[self.first[relation] : self.first[relation + 1]]


@dataclass(frozen=True)
class Graph:
    """What the objective reads of a build beside its records.

    Attributes:
        facts: table `triples`.
        entities: their names.
        relations: their names; None where they were not asked for.
        lang: the language of the records' labels: the build's first.
        corpus: the build's folder, whose `tokens` holds the labels' tokens.
        digests: of the tables' content.
    """

    facts: Facts
    entities: LabelIndex
    relations: LabelIndex | None
    lang: str
    corpus: Path
    digests: Mapping[str, str]

    def entity_tokens(self, tokenizer: Tokenizer) -> LabelTokens:
        """The tokens of the entities' labels, as the records use them."""
        return self._tokens("entities", self.entities, tokenizer)

    def relation_tokens(self, tokenizer: Tokenizer) -> LabelTokens:
        """The tokens of the relations' labels in the same language; `relations` is required."""
        assert self.relations is not None
        return self._tokens("relations", self.relations, tokenizer)

    def _tokens(self, table: str, names: LabelIndex, tokenizer: Tokenizer) -> LabelTokens:
        plain = Tokenizer.from_str(tokenizer.to_str())
        plain.no_truncation()
        plain.no_padding()
        name = f"labels-{table}-{self.lang}-{self.digests[table][:12]}-{_VERSION}"
        place = Path("tokens", tokenizer_key(plain), name)
        refuse_links(self.corpus, place)
        return LabelTokens(names, self.lang, plain, self.corpus / place)


def open_graph(corpus: Path, *, relation_names: bool) -> Graph:
    """Read the tables `triples` and `entities` of a build, and if asked for `relations`.

    Raises:
        InputError: no finished build, or one without them.
    """
    manifest = load_manifest(corpus, required=True)

    def names(table: str, key: str) -> LabelIndex:
        return LabelIndex.from_arrow(_read(corpus, manifest, table, [key, "names"]), key)

    return Graph(
        Facts(_read(corpus, manifest, "triples", ["h", "r", "t"])),
        names("entities", "qid"),
        names("relations", "pid") if relation_names else None,
        base_language_of(corpus),
        corpus,
        {name: manifest.tables[name].digest for name in ("entities", "relations") if name in manifest.tables},
    )


def _read(corpus: Path, manifest: Manifest, name: str, columns: Sequence[str]) -> pa.Table:
    files = manifest.built(corpus, name).files
    return pa.concat_tables(read_shard(corpus / file.path, columns) for file in files)
