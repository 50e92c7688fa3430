"""First pass: removes comments, and elements whose content is not wikitext or makes them plain text.

As MediaWiki's preprocessor, it reads from left to right, and what opens first wins: a comment mark inside
`<syntaxhighlight>` is code, and `<ref>` inside a comment opens nothing.
"""

import re

from kgcorpus.wiki.wikitext import characters
from kgcorpus.wiki.wikitext.characters import HOLE, LINK_END, MAY_LEAVE_HOLE, leaves_hole

# Tags of extensions, which read their content themselves.
_REMOVED = (
    "ref|references|math|chem|ce|gallery|timeline|score|syntaxhighlight|source|pre|imagemap|templatestyles"
    "|hiero|graph|mapframe|maplink|inputbox|indicator|categorytree|section|includeonly"
)
# Group 1 is the name; group 2 takes part if the match is the whole element.
_OPENING = re.compile(
    rf"<(?:!--|(nowiki|code|{_REMOVED})(?=[\s/>])[^>]*+>(?:(?:(?<=/>)|[^<]*+</\1\s*+>)())?)",
    re.IGNORECASE,
)
_CLOSING = {
    name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in f"nowiki|code|{_REMOVED}".split("|")
}
# An empty `<nowiki/>` before these makes them text.
_LINE_MARKS = frozenset("*#:;=")
_BLANKS = re.compile(r"[ \t]*+")


def shield(text: str) -> tuple[str, bool]:
    """Remove comments and elements that hold no prose; write the content of `<nowiki>` as entities.

    An element that is never closed opens nothing. A comment that is never closed reaches to the end of the
    page. A comment that fills its line goes with the line. Unlike MediaWiki, a comment mark in `<code>` is
    text if its comment does not end there.

    Returns:
        The text behind a line end, and whether every comment is closed.
    """
    kept = ["\n"]
    search = _OPENING.search
    ends = _Ends(text)
    # Behind the last `>` no tag and no comment ends.
    end = text.rfind(">") + 1
    at = start = code_end = 0
    while found := search(text, start, end):
        opened, start = found.span()
        name = found[1]
        if name is None:
            stop = ends.of_comment(start)
            if opened < code_end and not 0 <= stop <= code_end:
                continue
            if stop < 0:
                return "".join([*kept, text[at:opened]]), False
            lead, at = _before_comment(text, at, opened, stop, ends)
            kept.append(lead)
            start = at
            continue
        name = name.lower()
        is_whole = found.lastindex == 2
        if name == "code":
            if not is_whole and start > code_end:
                code_end = ends.of_element(name, start)[0]
            continue
        stop = start if is_whole else ends.of_element(name, start)[1]
        if stop < 0:
            continue
        before = text[at:opened]
        kept.append(before)
        last = before[-1:]
        if characters.ends_link(before):
            kept.append(LINK_END)
        if name == "nowiki":
            inside = text[opened:stop].partition(">")[2].rpartition("<")[0]
            follows = text[stop : stop + 1]
            if not inside and follows in _LINE_MARKS and text[opened - 1 : opened] in ("", "\n"):
                inside = follows
                stop += 1
            kept.append(characters.as_entities(inside) or HOLE)
        elif last in MAY_LEAVE_HOLE and leaves_hole(before[-2:], text[stop : stop + 1]):
            kept.append(HOLE)
        at = start = stop
    unclosed = text.find("<!--", max(start, code_end))
    kept.append(text[at:] if unclosed < 0 else text[at:unclosed])
    return "".join(kept), unclosed < 0


def _before_comment(text: str, at: int, opened: int, stop: int, ends: "_Ends") -> tuple[str, int]:
    """What of the text from `at` to a comment stays, and the position behind it and those that touch it."""
    lead = text[at:opened]
    line = lead.rstrip(" \t")
    if line.endswith("\n") or not (line or at):
        stop, rest = ends.of_comments(stop)
        if text[rest : rest + 1] in ("\n", ""):
            return line[:-1], rest
    return lead, stop


class _Ends:
    """Where comments and elements end; positions are asked in rising order, so that no text is read twice."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._comment = 0
        self._unclosed: set[str] = set()

    def of_comment(self, start: int) -> int:
        """The position behind the first `-->` from `start`; -1 if there is none."""
        if 0 <= self._comment < start + 3:
            self._comment = self._text.find("-->", start) + 3
            if self._comment < 3:
                self._comment = -1
        return self._comment

    def of_comments(self, stop: int) -> tuple[int, int]:
        """The end of the last comment that follows `stop` after nothing but blanks, and of its blanks."""
        while True:
            rest = _BLANKS.match(self._text, stop).end()  # type: ignore[union-attr]
            after = self.of_comment(rest + 4) if self._text.startswith("<!--", rest) else -1
            if after < 0:
                return stop, rest
            stop = after

    def of_element(self, name: str, start: int) -> tuple[int, int]:
        """The span of the first closing tag from `start`; (-1, -1) if there is none."""
        closing = None if name in self._unclosed else _CLOSING[name].search(self._text, start)
        if closing is None:
            self._unclosed.add(name)
            return -1, -1
        return closing.span()
