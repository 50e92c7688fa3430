"""Abbreviations by kind. The kind decides whether a sentence can end at the full stop."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

# These count in every language. If a language lists one of them itself, its own list counts.
_TITLES = "Mr Mrs Ms Dr Prof St Mt vs cf e.g i.e"
_COMPANIES = "Jr Sr Co Ltd Inc Corp Bros Ph.D B.Sc M.Sc"


class Kind(Enum):
    """Whether the rest of the sentence or a new sentence follows an abbreviation."""

    NEVER_LAST = "the rest"
    BEFORE_NUMBER = "the rest if it is a number or a single letter; else the word is no abbreviation"
    MAYBE_LAST = "a new sentence if it starts with an opener"
    ERA = "a new sentence if it starts with a capital, unless the date is all there is of the sentence"
    YEAR = "as ERA after a number, else as NEVER_LAST"
    UNIT = "after a number: a new sentence if it starts with a capital; else the word is no abbreviation"
    WHOLE = "as after any word; the full stops inside it end no sentence"


@dataclass(frozen=True, kw_only=True)
class Abbreviations:
    """The abbreviations of one language. Each list has its entries separated by spaces.

    An entry is written without its last full stop, and `_` stands for a space. Upper and lower case count,
    but an entry in lower case also matches with a capital first letter, as at the start of a sentence. A
    space may follow a full stop inside an entry: `z.B` also matches `z. B.`.

    Attributes:
        never_last: abbreviations that never end a sentence, such as titles.
        before_number: abbreviations that precede an Arabic or Roman number, such as `Vol` and `sec`.
        maybe_last: abbreviations that may end a sentence; the word after them decides (`openers`).
        eras: abbreviations of eras, such as `v.Chr` and `a.C`.
        years: abbreviations that mean a year after a number, and something else elsewhere (`г`: a town).
        units: units of measure, which follow a number.
        wholes: other abbreviations of several parts, such as `т.д`.
        openers: words that begin a sentence, with their capital letter. An elided word keeps its apostrophe
            (`L'`).
        date_openers: words that begin a date, such as `In` in `In 44 B.C. Caesar was killed.`
        has_capital_nouns: whether all nouns have a capital, so that a capital indicates no name; a number
            with a full stop is then an ordinal (German).
        kinds: the kind of each entry, and of its form with a capital.
        parts: the words before the full stops of entries with several parts.
        compounds: the pattern of an entry with several parts and its last full stop.
        starts: `openers` as a set.
        date_starts: `date_openers` as a set.
    """

    never_last: str = ""
    before_number: str = ""
    maybe_last: str = ""
    eras: str = ""
    years: str = ""
    units: str = ""
    wholes: str = ""
    openers: str = ""
    date_openers: str = ""
    has_capital_nouns: bool = False
    kinds: dict[str, Kind] = field(init=False)
    parts: frozenset[str] = field(init=False)
    compounds: re.Pattern[str] = field(init=False)
    starts: frozenset[str] = field(init=False)
    date_starts: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        lists = (
            (Kind.NEVER_LAST, _TITLES),
            (Kind.MAYBE_LAST, _COMPANIES),
            (Kind.BEFORE_NUMBER, self.before_number),
            (Kind.UNIT, self.units),
            (Kind.NEVER_LAST, self.never_last),
            (Kind.MAYBE_LAST, self.maybe_last),
            (Kind.WHOLE, self.wholes),
            (Kind.ERA, self.eras),
            (Kind.YEAR, self.years),
        )
        listed = {word: kind for kind, words in lists for word in _entries(words)}
        kinds = {_capitalised(word, kind): kind for word, kind in listed.items()} | listed
        several = [word.split(".") for word in kinds if "." in word]
        # The longest first, so that `u.a.m` is not read as `u.a`.
        shapes = sorted((r"\.\s?".join(map(re.escape, parts)) for parts in several), key=len, reverse=True)
        pattern = "|".join(shapes).replace(r"\-", r"[-\u2010\u2011]").replace(r"\ ", r"\s")
        derived = {
            "kinds": kinds,
            "parts": frozenset(re.split(r"[\s-]", part)[-1] for parts in several for part in parts),
            "compounds": re.compile(rf"(?<![^\W\d_])(?:{pattern})\."),
            "starts": frozenset(self.openers.split()),
            "date_starts": frozenset(self.date_openers.split()),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)


def _entries(words: str) -> Iterator[str]:
    return (word.replace("_", " ") for word in words.split())


def _capitalised(word: str, kind: Kind) -> str:
    """At the start of a sentence, where no era is possible: `A. C. Milan` is a club."""
    return word if kind is Kind.ERA or not word[0].islower() else word[0].upper() + word[1:]
