"""Characters that later passes would read as markup, hidden until all passes are done."""

import html
import re

from kgcorpus.wiki.wikitext.blocks import CAPTION, CELL

# Noncharacters replace brackets and bars that are text; they have no meaning in any interchange.
_HIDING = {"[": "\ufdd0", "]": "\ufdd1", "|": "\ufdd2"}
_HIDDEN = str.maketrans(_HIDING)
# `]]` before markup, which ends the link's letters; the place of a removed template or element; and what
# nested templates rendered, which must not split the arguments around it.
LINK_END, HOLE, SOFT_BAR, SOFT_EQUALS = "\ufdd5", "\ufdd6", "\ufdd7", "\ufdd8"
# Where anything depends on what was removed: between such characters, and apostrophes.
_OPENERS = frozenset("([（,;，、；:：'–-/" + LINK_END + HOLE)
_CLOSERS = frozenset(")]）,;，、；.'" + LINK_END)
# `leaves_hole` is false behind any other character.
MAY_LEAVE_HOLE = _OPENERS | {" ", "'"}
_MARKS = (*_HIDING.values(), CELL, CAPTION, LINK_END, HOLE, SOFT_BAR, SOFT_EQUALS)
_SPACES = "\x0b\x0c\x1c\x1d\x1e\x1f"
_MARKUP = {ord(c): f"&#{ord(c)};" for c in "[]{}|'<>=*#:;_!-"} | {ord("\n"): " "}

_LONGEST_TRAIL = 32

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SPACE_ENTITY = re.compile(
    r"&(?:nbsp|ensp|emsp|emsp1[34]|thinsp|hairsp|numsp|puncsp|Tab|NewLine"
    r"|#0*(?:9|10|13|32|160|819[2-9]|820[0-2]|8239|8287|12288)"
    r"|#[xX]0*(?:9|[aA]|[dD]|20|[aA]0|200[0-9aA]|202[fF]|205[fF]|3000));"
)


def cleaned(text: str) -> str:
    """`text` with line ends as `\\n`, and without the characters that other passes use as marks."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    for mark in _MARKS:
        if mark in text:
            text = text.replace(mark, "")
    for control in _SPACES:
        if control in text:
            text = text.replace(control, " ")
    return text


def leaves_hole(before: str, after: str) -> bool:
    """Whether a template or element removed between these two characters and one leaves its mark."""
    last = before[-1:]
    if last == " ":
        return before[:1] in _OPENERS or after in _CLOSERS
    if last == "'":
        return after == "'"  # two runs of apostrophes stay two
    return last in _OPENERS


def ends_link(text: str) -> bool:
    """Whether `text` ends in a link, or in letters behind one."""
    last = text[-1:]
    if not last.isalpha():
        return last == "]" and text.endswith("]]")
    link = text.rfind("]]", max(0, len(text) - _LONGEST_TRAIL))
    return link >= 0 and text[link + 2 :].isalpha()


def as_entities(text: str) -> str:
    """`text` with its markup written as entities, so that it stays text (`<nowiki>`)."""
    return text.translate(_MARKUP)


def space_entities_decoded(text: str) -> str:
    """Every entity of white space is a space; before white space is normalised."""
    return _SPACE_ENTITY.sub(" ", text) if "&" in text else text


def entities_decoded(text: str) -> str:
    """Every entity is its character, once (`&amp;lt;` is `&lt;`); brackets and bars stay hidden."""
    return _ENTITY.sub(_decoded, text) if "&" in text else text


def _decoded(entity: re.Match[str]) -> str:
    character = html.unescape(entity[0])
    return " " if character.isspace() else character.translate(_HIDDEN)


def shown(text: str) -> str:
    """The hidden characters shown; every position stays."""
    for character, noncharacter in _HIDING.items():
        if noncharacter in text:
            text = text.replace(noncharacter, character)
    return text
