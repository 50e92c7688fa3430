"""Sentence borders by rule, for ten languages; one compiled pattern finds the candidates."""

import re
from bisect import bisect_left
from collections.abc import Sequence

from kgcorpus.wiki.abbreviations import ABBREVIATIONS, OPENERS

_CLOSERS = "\"'”’»›)\\]」』）】〉》"
# A run of end marks and closing marks before white space; an ideographic one anywhere; a newline.
_CANDIDATE = re.compile(rf"[.!?…]+[{_CLOSERS}]*(?=\s)|[。！？｡]+[!?！？。{_CLOSERS}]*|\n")
_TOKEN = re.compile(r"[^\s(\[{\"“„«‘'’/–—-]*$")  # what stands before the mark, back to a separator
_TOKEN_REACH = 24
_LETTER = re.compile(r"[^\W\d_]")
_SPACE = re.compile(r"\s*")
_OPENING = "\"'“„«‹‘¿¡([「『（【〈《"
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_WORD = re.compile(r"\w+")
_ROMAN = re.compile(r"[IVX]+")
# A quotation in Japanese or Chinese goes on with these: 「…。」と言った.
_AFTER_QUOTE = frozenset("とというのはがをにでもへや、，,。")
_IDEOGRAPHIC = frozenset("。！？｡")
# Here a number with a full stop is an ordinal: `am 3. Oktober`.
_ORDINAL_LANGUAGES = ("de",)


def split_sentences(
    text: str, lang: str, *, protected: Sequence[tuple[int, int]] = ()
) -> list[tuple[int, int]]:
    """Spans of the sentences, in order, without white space at their ends.

    A newline always ends a sentence. Spans without any letter are left out.

    Args:
        protected: sorted disjoint spans, such as links, in which no sentence ends (not at a newline either).
    """
    abbreviations = ABBREVIATIONS.get(lang, ABBREVIATIONS["en"])
    starts = [start for start, _ in protected]
    spans: list[tuple[int, int]] = []
    begin = 0
    for candidate in _CANDIDATE.finditer(text):
        border = candidate.end()
        if starts:
            at = bisect_left(starts, border) - 1
            if at >= 0 and border < protected[at][1]:
                continue
        if candidate[0] != "\n" and not _ends(text, candidate, lang, abbreviations):
            continue
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


def _ends(text: str, mark: re.Match[str], lang: str, abbreviations: frozenset[str]) -> bool:
    shown, begin = mark[0], mark.start()
    at = _SPACE.match(text, mark.end()).end()  # type: ignore[union-attr]
    following = text[at : at + 1]
    if shown[0] in _IDEOGRAPHIC:
        quoted = shown[-1] not in _IDEOGRAPHIC and shown[-1] not in "!?"
        return not (quoted and following in _AFTER_QUOTE)
    if not following:
        return True
    if following.islower() or following in ",;:)":
        return False
    if shown[0] != "." or shown.startswith(".."):
        return True
    token = _TOKEN.search(text, max(0, begin - _TOKEN_REACH), begin)[0]  # type: ignore[index]
    return not _abbreviates(token, text, at, lang, abbreviations)


def _abbreviates(token: str, text: str, at: int, lang: str, abbreviations: frozenset[str]) -> bool:
    """Whether the full stop after `token` belongs to it, the next word standing at `at`."""
    if token.lower() in abbreviations:
        return True
    if len(token) == 1 and token.isalpha():
        return token.isupper() and not token.isdecimal()  # initials: J. S. Bach
    if _ACRONYM.fullmatch(token):
        word = _WORD.match(text, at)
        return word is not None and word[0] not in OPENERS
    if lang in _ORDINAL_LANGUAGES:
        return (token.isdecimal() and len(token) <= 2) or _ROMAN.fullmatch(token) is not None
    return False
