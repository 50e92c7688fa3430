"""Whether a full stop ends a sentence: abbreviations, initials, eras, ordinals, enumerations."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from kgcorpus.contracts.scripts import HAN, HANGUL, HIRAGANA, KATAKANA, character_class
from kgcorpus.wiki.abbreviation_kinds import Abbreviations, Kind

_TOKEN = re.compile(r"[^\s([{\"“„«‘'’/–—-]*$")  # the text before a full stop, back to a separator
_REACH = 24  # characters, also of an abbreviation of several parts to either side of a full stop
_IRREGULAR = ("str", "al")  # read in `_derived_kind`
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_ROMAN = re.compile(r"(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
# Korean and Japanese write particles behind a numeral without a space: `II는`.
_PARTICLE_BEGINS = character_class(HIRAGANA, KATAKANA, *HAN, HANGUL)
_NUMERAL_BEFORE_PARTICLE = re.compile(rf"(?:[IVXLCDM]+|[A-Z])(?=[{_PARTICLE_BEGINS}])")
_SMALL_ROMAN = re.compile(r"[IVX]{1,5}")
_NUMBER_REACH = 6
_NUMBER_BEFORE = re.compile(r"(?:[\d½¼¾IVXLCDM][)%]?|\d(?:-?[а-я]{1,2}|[a-z]{1,2}|[.,]))\s?$")
_CENTURY_BEFORE = re.compile(r"\bcentur(?:y|ies)\s$")
_DATE_REACH, _DATE_WORDS = 48, 6
_DETERMINER_BEFORE = re.compile(
    r"\b(?:der|die|das|des|dem|den|zum|zur|beim|vom|am|im|ein\w*|jede\w|ihr\w*|sein\w*|kein\w*)\s$",
    re.IGNORECASE,
)
_DETERMINER_REACH = 12
_DOTTED_DATE_BEFORE = re.compile(r"\d\.\s?\d{1,2}\.\s?$")
_DOTTED_DATE_REACH = 10
_SIGN_BEFORE = re.compile(r"(\w{2,}+|\bS)\.\s$")
_ET_BEFORE = re.compile(r"\bet\s$")
_OPENING_MARKS = frozenset("\"“„«»‘'")
_QUOTED = re.compile(r"\s*+[\"“„«»‘']\s?+(\w++['’.]?)")
_CITATION_MARKS = frozenset("[(§#°№")
# Capital particles of surnames: in `A. De Vries` the article starts no sentence.
_PARTICLE = re.compile(r"Al|D[aeiou]|Das|Del(?:la|lo)?|De[ns]|Dos|El|L[aeo]s?|Te[nr]?|V[ao]n")
_SECOND_WORD = re.compile(r"\s++\w++['’]?\s*+(\w)")


@dataclass(slots=True)
class FullStop:
    """A full stop with white space behind it, or behind the closing marks after it.

    Attributes:
        text: all of it.
        at: position of the full stop.
        end: position behind the closing marks.
        following: the next word with an apostrophe or full stop attached to it, or the next mark; not in
            lower case.
        begin: where the sentence starts.
        rules: of the language.
        language: base code.
        token: the word before, back to a separator.
        start: where the token starts, or the abbreviation of several parts that it is the last of.
    """

    text: str
    at: int
    end: int
    following: str
    begin: int
    rules: Abbreviations
    language: str
    token: str = ""
    start: int = 0

    def ends_sentence(self) -> bool:
        """Decide by the kind of the word before, then by what follows."""
        text, at, rules = self.text, self.at, self.rules
        low = max(self.begin, at - _REACH)
        self.start = max(low, text.rfind(" ", low, at) + 1)
        token = text[self.start : at]
        if not token.isalnum():
            found = _TOKEN.search(text, low, at)
            assert found is not None  # an empty token matches
            token, self.start = found[0], found.start()
        self.token = token
        kind = rules.kinds.get(token)
        if token in rules.parts:
            is_inside, found_kind = self._compound(low)
            if is_inside:
                return False
            kind = found_kind or kind
        elif kind is None and _is_plain_word(token):
            return True
        kind = kind or self._derived_kind()
        return _DECISIONS[kind](self) if kind else self._ends_after_word()

    def _compound(self, low: int) -> tuple[bool, Kind | None]:
        """Whether the full stop is inside an abbreviation of several parts; the kind of one that it ends."""
        for compound in self.rules.compounds.finditer(self.text, low, self.at + _REACH):
            last = compound.end() - 1
            if compound.start() <= self.at < last:
                return True, None
            if last == self.at:
                self.start = compound.start()
                return False, self.rules.kinds[_compact(compound[0])]
        return False, None

    def _derived_kind(self) -> Kind | None:
        """The kind of what is not listed: `et al`, acronyms, `PGS.TS` by its last part, German streets."""
        token = self.token
        if token == "al" and self._is_after(_ET_BEFORE, 4):
            return Kind.MAYBE_LAST
        if _ACRONYM.fullmatch(token):
            return Kind.MAYBE_LAST
        if "." in token and self.rules.kinds.get(token.rpartition(".")[2]) is Kind.NEVER_LAST:
            return Kind.NEVER_LAST
        return Kind.MAYBE_LAST if self.rules.has_capital_nouns and token.endswith("str") else None

    def _is_after(self, pattern: re.Pattern[str], reach: int) -> bool:
        return pattern.search(self.text, max(0, self.start - reach), self.start) is not None

    def opens(self) -> bool:
        """Whether the next word starts a sentence: an opener, but not an initial such as `A.`."""
        following = self.following
        if following[:1] in _OPENING_MARKS:
            quoted = _QUOTED.match(self.text, self.end)
            following = quoted[1] if quoted else ""
        word = following.rstrip(".").replace("’", "'")
        starts = self.rules.starts
        if following.endswith(".") and (len(word) == 1 or word in self.rules.kinds):
            return False
        return (
            word in starts
            or (len(word) > 2 and word.endswith("'") and word[:-1] in starts)
            or word in ("¿", "¡")
        )

    def ends_before_opener(self) -> bool:
        """For what may be the last word."""
        return self.following not in _CITATION_MARKS and self.opens()

    def ends_after_number_sign(self) -> bool:
        """`Vol. IX`; else the word is none of these abbreviations."""
        return (
            not self._is_number_next() and self.following not in _CITATION_MARKS and self._ends_after_word()
        )

    def _is_number_next(self) -> bool:
        """Whether what follows counts: `4`, `IX`, `B`; after `No.`, an `I` is the pronoun."""
        word, starts = self.following.rstrip("."), self.rules.starts
        if numeral := _NUMERAL_BEFORE_PARTICLE.match(word):
            word = numeral[0]
        if word == "I" and "I" in starts:
            return self.token.lower() != "no"
        is_letter = len(word) == 1 and word.isalpha()
        return word[:1].isdecimal() or (
            (is_letter or _ROMAN.fullmatch(word) is not None) and word not in starts
        )

    def ends_after_era(self) -> bool:
        """By a capital, but not where the date is all there is of the sentence, nor before German nouns."""
        before = self.text[max(self.begin, self.start - _DATE_REACH) : self.start]
        is_dated = _NUMBER_BEFORE.search(before) or _CENTURY_BEFORE.search(before)
        if self.text[self.start].isupper() and not is_dated:
            return self.ends_before_opener()  # `B.C. Lions`, a province
        if self.start - self.begin <= _DATE_REACH and self._is_date(before):
            return False
        is_capital = self.following[:1].isupper() and not self.rules.has_capital_nouns
        return is_capital or self.opens()

    def _is_date(self, before: str) -> bool:
        words = before.split()
        if not 0 < len(words) <= _DATE_WORDS or "," in before:
            return False
        first, apostrophe, _ = words[0].replace("’", "'").partition("'")
        return first + apostrophe in self.rules.date_starts

    def ends_after_year(self) -> bool:
        """`1990 г.` is a year, `г. Москва` a town."""
        return self._is_after(_NUMBER_BEFORE, _NUMBER_REACH) and self.ends_after_era()

    def ends_after_unit(self) -> bool:
        """`5 ft. 6 in.`; without a number before, the word is no unit."""
        if not self._is_after(_NUMBER_BEFORE, _NUMBER_REACH):
            return self._ends_after_word()
        if self.rules.has_capital_nouns:
            return self.opens()
        return not self.following[:1].isdecimal()

    def never(self) -> bool:
        """Go on."""
        return False

    def _ends_after_word(self) -> bool:
        token, word = self.token, self.following.rstrip(".")
        if self.start <= self.begin and _is_enumerator(token):
            return False
        if self._is_counted():
            return True
        if len(token) == 1 and token.isupper():
            return self.opens() and not self._is_surname(word)
        if self.language == "ko" and token.isdecimal():
            return not (word[:1].isdecimal() or self._is_after(_DOTTED_DATE_BEFORE, _DOTTED_DATE_REACH))
        if self.rules.has_capital_nouns and self._is_ordinal():
            return word != "Von" and self.opens()
        return True

    def _is_counted(self) -> bool:
        """Whether the token is a number or letter after its abbreviation: `Vol. V`."""
        sign = _SIGN_BEFORE.search(self.text, max(0, self.start - _REACH), self.start)
        return sign is not None and self.rules.kinds.get(sign[1]) is Kind.BEFORE_NUMBER

    def _is_surname(self, word: str) -> bool:
        """Whether an initial is followed by a particle and a name."""
        if self.language in ("de", "en") or not _PARTICLE.fullmatch(word):
            return False
        second = _SECOND_WORD.match(self.text, self.end)
        return second is not None and second[1].isupper()

    def _is_ordinal(self) -> bool:
        """`3.`, `XIV.`, and a longer number behind an article: `zum 100. Geburtstag`."""
        if not self.token.isdecimal():
            return _ROMAN.fullmatch(self.token) is not None
        return len(self.token) <= 2 or self._is_after(_DETERMINER_BEFORE, _DETERMINER_REACH)


_DECISIONS: dict[Kind, Callable[[FullStop], bool]] = {
    Kind.NEVER_LAST: FullStop.never,
    Kind.BEFORE_NUMBER: FullStop.ends_after_number_sign,
    Kind.MAYBE_LAST: FullStop.ends_before_opener,
    Kind.ERA: FullStop.ends_after_era,
    Kind.YEAR: FullStop.ends_after_year,
    Kind.UNIT: FullStop.ends_after_unit,
    Kind.WHOLE: FullStop._ends_after_word,
}


def _is_plain_word(token: str) -> bool:
    """Whether a token that is not listed is a word of small letters, of a script without case, or empty."""
    if not token or token[1:].islower():
        return not token.endswith(_IRREGULAR)
    return not token.isascii() and token.isalpha() and token.swapcase() == token


def _compact(shown: str) -> str:
    """An abbreviation of several parts as it is listed."""
    without_spaces = re.sub(r"\.\s", ".", shown[:-1])
    return re.sub(r"\s", " ", re.sub(r"[\u2010\u2011]", "-", without_spaces))


def _is_enumerator(token: str) -> bool:
    return (token.isdecimal() and len(token) <= 3) or _SMALL_ROMAN.fullmatch(token) is not None
