"""Spans between matching brackets or quotation marks, in which no sentence ends."""

import re

from kgcorpus.contracts.scripts import is_unspaced

# Longer text between two marks is more likely to have lost a mark in between.
_LONGEST = 1_000
_BRACKETS = dict(zip("《〈「『（【〔｢〖", "》〉」』）】〕｣〗", strict=True))
# In Chinese and Japanese these open and close in one direction only, and quote whole sentences.
_QUOTES = {**_BRACKETS, "“": "”", "‘": "’", "(": ")"}


_ENDS = "。！？｡.!?…؟"


def _pattern(pairs: dict[str, str]) -> re.Pattern[str]:
    """A mark or a line end; two marks without a mark between them. Group 1: the end of a sentence there."""
    opening, closing = re.escape("".join(pairs)), re.escape("".join(pairs.values()))
    return re.compile(
        rf"[{opening}{closing}\n](?:(?<=[{opening}])"
        rf"[^{opening}{closing}\n{_ENDS}]*+(?:([{_ENDS}])[^{opening}{closing}\n]*+)?[{closing}])?"
    )


def _holding(pairs: dict[str, str]) -> re.Pattern[str]:
    """An opening mark that its own closing mark does not follow before other marks and sentence ends."""
    marks = re.escape("".join([*pairs, *pairs.values()]))
    pair = (
        rf"{re.escape(left)}[^{marks}\n{_ENDS}]*+[^{re.escape(right)}\n]" for left, right in pairs.items()
    )
    return re.compile("|".join(pair))


_BRACKET_MARK, _QUOTE_MARK = _pattern(_BRACKETS), _pattern(_QUOTES)
_HOLDING_BRACKET, _HOLDING_QUOTE = _holding(_BRACKETS), _holding(_QUOTES)


def enclosures(text: str, language: str) -> list[tuple[int, int]]:
    """Return the outermost pairs of East Asian brackets that hold the end of a sentence, or other marks.

    A pair is within one line and at most 1,000 characters long. A mark without a partner encloses nothing.

    Args:
        language: base code; in `ja` and `zh`, curly quotation marks and `()` count too.

    Returns:
        Sorted disjoint spans, both marks included.
    """
    if text.isascii():
        return []
    if is_unspaced(language):
        pairs, mark, first = _QUOTES, _QUOTE_MARK, _HOLDING_QUOTE.search(text)
    elif any(opening in text for opening in _BRACKETS):
        pairs, mark, first = _BRACKETS, _BRACKET_MARK, _HOLDING_BRACKET.search(text)
    else:
        return []
    if first is None:
        return []
    # Before it every pair is closed without the end of a sentence in it.
    line = _Line(pairs)
    for found in mark.finditer(text, first.start()):
        shown = found[0]
        if shown == "\n":
            line.end()
        elif len(shown) == 1:
            line.read(shown, found.start())
        elif pairs[shown[0]] != shown[-1]:
            line.read(shown[0], found.start())
            line.read(shown[-1], found.end() - 1)
        elif found[1] and len(shown) <= _LONGEST:
            line.spans.append(found.span())
    return line.spans


class _Line:
    """The open marks of one line, and the closed pairs of the text so far."""

    def __init__(self, pairs: dict[str, str]) -> None:
        self.spans: list[tuple[int, int]] = []
        self._pairs = pairs
        self._open: list[tuple[str, int]] = []  # the closing mark that each waits for, and where it is
        self._waiting = dict.fromkeys(pairs.values(), 0)

    def end(self) -> None:
        """Forget the marks that this line left open."""
        if self._open:
            self._open.clear()
            self._waiting = dict.fromkeys(self._waiting, 0)

    def read(self, mark: str, at: int) -> None:
        """Open a pair, or close the nearest of the same kind and forget those opened within it."""
        closing = self._pairs.get(mark)
        if closing is not None:
            self._open.append((closing, at))
            self._waiting[closing] += 1
        elif self._waiting[mark]:
            wanted = ""
            while wanted != mark:
                wanted, start = self._open.pop()
                self._waiting[wanted] -= 1
            if at + 1 - start <= _LONGEST:
                while self.spans and self.spans[-1][0] > start:
                    self.spans.pop()
                self.spans.append((start, at + 1))
