"""Code-switched sentences: triples whose items are in the base or in another language (KMLM, section 3.1).

The base language is the first of the configured languages; in the paper it is English.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.tables import TRIPLE
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import LabelIndex
from kgcorpus.records.kmlm import BATCH, SCHEMA, Pieces, in_turn, spread, triple_keys

_ROLES = ("head", "relation", "tail")
_FIELD_BITS = 20  # 64 random bits a triple: 3 bits flip the items, 20 bits choose the alias of each item
_FIELD = np.uint64((1 << _FIELD_BITS) - 1)


def code_switched_batches(
    triples: pa.RecordBatch,
    *,
    names: LabelIndex,
    relations: LabelIndex,
    languages: Sequence[str],
    seed: int,
    tally: Tally,
    rows: int = BATCH,
) -> Iterator[pa.RecordBatch]:
    """Yield, for each triple and language other than the base, rows of kind `code_switched` and `alias`.

    Each item is replaced, with probability 1/2, by its label in the other language if it has one; all three
    items may stay in the base language. In an alias row the languages are the same, and each item is a random
    alias in its language, or the label if there is no alias. The rows are in the order of
    `records.kmlm.spread`.

    Args:
        triples: indexes h, r, t and split.
        languages: the base language first.
        tally: counts, by language, `records`, `sentences`, `switched` (at least one item replaced) and
            `untranslated` (items without a label). Drops `<role>_without_name.<base>` (triples) and
            `nothing_named.<lang>` (triples without any item named in the language).
        rows: maximum rows of a batch.
    """
    from kgcorpus.kg.strings import hex_digits, prefixed

    base, others = languages[0], [lang for lang in languages if lang != languages[0]]
    facts = _Facts(triples, names=names, relations=relations, base=base, tally=tally)
    if not others or not len(facts.rows):
        return
    draws = mix64_array(facts.keys ^ np.uint64(hash64(seed, "code-switch")))
    salts = np.array([hash64("code-switch-language", lang) for lang in others], np.uint64)
    digests = prefixed("", hex_digits(facts.keys))
    fact, variant = spread(_chosen(facts, others, draws, salts, tally), facts.keys, seed)
    codes, kinds = pa.array([base, *others]), pa.array(["code_switched", "alias"])
    prefixes = pa.array([f"{prefix}:{lang}:" for lang in others for prefix in ("cs", "al")])
    for start in range(0, len(fact), rows):
        own, number, is_alias = (part[start : start + rows] for part in (fact, variant // 2, variant % 2))
        pieces = Pieces(np.arange(0, 3 * len(own) + 1, 3, dtype=np.int32))
        item_langs = np.zeros((len(own), 3), np.int64)
        bits = mix64_array(draws[own] ^ salts[number])
        for place in np.unique(number):
            at = np.flatnonzero(number == place)
            flipped = facts.named(others[place], own[at]) & _flips(bits[at])
            item_langs[at] = np.where(flipped, place + 1, 0)
            _place(pieces, facts, own[at], at, flipped, bits[at], is_alias[at] == 1, (base, others[place]))
        stated = facts.structs.take(pa.array(own))
        text, slots = pieces.join(in_turn(stated), codes.take(pa.array(item_langs.ravel())))
        places = pa.array(np.arange(len(own) + 1, dtype=np.int32))
        yield pa.RecordBatch.from_arrays(
            [
                pc.binary_join_element_wise(
                    prefixes.take(pa.array(variant[start : start + rows])), digests.take(pa.array(own)), ""
                ),
                codes.take(pa.array(number + 1)),
                kinds.take(pa.array(is_alias)),
                text,
                pa.ListArray.from_arrays(places, stated),
                slots,
                facts.splits.take(pa.array(own)),
            ],
            schema=SCHEMA,
        )


class _Facts:
    """The triples that the base language names, and the names of their items.

    Attributes:
        structs: [n] (h, r, t).
        splits: [n].
        rows: [n, 3] the items' rows in `indexes`.
        indexes: of h, r and t.
        keys: [n] hashes.
    """

    def __init__(
        self, triples: pa.RecordBatch, *, names: LabelIndex, relations: LabelIndex, base: str, tally: Tally
    ) -> None:
        structs = pa.StructArray.from_arrays([triples.column(name) for name in "hrt"], fields=list(TRIPLE))
        self.indexes = names, relations, names
        rows = np.stack([index.rows(structs.field(k)) for k, index in enumerate(self.indexes)], axis=1)
        in_base = [index.column(base).has_label(rows[:, k]) for k, index in enumerate(self.indexes)]
        kept = np.ones(len(rows), np.bool_)
        for role, named in zip(_ROLES, in_base, strict=True):
            if missing := int((kept & ~named).sum()):
                tally.drop(f"{role}_without_name.{base}", missing)
            kept &= named
        mask = pa.array(kept)
        self.structs, self.splits = structs.filter(mask), triples.column("split").filter(mask)
        self.rows = rows[kept]
        self.keys = triple_keys(self.structs)

    def named(self, lang: str, own: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[k, 3] which items of these triples have a label in the language."""
        return np.stack(
            [index.column(lang).has_label(self.rows[own, k]) for k, index in enumerate(self.indexes)], axis=1
        )


def _chosen(
    facts: _Facts,
    languages: Sequence[str],
    draws: NDArray[np.uint64],
    salts: NDArray[np.uint64],
    tally: Tally,
) -> list[NDArray[np.int64]]:
    """The triples of each language's labels, and again of its aliases: those with an item that it names."""
    chosen = []
    everything = np.arange(len(facts.rows))
    for lang, salt in zip(languages, salts, strict=True):
        named = facts.named(lang, everything)
        some = np.flatnonzero(_any(named))
        if nothing := len(everything) - len(some):
            tally.drop(f"nothing_named.{lang}", nothing)
        if len(some):
            named = named[some]
            flipped = named & _flips(mix64_array(draws[some] ^ salt))
            tally.count(f"records.{lang}", 2 * len(some))
            tally.count(f"sentences.{lang}", 2 * len(some))
            tally.count(f"switched.{lang}", 2 * int(np.count_nonzero(_any(flipped))))
            tally.count(f"untranslated.{lang}", 2 * (named.size - int(np.count_nonzero(named))))
        chosen += [some, some]
    return chosen


def _flips(bits: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """[n, 3] whether each item is replaced, from one random bit an item."""
    return (bits[:, None] >> np.arange(3, dtype=np.uint64) & np.uint64(1)).astype(np.bool_)


def _any(items: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n] whether any of the three items [n, 3] is true; numpy's `any` is slow on such a short axis."""
    return items[:, 0] | items[:, 1] | items[:, 2]


def _place(
    pieces: Pieces,
    facts: _Facts,
    own: NDArray[np.int64],
    at: NDArray[np.int64],
    flipped: NDArray[np.bool_],
    bits: NDArray[np.uint64],
    is_alias: NDArray[np.bool_],
    languages: tuple[str, str],
) -> None:
    """Take the names of the records of one language: `at` among the batch's, of the triples `own`."""
    for k, index in enumerate(facts.indexes):
        draws = bits >> np.uint64(3 + k * _FIELD_BITS) & _FIELD
        for in_lang, lang in enumerate(languages):
            chosen = np.flatnonzero(flipped[:, k] == bool(in_lang))
            pieces.place(
                index.column(lang),
                facts.rows[own[chosen], k],
                3 * at[chosen] + k,
                as_alias=is_alias[chosen],
                draws=draws[chosen],
            )
