"""Sentence borders by rule, for ten languages; one compiled pattern finds the candidates."""

import re
from bisect import bisect_left
from collections.abc import Sequence

from kgcorpus.wiki.abbreviations import ABBREVIATIONS, BEFORE_NUMBER, DEFAULT, MAY_END, OPENERS

_CLOSERS = "\"'”’“‘»›)\\]」』）】〉》"
# A run of end marks and closing marks before white space, an ideographic one anywhere, or a newline; and the
# word or mark that follows.
_CANDIDATE = re.compile(
    rf"(?<![.!?…])[.!?…]++[{_CLOSERS}]*+(?=\s++(\w++|\S)?)|[。！？｡][。！？｡!?]*+[{_CLOSERS}]*+(?=\s*+(\S)?)|\n"
)
_TOKEN = re.compile(r"[^\s([{\"“„«‘'’/–—-]*$")  # what stands before a full stop, back to a separator
_TOKEN_REACH = 24
_LETTER = re.compile(r"[^\W\d_]")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_ROMAN = re.compile(r"[IVX]+")
_IDEOGRAPHIC = frozenset("。！？｡")
# A quotation in Japanese or Chinese goes on with these: 「…。」と言った.
_AFTER_QUOTE = frozenset("とというのはがをにでもへや、，,。")
# Here a number with a full stop is an ordinal: `am 3. Oktober`, `Ludwig XIV. war`.
_ORDINAL_LANGUAGES = frozenset({"de"})


def split_sentences(
    text: str, lang: str, *, protected: Sequence[tuple[int, int]] = ()
) -> list[tuple[int, int]]:
    """Spans of the sentences, in order, without white space at their ends.

    A newline always ends a sentence. Spans without any letter are left out.

    Args:
        protected: sorted disjoint spans, such as links, in which no sentence ends (not at a newline either).
    """
    starts = [start for start, _ in protected]
    spans: list[tuple[int, int]] = []
    begin = 0
    for candidate in _CANDIDATE.finditer(text):
        border = candidate.end()
        at = bisect_left(starts, border) - 1
        if at >= 0 and border < protected[at][1]:
            continue
        if candidate[0] == "\n" or _ends(text, candidate, lang):
            _append(spans, text, begin, border)
            begin = border
    _append(spans, text, begin, len(text))
    return spans


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    sentence = text[start:end]
    stripped = sentence.strip()
    if _LETTER.search(stripped):
        start += len(sentence) - len(sentence.lstrip())
        spans.append((start, start + len(stripped)))


def _ends(text: str, mark: re.Match[str], lang: str) -> bool:
    shown = mark[0]
    if shown[0] in _IDEOGRAPHIC:
        quoted = shown[-1] not in "。！？｡!?"
        return not (quoted and (mark[2] or "") in _AFTER_QUOTE)
    following = mark[1] or ""
    if following[:1].islower() or following in (",", ";", ":", ")"):
        return False
    if shown[0] != "." or shown.startswith(".."):
        return True
    token = _TOKEN.search(text, max(0, mark.start() - _TOKEN_REACH), mark.start())
    return token is None or not _abbreviates(token[0], following, lang)


def _abbreviates(token: str, following: str, lang: str) -> bool:
    """Whether the full stop after `token` belongs to it."""
    word = token.lower()
    opened = following in OPENERS.get(lang, ())
    if word in MAY_END or _ACRONYM.fullmatch(token):
        return not opened
    if word in ABBREVIATIONS.get(lang, DEFAULT):
        return True
    if word in BEFORE_NUMBER and following[:1].isdecimal():
        return True
    if len(token) == 1 and token.isupper():
        return not opened  # initials: J. S. Bach
    if lang in _ORDINAL_LANGUAGES:
        return (token.isdecimal() and len(token) <= 2) or _ROMAN.fullmatch(token) is not None
    return False
