"""KMLM's records: sentences `h [mask] r [mask] t.` with their slots, and cycles as such sentences.

Records are made by the batch, as columns; what a record holds depends on its own ids and the seed alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int64s
from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.splits import SPLITS, pair_splits
from kgcorpus.contracts.tables import SLOT, table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import Names

if TYPE_CHECKING:
    from kgcorpus.contracts.arrays import UInt8s
    from kgcorpus.kg.strings import Column


LINK = " [mask] "
_SCHEMA = table("reasoning").schema.append(pa.field("split", pa.string()))


class Item(NamedTuple):
    """A head, relation or tail as it is written: its name, its id, the name's language."""

    name: str
    ident: str
    lang: str


Sentence = tuple[Item, Item, Item]


def render_sentences(sentences: Iterable[Sentence]) -> tuple[str, list[dict[str, Any]]]:
    """Write the sentences, joined by one space, with their slots.

    Links, periods and spaces belong to no slot, and a name may hold any of them: KMLM's own code looks for
    slots by token, which breaks on "St. Louis".

    Returns:
        The text and its slots, sorted, as the columns `text` and `slots` of the table `code_switched`.
    """
    parts: list[str] = []
    slots: list[dict[str, Any]] = []
    at = 0
    for number, (head, relation, tail) in enumerate(sentences):
        if number:
            parts.append(" ")
            at += 1
        for slot, (name, ident, lang) in enumerate((head, relation, tail), 1):
            end = at + len(name)
            slots.append(
                {"start": at, "end": end, "sentence": number, "slot": slot, "qid": ident, "lang": lang}
            )
            at = end + len(LINK)
        parts.append(f"{head.name}{LINK}{relation.name}{LINK}{tail.name}.")
        at = end + 1
    return "".join(parts), slots


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """What n records of s triples each hold, whatever the language.

    Attributes:
        triples: structs [n * s], in the sentences' order.
        qids: strings [n * s * 3], h, r and t of each triple in turn.
        splits: strings [n].
    """

    triples: pa.StructArray
    qids: pa.StringArray
    splits: pa.StringArray

    @classmethod
    def of(cls, triples: pa.StructArray, splits: NDArray[np.int8]) -> "Facts":
        """Take structs (h, r, t) and the splits' places in train, validation, test."""
        n = len(triples)
        ends = pa.concat_arrays([triples.field(name) for name in "hrt"])
        turns = np.arange(3 * n).reshape(3, n).T.ravel()
        names = pa.DictionaryArray.from_arrays(pa.array(splits), pa.array(SPLITS)).cast(pa.string())
        return cls(triples=triples, qids=ends.take(pa.array(turns)), splits=names)

    def take(self, rows: Int64s) -> "Facts":
        """The records at these rows."""
        if len(rows) == len(self.splits) and np.array_equal(rows, np.arange(len(rows))):
            return self
        size = len(self.triples) // max(len(self.splits), 1)
        return Facts(
            triples=self.triples.take(pa.array(_blocks(rows, size))),
            qids=self.qids.take(pa.array(_blocks(rows, 3 * size))),
            splits=self.splits.take(pa.array(rows)),
        )


class Pieces(NamedTuple):
    """The items of n records as places in the buffers of names.

    Attributes:
        starts, ends: [n, items] the bytes of each name.
        sources: [n, items] which of `data` holds it.
    """

    starts: Int64s
    ends: Int64s
    sources: NDArray[np.int8]
    data: "tuple[UInt8s, ...]"


def slotted_batch(
    facts: Facts, pieces: Pieces, *, ids: pa.StringArray, lang: str, kind: str, slot_langs: pa.StringArray
) -> pa.RecordBatch:
    """Rows of the table `code_switched` or `reasoning` with the column `split`.

    Args:
        slot_langs: [n * items] the language of each name.
    """
    from kgcorpus.kg.strings import join_pieces

    n, items = pieces.starts.shape
    glue = _glue(items)
    addresses = np.array([data.ctypes.data for data in (*pieces.data, glue.data)], np.int64)
    offsets, text, first, last = join_pieces(pieces.starts, pieces.ends, pieces.sources, addresses, glue)
    numbers = np.arange(items)
    slots = pa.StructArray.from_arrays(
        [
            pa.array(first),
            pa.array(last),
            pa.array(np.tile((numbers // 3).astype(np.int32), n)),
            pa.array(np.tile((numbers % 3 + 1).astype(np.int8), n)),
            facts.qids,
            slot_langs,
        ],
        fields=list(SLOT),
    )
    columns = [
        ids,
        pa.repeat(lang, n),
        pa.repeat(kind, n),
        pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(text)),
        _lists_of(facts.triples, items // 3),
        _lists_of(slots, items),
        facts.splits,
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def triple_keys(triples: pa.StructArray) -> NDArray[np.uint64]:
    """[n] a hash of h, r and t."""
    from kgcorpus.kg.strings import hash_strings

    h, r, t = (hash_strings(triples.field(name)) for name in "hrt")
    return mix64_array(mix64_array(mix64_array(h) ^ r) ^ t)


def reasoning_batches(
    cycles: pa.RecordBatch,
    *,
    names: Names,
    relations: Names,
    languages: Sequence[str],
    seed: int,
    tally: Tally,
) -> Iterator[pa.RecordBatch]:
    """Yield cycles as rows of the table `reasoning` in each language that names all they hold (KMLM, 3.1).

    A triple keeps its direction; the order of the sentences is drawn for each language.

    Args:
        cycles: rows of the table `cycles`.
        tally: counts records and sentences of each language, and cycles that lack a name in it.
    """
    lengths = cycles.column("length").to_numpy()
    for length in np.unique(lengths):
        own = cycles.filter(pa.array(lengths == length))
        yield from _of_length(
            own,
            f"cycle{length}",
            names=names,
            relations=relations,
            languages=languages,
            seed=seed,
            tally=tally,
        )


def _of_length(
    cycles: pa.RecordBatch,
    kind: str,
    *,
    names: Names,
    relations: Names,
    languages: Sequence[str],
    seed: int,
    tally: Tally,
) -> Iterator[pa.RecordBatch]:
    from kgcorpus.kg.strings import hash_strings

    cycle_ids, triples = cycles.column("cycle_id"), cycles.column("triples").flatten()
    n = len(cycle_ids)
    size = len(triples) // n
    h, r, t = (
        book.rows(triples.field(name)).reshape(n, size)
        for name, book in zip("hrt", (names, relations, names), strict=True)
    )
    rows = np.stack([h, r, t], axis=2)
    # The last split of any pair, in the order of `SPLITS`: no test pair may be read in training.
    splits = pair_splits(seed, *(triples.field(end).to_pylist() for end in "ht")).reshape(n, size).max(axis=1)
    keys = hash_strings(cycle_ids) ^ np.uint64(hash64(seed, "reasoning-order"))
    for lang in languages:
        entity_book, relation_book = names.book(lang), relations.book(lang)
        named = entity_book.has_label(h) & relation_book.has_label(r) & entity_book.has_label(t)
        kept = np.flatnonzero(named.all(axis=1))
        if missing := n - len(kept):
            tally.drop(f"names_missing.{lang}", missing)
        if not len(kept):
            continue
        draws = mix64_array(keys[kept] ^ np.uint64(hash64("reasoning-language", lang)))
        order = np.argsort(mix64_array(draws[:, None] ^ np.arange(size, dtype=np.uint64)), axis=1)
        at = np.take_along_axis(rows[kept], order[:, :, None], axis=1).reshape(len(kept), 3 * size)
        columns = (entity_book.label_column, relation_book.label_column)
        sources = np.tile(np.array([0, 1, 0], np.int8), (len(kept), size))
        tally.count(f"records.{lang}", len(kept))
        tally.count(f"{kind}.{lang}", len(kept))
        tally.count(f"sentences.{lang}", len(kept) * size)
        yield slotted_batch(
            Facts.of(triples.take(pa.array((kept[:, None] * size + order).ravel())), splits[kept]),
            _pieces(columns, at, sources),
            ids=pc.binary_join_element_wise(f"{kind}:{lang}:", cycle_ids.take(pa.array(kept)), ""),
            lang=lang,
            kind=kind,
            slot_langs=pa.repeat(lang, 3 * size * len(kept)),
        )


def _pieces(columns: "Sequence[Column]", places: Int64s, sources: NDArray[np.int8]) -> Pieces:
    """Strings by their column and their place in it."""
    starts, ends = np.empty_like(places), np.empty_like(places)
    for number, column in enumerate(columns):
        own = sources == number
        starts[own], ends[own] = column.offsets[places[own]], column.offsets[places[own] + 1]
    return Pieces(starts, ends, sources, tuple(column.data for column in columns))


@lru_cache
def _glue(items: int) -> "Column":
    """What follows each item of a record."""
    from kgcorpus.kg.strings import column_of

    return column_of(pa.array([LINK, LINK, ". "] * (items // 3 - 1) + [LINK, LINK, "."]))


def _lists_of(values: pa.Array, size: int) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(values) + 1, size, dtype=np.int32)), values)


def _blocks(rows: Int64s, size: int) -> Int64s:
    """The places of the items of these rows, `size` items each."""
    return (rows[:, None] * size + np.arange(size)).ravel()
