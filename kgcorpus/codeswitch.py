"""Triples as sentences in which each item is in English or in another language (KMLM, section 3.1)."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from kgcorpus.contracts.draws import hash64, mix64
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import Names
from kgcorpus.records.kmlm import Item, Sentence, render_sentences

_ROLES = ("head", "relation", "tail")
_FIELD_BITS = 20  # of the draw's 64 bits, 3 flip the items and 20 choose each item's alias
_FIELD = 1 << _FIELD_BITS


def base_language(languages: Sequence[str]) -> str:
    """English, or the first language where English is not among them."""
    return "en" if "en" in languages else languages[0]


def code_switched_records(
    triple: tuple[str, str, str],
    *,
    names: Names,
    relations: Names,
    languages: Sequence[str],
    seed: int,
    tally: Tally,
) -> Iterator[dict[str, Any]]:
    """Yield, for each language beside the base, a row of kind `code_switched` and one of kind `alias`.

    Each item flips by a fair coin to its label in the other language, if there is one; all three may stay.
    The alias row has the same flips, then each item is a random alias in its language, or its label where it
    has none.

    Args:
        triple: h, r and t.
        tally: counts triples without a label in the base language, and languages that name none of the items.
    """
    base = base_language(languages)
    books = (names, relations, names)
    base_items = []
    for role, book, ident in zip(_ROLES, books, triple, strict=True):
        label = book.label(ident, base)
        if label is None:
            tally.drop(f"{role}_without_name.{base}")
            return
        base_items.append(Item(label, ident, base))
    digest = f"{hash64(*triple):016x}"
    key = hash64(seed, "code-switch", *triple)
    triples = [dict(zip("hrt", triple, strict=True))]

    for lang in languages:
        if lang == base:
            continue
        labels = [book.label(ident, lang) for book, ident in zip(books, triple, strict=True)]
        if not any(labels):
            tally.drop(f"nothing_named.{lang}")
            continue
        bits = mix64(key ^ _language_key(lang))
        items, alias_items = [], []
        for place, (label, book, ident) in enumerate(zip(labels, books, triple, strict=True)):
            item = Item(label, ident, lang) if label and bits >> place & 1 else base_items[place]
            items.append(item)
            u = (bits >> 3 + place * _FIELD_BITS & _FIELD - 1) / _FIELD
            alias = book.draw_alias(ident, item.lang, u)
            alias_items.append(Item(alias, ident, item.lang) if alias else item)
        yield _row("code_switched", f"cs:{lang}:{digest}", lang, triples, items)
        yield _row("alias", f"al:{lang}:{digest}", lang, triples, alias_items)


def _row(
    kind: str, ident: str, lang: str, triples: list[dict[str, str]], items: Sequence[Item]
) -> dict[str, Any]:
    sentence: Sentence = (items[0], items[1], items[2])
    text, slots = render_sentences((sentence,))
    return {"id": ident, "lang": lang, "kind": kind, "text": text, "triples": triples, "slots": slots}


@lru_cache
def _language_key(lang: str) -> int:
    return hash64("code-switch-language", lang)
