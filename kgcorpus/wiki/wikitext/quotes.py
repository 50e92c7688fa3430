"""Apostrophes for bold and italics, removed a line at a time by MediaWiki's rule."""

import re

from kgcorpus.wiki.wikitext.characters import LINK_END

_RUN = re.compile(r"''+")
_BEHIND_LINK = re.compile(r"'(?<=\]\]')'+(?=[^\W\d_])")
# Entities are decoded later, so that no other pass takes these for quotes.
_APOSTROPHE = "&#39;"


def without_quotes(text: str) -> str:
    """Remove runs of 2, 3 and 5 apostrophes; the surplus of other runs is text.

    Of a line with an odd number of both bold and italic marks one bold mark is an apostrophe and an italic
    mark: the first behind a word of one letter, else behind a longer word, else behind a space.
    """
    kept: list[str] = []
    at = 0
    long_runs = "''''" in text
    start = text.find("'''")
    while start >= 0:
        end = text.find("\n", start)
        end = end if end >= 0 else len(text)
        bold = text.count("'''", start, end)
        if bold % 2 or long_runs:
            begin = text.rfind("\n", at, start) + 1 or at
            # Without longer runs, every run of 2 or 3 is counted once as two.
            odd = bold % 2 and (text.count("''", begin, end) - bold) % 2
            if odd or (long_runs and text.find("''''", start, end) >= 0):
                kept += [text[at:begin], _line_without_quotes(text[begin:end])]
                at = end
        start = text.find("'''", end)
    if kept:
        text = "".join([*kept, text[at:]])
    return _RUN.sub("", _BEHIND_LINK.sub(LINK_END, text))


def _line_without_quotes(line: str) -> str:
    texts = _RUN.split(line)
    runs = [len(run[0]) for run in _RUN.finditer(line)]
    surplus = [1 if n == 4 else max(0, n - 5) for n in runs]
    marks = [n - more for n, more in zip(runs, surplus, strict=True)]
    italics = sum(n != 3 for n in marks)
    bold = sum(n != 2 for n in marks)
    if italics % 2 and bold % 2:
        chosen = _apostrophe(texts, marks, surplus)
        if chosen is not None:
            surplus[chosen] += 1
    shown = [_behind(text) + _APOSTROPHE * n for text, n in zip(texts, surplus, strict=False)]
    return "".join(shown) + texts[-1]


def _behind(text: str) -> str:
    """`text` before quotes, which end the letters of a link."""
    return text + LINK_END if text.endswith("]]") else text


def _apostrophe(texts: list[str], marks: list[int], surplus: list[int]) -> int | None:
    """The index of the bold mark that begins with an apostrophe.

    MediaWiki counts bytes, so that a word of one letter is one of ASCII.
    """
    long_word = space = None
    for i, n in enumerate(marks):
        if n != 3:
            continue
        before = texts[i] + "'" * surplus[i]
        if before[-1:] == " ":
            space = i if space is None else space
        elif before[-2:-1] == " " and before[-1].isascii():
            return i
        elif long_word is None:
            long_word = i
    return space if long_word is None else long_word
