"""KMLM's records: sentences `h [mask] r [mask] t.` with their slots, and cycles as such sentences.

Records are made by the batch, as columns; a record depends only on its own ids and the seed.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int32s, Int64s
from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.splits import SPLITS, pair_splits
from kgcorpus.contracts.tables import SLOT, table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import LabelColumn, LabelIndex

if TYPE_CHECKING:
    from kgcorpus.contracts.arrays import UInt8s
    from kgcorpus.kg.strings import Column


LINK = " [mask] "
SCHEMA = table("reasoning").schema.append(pa.field("split", pa.string()))
BATCH = 20_000


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


class Pieces:
    """The names that the sentences of n records are written with, as places in the names' own buffers.

    Args:
        bounds: [n + 1] each record's first piece; three pieces are a sentence.
    """

    def __init__(self, bounds: Int32s) -> None:
        self._bounds = bounds
        n = int(bounds[-1])
        self._starts, self._ends = np.empty(n, np.int64), np.empty(n, np.int64)
        self._sources = np.empty(n, np.int16)
        self._data: list[UInt8s] = []

    def place(
        self,
        column: LabelColumn,
        rows: Int64s,
        at: Int64s,
        *,
        as_alias: NDArray[np.bool_] | None = None,
        draws: NDArray[np.uint64] | None = None,
    ) -> None:
        """Take names of one language.

        Args:
            column: the names of one language.
            rows: [k] rows of the column.
            at: [k] which pieces they are.
            as_alias: [k] where a random alias is taken, or the label if there is none; default: nowhere.
            draws: [k] 20 random bits that choose the alias.
        """
        from kgcorpus.kg.strings import place_names

        labels, aliases = column.label_column, column.alias_column
        place_names(
            labels.offsets,
            column.alias_bounds,
            aliases.offsets,
            rows,
            np.zeros(len(rows), np.bool_) if as_alias is None else as_alias,
            np.zeros(len(rows), np.uint64) if draws is None else draws,
            len(self._data),
            at,
            self._starts,
            self._ends,
            self._sources,
        )
        self._data += [labels.data, aliases.data]

    def join(self, qids: pa.StringArray, langs: pa.StringArray) -> tuple[pa.StringArray, pa.ListArray]:
        """The columns `text` and `slots`.

        Args:
            qids, langs: [pieces] the id and the language of each name.
        """
        from kgcorpus.kg.strings import join_pieces

        glue = _glue()
        addresses = np.array([data.ctypes.data for data in (*self._data, glue.data)], np.int64)
        offsets, text, first, last = join_pieces(
            self._starts, self._ends, self._sources, addresses, self._bounds, glue
        )
        n = len(self._bounds) - 1
        numbers = np.arange(len(first), dtype=np.int32) - np.repeat(self._bounds[:-1], np.diff(self._bounds))
        slots = pa.StructArray.from_arrays(
            [
                pa.array(first),
                pa.array(last),
                pa.array(numbers // 3),
                pa.array((numbers % 3 + 1).astype(np.int8)),
                qids,
                langs,
            ],
            fields=list(SLOT),
        )
        texts = pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(text))
        return texts, pa.ListArray.from_arrays(pa.array(self._bounds), slots)


def triple_keys(triples: pa.StructArray) -> NDArray[np.uint64]:
    """[n] a hash of h, r and t."""
    from kgcorpus.kg.strings import hash_strings

    h, r, t = (hash_strings(triples.field(name)) for name in "hrt")
    return mix64_array(mix64_array(mix64_array(h) ^ r) ^ t)


def with_split(facts: pa.RecordBatch, *, seed: int) -> pa.RecordBatch:
    """Triples or cycles with the column `split`, as the renderers take them.

    That of a cycle is the last split of any of its pairs, in the order of `SPLITS`: no test pair may be read
    in training.

    Args:
        facts: columns h, r and t, or lists of such structs in the column `triples`; `split` is added.
    """
    from kgcorpus.kg.strings import pair_keys

    lists = facts.column("triples") if "triples" in facts.schema.names else None
    h, t = (facts.column(end) if lists is None else lists.flatten().field(end) for end in "ht")
    # Pairs repeat, and the hash that decides on their split takes a microsecond.
    _, first, which = np.unique(pair_keys(h, t), return_index=True, return_inverse=True)
    own = pa.array(first)
    splits = pair_splits(seed, h.take(own).to_pylist(), t.take(own).to_pylist())[which]
    if lists is not None:
        splits = np.maximum.reduceat(splits, bounds_of(lists)[:-1]) if len(lists) else splits
    names = pa.DictionaryArray.from_arrays(pa.array(splits), pa.array(SPLITS)).cast(pa.string())
    return facts.append_column("split", names)


def bounds_of(lists: pa.ListArray) -> Int32s:
    """[n + 1] each list's first place in `lists.flatten()`."""
    offsets: Int32s = lists.offsets.to_numpy()
    return offsets - offsets[0]


def reasoning_batches(
    cycles: pa.RecordBatch,
    *,
    names: LabelIndex,
    relations: LabelIndex,
    languages: Sequence[str],
    seed: int,
    tally: Tally,
    rows: int = BATCH,
) -> Iterator[pa.RecordBatch]:
    """Yield cycles as rows of the table `reasoning` in each language that names all they hold (KMLM, 3.1).

    A triple keeps its direction; the order of the sentences is drawn for each language. The records come in
    the order of `spread`.

    Args:
        cycles: rows of the table `cycles` and `split`.
        tally: counts records and sentences of each language, and cycles that lack a name in it.
        rows: of a batch, at most.
    """
    from kgcorpus.kg.strings import hash_strings

    cycle_ids, lists = cycles.column("cycle_id"), cycles.column("triples")
    if not len(cycle_ids):
        return
    lengths, bounds, triples = cycles.column("length").to_numpy(), bounds_of(lists), lists.flatten()
    sizes = np.diff(bounds)
    indexes = names, relations, names
    items = [index.rows(triples.field(name)) for name, index in zip("hrt", indexes, strict=True)]
    hashes = hash_strings(cycle_ids)
    chosen = []
    for lang in languages:
        named = np.ones(len(triples), np.bool_)
        for index, item in zip(indexes, items, strict=True):
            named &= index.column(lang).has_label(item)
        kept = np.flatnonzero(np.logical_and.reduceat(named, bounds[:-1]))
        if missing := len(cycle_ids) - len(kept):
            tally.drop(f"names_missing.{lang}", missing)
        if len(kept):
            tally.count(f"records.{lang}", len(kept))
            tally.count(f"sentences.{lang}", int(sizes[kept].sum()))
            for length, n in zip(*np.unique(lengths[kept], return_counts=True), strict=True):
                tally.count(f"cycle{length}.{lang}", int(n))
        chosen.append(kept)
    cycle, number = spread(chosen, hashes, seed)
    keys = hashes ^ np.uint64(hash64(seed, "reasoning-order"))
    salts = np.array([hash64("reasoning-language", lang) for lang in languages], np.uint64)
    codes, columns = pa.array(languages), cycles.select(["cycle_id", "length", "split"])
    for start in range(0, len(cycle), rows):
        own, langs = cycle[start : start + rows], number[start : start + rows]
        places = np.concatenate([[0], np.cumsum(sizes[own])]).astype(np.int32)
        facts = _ordered(mix64_array(keys[own] ^ salts[langs]), bounds[own], places)
        pieces = Pieces(3 * places)
        for place in np.unique(langs):
            at = np.flatnonzero(np.repeat(langs, np.diff(places)) == place)
            for k, (index, item) in enumerate(zip(indexes, items, strict=True)):
                pieces.place(index.column(languages[place]), item[facts[at]], 3 * at + k)
        stated = triples.take(pa.array(facts))
        lang, kept = codes.take(pa.array(langs)), columns.take(pa.array(own))
        kind = pc.binary_join_element_wise("cycle", kept.column("length").cast(pa.string()), "")
        text, slots = pieces.join(
            in_turn(stated), codes.take(pa.array(np.repeat(langs, 3 * np.diff(places))))
        )
        yield pa.RecordBatch.from_arrays(
            [
                pc.binary_join_element_wise(kind, lang, kept.column("cycle_id"), ":"),
                lang,
                kind,
                text,
                pa.ListArray.from_arrays(pa.array(places), stated),
                slots,
                kept.column("split"),
            ],
            schema=SCHEMA,
        )


def spread(
    chosen: Sequence[Int64s], hashes: NDArray[np.uint64], seed: int
) -> tuple[Int64s, NDArray[np.int64]]:
    """An order of records in which those of one fact are as far apart as they can be.

    A record's place is the fact's hash, turned by an equal part of the circle for each variant. So any run
    of records is a random sample of facts and variants.

    Args:
        chosen: of each variant, the facts that have it.
        hashes: of the facts.

    Returns:
        [records] the fact and the variant of each record.
    """
    base = mix64_array(hashes ^ np.uint64(hash64(seed, "record-order")))
    step = np.uint64((2**64 - 1) // max(1, len(chosen)))
    facts = np.concatenate([np.empty(0, np.int64), *chosen])
    variants = np.repeat(np.arange(len(chosen)), [len(facts) for facts in chosen])
    order = np.argsort(base[facts] + variants.astype(np.uint64) * step, kind="stable")
    return facts[order], variants[order]


def in_turn(triples: pa.StructArray) -> pa.StringArray:
    """[3n] h, r and t of each triple in turn."""
    n = len(triples)
    ends = pa.concat_arrays([triples.field(name) for name in "hrt"])
    return ends.take(pa.array(np.arange(3 * n).reshape(3, n).T.ravel()))


def _ordered(draws: NDArray[np.uint64], first: Int32s, places: Int32s) -> Int64s:
    """[places[-1]] the triples of each record in a drawn order.

    Args:
        draws: [n] random bits.
        first: [n] a record's first triple.
        places: [n + 1] where its triples go.
    """
    facts = np.empty(places[-1], np.int64)
    sizes = np.diff(places)
    for size in np.unique(sizes):
        own = np.flatnonzero(sizes == size)
        order = np.argsort(mix64_array(draws[own, None] ^ np.arange(size, dtype=np.uint64)), axis=1)
        facts[places[own, None] + np.arange(size)] = first[own, None] + order
    return facts


@lru_cache
def _glue() -> "Column":
    """What follows a name: within a sentence, between two sentences, at the end."""
    from kgcorpus.kg.strings import column_of

    return column_of(pa.array([LINK, ". ", "."]))
