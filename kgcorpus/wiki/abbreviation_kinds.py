"""Kinds of abbreviations: whether a sentence can end at their full stop."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

# In every language; a language's own lists win.
_TITLES = "Mr Mrs Ms Dr Prof St Mt vs cf e.g i.e"
_COMPANIES = "Jr Sr Co Ltd Inc Corp Bros Ph.D B.Sc M.Sc"


class Kind(Enum):
    """What follows an abbreviation: the rest of its sentence, or a new one."""

    NEVER_LAST = "the rest"
    BEFORE_NUMBER = "the rest if it is a number or a single letter; else the word is no abbreviation"
    MAYBE_LAST = "a new sentence if it starts with an opener"
    ERA = "a new sentence if it starts with a capital, unless the date is all there is of the sentence"
    YEAR = "as ERA after a number, else as NEVER_LAST"
    UNIT = "after a number: a new sentence if it starts with a capital; else the word is no abbreviation"
    WHOLE = "as after any word; the full stops inside it end no sentence"


@dataclass(frozen=True, kw_only=True)
class Abbreviations:
    """The abbreviations of one language: entries separated by spaces, without their last full stop.

    Entries keep their case; one in lower case also matches with a capital first letter, as at the start of a
    sentence. `_` is a space. A full stop inside an entry may be followed by a space: `z.B` matches `z. B.`.

    Attributes:
        never_last: titles and others that are never the last word of a sentence.
        before_number: `Vol`, `sec`; abbreviations before a number, Arabic or Roman.
        maybe_last: may be the last word; `openers` decide.
        eras: `v.Chr`, `a.C`.
        years: `г`: after a number a year, else a town.
        units: units of measure, after a number.
        wholes: other abbreviations of several parts, such as `т.д`.
        openers: words that start a sentence, with their capital; an elided one keeps its apostrophe (`L'`).
        date_openers: words that start a date: `In 44 B.C. Caesar was killed.`
        has_capital_nouns: a capital inside a sentence does not indicate a name, and a number with a full stop
            is an ordinal (German).
        kinds: entry -> its kind, with the derived capitals.
        parts: the words before the full stops of the entries of several parts.
        compounds: matches an entry of several parts, with its last full stop.
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
