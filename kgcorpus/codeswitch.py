"""Code-switched sentences: triples whose items are in the base or in another language (KMLM, section 3.1).

The base language is the first of the configured languages; in the paper it is English.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.splits import pair_splits
from kgcorpus.contracts.tables import TRIPLE
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import Book, Names
from kgcorpus.records.kmlm import Facts, Pieces, slotted_batch, triple_keys

if TYPE_CHECKING:
    from kgcorpus.contracts.arrays import UInt8s

_ROLES = ("head", "relation", "tail")
_FIELD_BITS = 20  # 64 random bits a triple: 3 bits flip the items, 20 bits choose the alias of each item
_FIELD = np.uint64((1 << _FIELD_BITS) - 1)


def code_switched_batches(
    triples: pa.RecordBatch,
    *,
    names: Names,
    relations: Names,
    languages: Sequence[str],
    seed: int,
    tally: Tally,
) -> Iterator[pa.RecordBatch]:
    """Yield rows of kind `code_switched` and of kind `alias` for each language other than the base.

    Each item is replaced, with probability 1/2, by its label in the other language if it has one; all three
    items may stay in the base language. In an alias row the languages are the same, and each item is a random
    alias in its language, or the label if there is no alias.

    Args:
        triples: columns h, r and t.
        languages: the base language first.
        tally: counts, by language, `records`, `sentences`, `switched` (at least one item replaced) and
            `untranslated` (items without a label). Drops `<role>_without_name.<base>` (triples) and
            `nothing_named.<lang>` (triples without any item named in the language).
    """
    from kgcorpus.kg.strings import hex_digits, prefixed

    base = languages[0]
    structs = pa.StructArray.from_arrays([triples.column(name) for name in "hrt"], fields=list(TRIPLE))
    books = (names, relations, names)
    rows = np.stack([book.rows(structs.field(k)) for k, book in enumerate(books)], axis=1)
    in_base = [book.book(base).has_label(rows[:, k]) for k, book in enumerate(books)]
    kept = np.ones(len(rows), np.bool_)
    for role, named in zip(_ROLES, in_base, strict=True):
        if missing := int((kept & ~named).sum()):
            tally.drop(f"{role}_without_name.{base}", missing)
        kept &= named
    if not kept.any():
        return
    structs, rows = structs.filter(pa.array(kept)), rows[kept]
    keys = triple_keys(structs)
    digests = hex_digits(keys)
    draws = mix64_array(keys ^ np.uint64(hash64(seed, "code-switch")))
    facts = Facts.of(structs, pair_splits(seed, *(structs.field(end).to_pylist() for end in "ht")))
    base_books = [book.book(base) for book in books]

    for lang in languages:
        if lang == base:
            continue
        lang_books = [book.book(lang) for book in books]
        named = np.stack([book.has_label(rows[:, k]) for k, book in enumerate(lang_books)], axis=1)
        some = np.flatnonzero(_any(named))
        if nothing := len(rows) - len(some):
            tally.drop(f"nothing_named.{lang}", nothing)
        if not len(some):
            continue
        bits = mix64_array(draws[some] ^ np.uint64(hash64("code-switch-language", lang)))
        named = named[some]
        flipped = named & _flips(bits)
        tally.count(f"records.{lang}", 2 * len(some))
        tally.count(f"sentences.{lang}", 2 * len(some))
        tally.count(f"switched.{lang}", 2 * int(np.count_nonzero(_any(flipped))))
        tally.count(f"untranslated.{lang}", 2 * (named.size - int(np.count_nonzero(named))))
        own_facts, own_digests = facts.take(some), digests[some]
        slot_langs = pc.if_else(pa.array(flipped.ravel()), lang, base)
        labels, aliases = _pieces(rows[some], flipped, bits, books=(base_books, lang_books))
        for kind, prefix, pieces in (("code_switched", "cs", labels), ("alias", "al", aliases)):
            yield slotted_batch(
                own_facts,
                pieces,
                ids=prefixed(f"{prefix}:{lang}:", own_digests),
                lang=lang,
                kind=kind,
                slot_langs=slot_langs,
            )


def _flips(bits: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """[n, 3] whether each item is replaced, from one random bit an item."""
    return (bits[:, None] >> np.arange(3, dtype=np.uint64) & np.uint64(1)).astype(np.bool_)


def _any(items: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n] whether any of the three items [n, 3] is true; numpy's `any` is slow on such a short axis."""
    return items[:, 0] | items[:, 1] | items[:, 2]


def _pieces(
    rows: NDArray[np.int64],
    flipped: NDArray[np.bool_],
    bits: NDArray[np.uint64],
    *,
    books: tuple[Sequence[Book], Sequence[Book]],
) -> tuple[Pieces, Pieces]:
    """Locate the items' labels, and their aliases (or labels where there is no alias).

    Args:
        books: the names for h, r and t, in the base language and in the other language.
    """
    from kgcorpus.kg.strings import place_names

    starts, ends = np.empty((2, *rows.shape), np.int64), np.empty((2, *rows.shape), np.int64)
    sources = np.empty((2, *rows.shape), np.int8)
    data: list[UInt8s] = []
    for k in range(3):
        draws = bits >> np.uint64(3 + k * _FIELD_BITS) & _FIELD
        for in_lang in (False, True):
            book = books[in_lang][k]
            labels, aliases = book.label_column, book.alias_column
            place_names(
                labels.offsets,
                book.alias_bounds,
                aliases.offsets,
                rows[:, k],
                flipped[:, k] == in_lang,
                draws,
                len(data),
                starts[:, :, k],
                ends[:, :, k],
                sources[:, :, k],
            )
            data += [labels.data, aliases.data]
    label_pieces, alias_pieces = (Pieces(starts[i], ends[i], sources[i], tuple(data)) for i in (0, 1))
    return label_pieces, alias_pieces
