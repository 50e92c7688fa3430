"""Templates and parameters, from one pass over the braces, matched as MediaWiki's preprocessor does.

A run of braces is opened as a whole, and closed two (a template) or three (a parameter) at a time, innermost
first; single braces are text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from kgcorpus.wiki.wikitext.characters import (
    HOLE,
    LINK_END,
    MAY_LEAVE_HOLE,
    SOFT_BAR,
    SOFT_EQUALS,
    leaves_hole,
)

# Templates nested deeper than this go unrendered, so that no text is copied more often.
_MOST_LEVELS = 40

_UNCLOSED, _UNOPENED = re.compile(r"\{\{[^\n]*+"), re.compile(r"\}\}+")


@dataclass(slots=True)
class _Opened:
    """A run of opening braces.

    Attributes:
        before: the text before it.
        braces: how many are not closed yet.
        start: index of the first piece inside.
        levels: templates nested inside, one in another.
        dropped: names of templates inside that rendered as nothing.
    """

    before: str
    braces: int
    start: int
    levels: int = 0
    dropped: list[str] | None = None


@dataclass(slots=True)
class Expanded:
    """Text without braces of templates.

    Attributes:
        balanced: every run of braces that is opened is closed; else the rest of its line is gone.
        shallow: no template is nested deeper than 40 levels.
        dropped: names of the templates within lines of other text that rendered as nothing, each use.
    """

    text: str
    balanced: bool
    shallow: bool
    dropped: list[str]


def expand(text: str, render: Callable[[str, str], str | None], *, variants: bool) -> Expanded:
    """Replace templates by what they render as, and parameters by their defaults.

    Args:
        render: (name, arguments that begin with a bar, or nothing) -> text; None for a template that carries
            no text known here.
        variants: the wiki has language conversion: in `-{{{x}}}-` a template is within `-{` and `}-`.
    """
    first, runs = _runs(text)
    stack = _Stack(first, render, variants=variants)
    n, last = 0, len(runs) - 1
    while n <= last:
        braces, after = runs[n]
        if braces == 2 and n < last and runs[n + 1][0] == -2:
            n += 1
            stack.innermost(after, runs[n][1])
        elif braces > 0:
            stack.open(braces, after)
        else:
            stack.close(-braces, after)
        n += 1
    expanded = "".join(stack.out)
    balanced = stack.balanced and not stack.opened
    if not balanced:
        expanded = _UNOPENED.sub("", _UNCLOSED.sub("", expanded))
    expanded = expanded.replace(SOFT_BAR, "|").replace(SOFT_EQUALS, "=")
    return Expanded(expanded, balanced, stack.shallow, stack.dropped)


class _Stack:
    """The runs that are open, and the pieces of text made so far."""

    def __init__(self, first: str, render: Callable[[str, str], str | None], *, variants: bool) -> None:
        self.out = [first]
        self.opened: list[_Opened] = []
        self.dropped: list[str] = []
        self.shallow = self.balanced = True
        self._before = first
        self._render = render
        self._variants = variants

    def open(self, braces: int, after: str) -> None:
        """Take a run of opening braces and the text behind it."""
        self.out.append("{" * braces)
        self.opened.append(_Opened(self._before, braces, len(self.out)))
        self.out.append(after)
        self._before = after

    def innermost(self, content: str, after: str) -> None:
        """Take a template without braces inside, and the text behind it; as `open` and `close`, but fast."""
        name, bar, rest = content.partition("|")
        shown = self._render(name, bar + rest)
        above = self.opened[-1] if self.opened else None
        if above and not above.levels:
            above.levels = 1
        self._put(shown, self._before, after, above)
        if shown is None and "\n" not in content and _is_inline(self._before, after):
            self._drop([_shown_name(name)], above)
        self.out.append(after)
        self._before = after

    def close(self, braces: int, after: str) -> None:
        """Take a run of closing braces and the text behind it."""
        while braces > 1 and self.opened:
            frame = self.opened[-1]
            closed = 3 if braces > 2 and frame.braces > 2 else 2
            if self._variants and closed == braces == frame.braces and after.startswith("-"):
                closed = 2
            braces -= closed
            self._replace(frame, closed, after)
        if braces:
            self.out.append("}" * braces)
            self.balanced = self.balanced and braces == 1
        self.out.append(after)
        self._before = after

    def _replace(self, frame: _Opened, closed: int, after: str) -> None:
        """Put what the template or parameter renders as in the place of its pieces."""
        out, start = self.out, frame.start
        content = out[start] if len(out) == start + 1 else "".join(out[start:])
        del out[start:]
        frame.braces -= closed
        out[-1] = "{" * frame.braces
        if frame.braces < 2:
            self.opened.pop()
        above = self.opened[-1] if self.opened else None
        dropped, frame.dropped = frame.dropped, None
        name, bar, rest = content.partition("|")
        shown = rest if closed == 3 else self._shown(frame, name, bar + rest)
        if above and above.levels < frame.levels:
            above.levels = frame.levels
        self._put(shown, frame.before, after, above)
        if shown is None:
            is_named = "\n" not in content and _is_inline(frame.before, after)
            dropped = [_shown_name(name)] if is_named else None
        if dropped:
            self._drop(dropped, above)

    def _put(self, shown: str | None, before: str, after: str, above: _Opened | None) -> None:
        """Append what a template shows, or the mark of one that shows nothing."""
        if shown:
            if above and ("|" in shown or "=" in shown):
                shown = shown.replace("|", SOFT_BAR).replace("=", SOFT_EQUALS)
            self.out.append(shown + LINK_END if shown.endswith("]]") else shown)
        elif not before or (before[-1] in MAY_LEAVE_HOLE and leaves_hole(before[-2:], after[:1] or "'")):
            self.out.append(HOLE)

    def _drop(self, names: list[str], above: _Opened | None) -> None:
        if above is None:
            self.dropped += names
        elif above.dropped is None:
            above.dropped = names
        else:
            above.dropped += names

    def _shown(self, frame: _Opened, name: str, rest: str) -> str | None:
        frame.levels += 1
        if frame.levels > _MOST_LEVELS:
            self.shallow = False
            return ""
        return self._render(name, rest)


def _shown_name(name: str) -> str:
    """A template's name as written."""
    return name.replace(LINK_END, "").replace(HOLE, "")


def _runs(text: str) -> tuple[str, list[tuple[int, str]]]:
    """The text before the first run of two or more braces, and each run with the text behind it.

    A run is its number of braces, negative for closing ones. Searching for one character is faster than for
    two, or by a pattern.
    """
    find = text.find
    opening, closing = find("{"), find("}")
    runs: list[tuple[int, str]] = []
    first = ""
    at = braces = 0
    while opening >= 0 or closing >= 0:
        is_opening = 0 <= opening < closing or closing < 0
        start = opening if is_opening else closing
        brace = "{" if is_opening else "}"
        end = start + 1
        while text[end : end + 1] == brace:
            end += 1
        if is_opening:
            opening = find("{", end)
        else:
            closing = find("}", end)
        if end == start + 1:
            continue
        piece = text[at:start]
        if is_opening and piece.endswith("]]"):
            piece += LINK_END
        if braces:
            runs.append((braces, piece))
        else:
            first = piece
        at = end
        braces = end - start if is_opening else start - end
    if not braces:
        return text, []
    return first, [*runs, (braces, text[at:])]


def _is_inline(before: str, after: str) -> bool:
    """Whether the template's line has other text."""
    return bool(after[:1].strip()) or bool(before[-4:].rpartition("\n")[2].strip(" *#:;"))
