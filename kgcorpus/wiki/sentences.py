"""Sentence segmentation by rules; one compiled pattern finds the candidate boundaries."""

import re
from collections.abc import Sequence
from functools import lru_cache

from kgcorpus.contracts.languages import language_key
from kgcorpus.contracts.scripts import is_unspaced
from kgcorpus.contracts.tally import Tally
from kgcorpus.wiki.abbreviation_kinds import Abbreviations
from kgcorpus.wiki.abbreviations import abbreviations_of
from kgcorpus.wiki.enclosures import enclosures
from kgcorpus.wiki.full_stops import FullStop
from kgcorpus.wiki.quotations import CLOSING_QUOTES, runs_on

_CLOSERS = "\"'”’“‘»›«‹)\\]」』）】〉》｣〕〗"
# Behind a space these close what is before them, unless a word follows at once: `« Oui ! » Puis`.
_SPACED_CLOSERS = r"[^\S\n]{1,2}[»›”’)\]]++(?!\w)"
_SPACED, _IDEOGRAPHIC = ".!?…؟", "。！？｡"
# A run of end marks and closing marks before white space, an ideographic one anywhere, or a newline; and the
# word or mark that follows. All begin with one set of characters, for which `re` scans fastest.
_CANDIDATE = re.compile(
    rf"[{_SPACED}{_IDEOGRAPHIC}\n](?:"
    rf"(?<=[{_SPACED}])(?<![{_SPACED}]{{2}})[{_SPACED}]*+[{_CLOSERS}]*+(?:{_SPACED_CLOSERS})*+"
    r"(?=\s++(\w++['’.]?|\S)?)"
    rf"|(?<=[{_IDEOGRAPHIC}])([{_IDEOGRAPHIC}!?]*+)[{_CLOSERS}]*+(?=\s*+(\S)?)"
    r"|(?<=\n))"
)
_LETTER = re.compile(r"[^\W\d_]")
_DASHES = frozenset("–—―-")
_BEHIND_DASH = re.compile(r"\s*+[–—―-]++\s*+(\w)")
_STRAIGHT_QUOTE = re.compile(r"[^\S\n]*+\"(?=\s++(\w++['’.]?|\S)?|\Z)")
_NEVER_FIRST = frozenset(",;:)]&、，；：）」』》〉】،؛")
# In Japanese and Chinese these continue a quotation: 「…。」と言った.
_AFTER_QUOTE = frozenset("とというのはがをにでもへやだ的、，,。；：）」』")


def split_sentences(
    text: str, lang: str, *, protected: Sequence[tuple[int, int]] = (), tally: Tally | None = None
) -> list[tuple[int, int]]:
    """Spans of the sentences, in order, without white space at their ends.

    A newline always ends a sentence. Spans without any letter are left out.

    Args:
        protected: sorted disjoint spans, such as links, in which no sentence ends (not at a newline either).
        tally: counts the spans left out, as the drop `sentence_without_letter`.
    """
    pass_ = _Pass(text, lang)
    closed = _union(protected, enclosures(text, pass_.language))
    spans: list[tuple[int, int]] = []
    dropped = passed = 0
    for candidate in _CANDIDATE.finditer(text):
        border = pass_.border(candidate)
        if not border:
            continue
        while passed < len(closed) and closed[passed][1] <= border:
            passed += 1
        if passed < len(closed) and closed[passed][0] < border:
            continue
        dropped += not _append(spans, text, pass_.begin, border)
        pass_.start_after(border)
    dropped += not _append(spans, text, pass_.begin, len(text))
    if tally is not None and dropped:
        tally.drop("sentence_without_letter", dropped)
    return spans


def _append(spans: list[tuple[int, int]], text: str, start: int, border: int) -> bool:
    """Append the span without trailing white space; return False if it is not empty, but has no letter."""
    while border > start and text[border - 1].isspace():
        border -= 1
    if start >= border:
        return True
    if text[start].isalpha() or _LETTER.search(text, start, border):
        spans.append((start, border))
        return True
    return False


def _union(first: Sequence[tuple[int, int]], second: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    """The insides of both lists of spans, sorted and disjoint."""
    if not second:
        return first
    spans: list[tuple[int, int]] = []
    for start, end in sorted([*first, *second]):
        if spans and start < spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((start, end))
    return spans


@lru_cache(maxsize=1_000)
def _language(lang: str) -> tuple[str, Abbreviations]:
    """The base code of a language, and its abbreviations."""
    return language_key(lang).partition("-")[0], abbreviations_of(lang)


class _Pass:
    """One pass over a text, from its start to its end.

    Attributes:
        begin: where the current sentence starts.
        language: base code.
    """

    def __init__(self, text: str, lang: str) -> None:
        self._text = text
        self.language, self._rules = _language(lang)
        self._quotes = self._counted = 0  # straight quotation marks of this line before a position
        self.begin = 0
        self.start_after(0)

    def start_after(self, border: int) -> None:
        """Let the next sentence start at the first visible character."""
        text, length = self._text, len(self._text)
        # White space that was passed already is not passed again at each of its newlines.
        border = max(border, self.begin)
        while border < length and text[border].isspace():
            border += 1
        self.begin = border

    def border(self, candidate: re.Match[str]) -> int:
        """The end of the sentence at a candidate; 0 if none ends there."""
        shown, end = candidate[0], candidate.end()
        if shown == "\n":
            self._quotes, self._counted = 0, end
            return end
        if shown[0] in _IDEOGRAPHIC:
            return self._after_ideographic(candidate)
        following = candidate[1] or ""
        if following == '"':
            end, following = self._behind_straight_quote(end, following)
        if self._goes_on(following, end):
            return 0
        if self._text[end - 1] in CLOSING_QUOTES and runs_on(self._text, end, self.language):
            return 0
        if shown[0] != "." or shown.startswith(".."):
            return end
        stop = FullStop(self._text, candidate.start(), end, following, self.begin, self._rules, self.language)
        return end if stop.ends_sentence() else 0

    def _goes_on(self, following: str, end: int) -> bool:
        """Whether no sentence can start with what follows: a small letter, but "iPhone", or such a mark."""
        first = following[:1]
        if first.isalnum():
            return first.islower() and not following[1:2].isupper()
        if first in _DASHES:
            dashed = _BEHIND_DASH.match(self._text, end)
            return dashed is not None and dashed[1].islower()
        return first in _NEVER_FIRST

    def _after_ideographic(self, candidate: re.Match[str]) -> int:
        """Leave an opening mark to the next sentence; join what continues a quotation."""
        marks_end, end = candidate.end(2), candidate.end()
        never = _NEVER_FIRST
        if end > marks_end:
            never = _AFTER_QUOTE
            for at in range(marks_end, end):
                mark = self._text[at]
                opens = mark in "“‘" and is_unspaced(self.language)
                if opens or (mark == '"' and not self._is_quoted(at)):
                    return at
            last = self._text[end - 1]
            if last in "》〉" or (last in ")）】〕" and self._text[self.begin] not in "(（【〔"):
                return 0  # a title, or words in brackets, within a sentence
            if last in CLOSING_QUOTES and runs_on(self._text, end, self.language):
                return 0
        return 0 if candidate[3] in never else end

    def _behind_straight_quote(self, end: int, following: str) -> tuple[int, str]:
        """Where a mark with white space at both sides closes a quotation: the position behind it."""
        closing = _STRAIGHT_QUOTE.match(self._text, end)
        if closing is None or not self._is_quoted(closing.end() - 1):
            return end, following
        return closing.end(), closing[1] or ""

    def _is_quoted(self, at: int) -> bool:
        """Whether a straight quotation mark is open at this position; calls must be in order."""
        self._quotes += self._text.count('"', self._counted, at)
        self._counted = at
        return self._quotes % 2 == 1
