"""Detection of header lines in tab-separated files, which would otherwise be read as false rows."""

from collections.abc import Sequence
from itertools import permutations

from kgcorpus.inputs.header_words import (
    CLASS,
    END,
    ID,
    LANGUAGE,
    LINK,
    NAME,
    TEMPLATE,
    TEXT,
    TITLE,
    folded,
)

__all__ = ["CLASS", "ID", "LANGUAGE", "NAME", "TEMPLATE", "TEXT", "TITLE", "TRIPLE", "is_header"]

TRIPLE = (END, LINK, END)
# KGTK's edges with ids, Neo4j's export, and words that name columns only in this combination.
_TRIPLES_OF_OTHERS = frozenset(
    {
        ("id", "node1", "label"),
        ("item", "property", "value"),
        ("itemid", "propertyid", "valueid"),
        ("startid", "type", "endid"),
        ("source", "type", "target"),
        ("head", "type", "tail"),
        ("subject", "type", "object"),
        ("hid", "rid", "tid"),
        ("e1", "r", "e2"),
        *(
            (one, link, other)
            for one, other in (("from", "to"), ("start", "end"), ("e1", "e2"))
            for link in LINK
        ),
    }
)
# Single letters only in lower case: the ids of a graph may be H, R and T.
_LETTERS = frozenset({*permutations("hrt"), *permutations("spo")})
_FIRST = frozenset().union(
    *(ID, LANGUAGE, NAME, CLASS, TEXT, TITLE, TEMPLATE, END, LINK),
    (words[0] for words in _TRIPLES_OF_OTHERS),
    "hrtspo",
)


def is_header(fields: Sequence[str], columns: Sequence[frozenset[str]]) -> bool:
    """Whether the first fields of a line are names of the required columns, one of each.

    The columns may be in another order (`lang id label`, `relation head tail`). With two columns, another
    order counts only if a word such as `qid` shows it (`title qid`).

    Args:
        fields: the line's fields.
        columns: for each required column, the words that name it.
    """
    # Most lines end here: their first field is not the name of a column.
    if not fields or folded(fields[0]) not in _FIRST:
        return False
    words = tuple(map(folded, fields[: len(columns)]))
    if columns is TRIPLE and (words in _TRIPLES_OF_OTHERS or (words in _LETTERS and _are_lower(fields))):
        return True
    if len(words) != len(columns):
        return False
    if all(map(frozenset.__contains__, columns, words)):
        return True
    if len(columns) > 2:
        return any(all(map(frozenset.__contains__, order, words)) for order in permutations(columns))
    # `title entity` may be a name. Only a word such as `qid` is not a value of the other column.
    swapped = columns[::-1]
    return (
        ID in columns
        and words[swapped.index(ID)].endswith("id")
        and all(map(frozenset.__contains__, swapped, words))
    )


def _are_lower(fields: Sequence[str]) -> bool:
    return all(field == field.casefold() for field in fields[:3])
