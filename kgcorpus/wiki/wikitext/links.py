"""The last pass: internal links. Text and offsets grow together, so they cannot drift."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import characters
from kgcorpus.wiki.wikitext.characters import LINK_END
from kgcorpus.wiki.wikitext.markup import BRACKET, StrippedText
from kgcorpus.wiki.wikitext.trails import trail_of

# `[[Rom (Stadt)|]]`, `[[Boston, Massachusetts|]]`: what the pipe trick cuts.
_PIPE_TRICK = re.compile(r"^[^:]*:(?=.)|\s*[(（][^()（）]*[)）]$|[,，、]\s.*$")
_STRAY = re.compile(rf"\[\[(?:[^\[\]|\n]*\|)?|\]\]|{LINK_END}")


class Link(NamedTuple):
    """An internal link to a page of the main namespace; `target` is a normalised title."""

    start: int
    end: int
    anchor: str
    target: str


@dataclass(frozen=True, slots=True)
class Article:
    """Plain text, blocks joined by a newline, and its links: `text[start:end] == anchor`, in order.

    Attributes:
        kinds: what each line is: paragraph, list, heading, cell or caption.
        balanced: every template, table and link that is opened is closed.
        shallow: no markup is nested deeper than `markup` looks.
        dropped: as of `StrippedText`.
    """

    text: str
    links: list[Link]
    kinds: list[str]
    balanced: bool
    shallow: bool
    dropped: list[str]


@cache
def _pattern(lang: str) -> re.Pattern[str]:
    """Groups: target, label (None without a bar), trail."""
    letter = trail_of(lang)
    trail = f"({letter}*)" if letter else "()"
    label = rf"[^\[\]\n]*+(?>(?:(?:{BRACKET}|\](?!\]))[^\[\]\n]*+)*)"
    # A pattern that begins with one character is found faster than with two.
    return re.compile(rf"\[(?=\[)\[([^\[\]|\n]*+)(?:\|({label}))?\]\]{trail}{LINK_END}*+")


def link_up(stripped: StrippedText, site: Site) -> Article:
    """The article of a text in which links are the only markup left."""
    text, kinds, balanced, shallow, dropped = stripped
    pattern = _pattern(site.lang)
    parts = pattern.split(text)
    if _has_stray(text, parts[::4]):
        (text, kinds), balanced = _without_strays(text, kinds, pattern), False
        parts = pattern.split(text)
    leads, targets, labels, trails = (parts[k::4] for k in range(4))
    if LINK_END in "".join(leads):
        leads = [lead.replace(LINK_END, "") for lead in leads]  # it ended letters that belong to no link
    written = [target if label is None else label for target, label in zip(targets, labels, strict=True)]
    anchors = list(map(str.__add__, written, trails))
    for i in [i for i, text in enumerate(written) if text.strip(" :") != text or not text]:
        following = trails[i] or leads[i + 1]
        leads[i], anchors[i], after = _spaced(leads[i], targets[i], labels[i], trails[i], following)
        leads[i + 1] = after + leads[i + 1]
    pieces = [""] * (2 * len(anchors) + 1)
    pieces[::2], pieces[1::2] = leads, anchors
    places = list(accumulate(map(len, pieces)))
    joined = "".join(pieces)
    whole = characters.shown(joined)
    if whole is not joined:
        anchors = list(map(characters.shown, anchors))
    titles = site.articles(set(targets))
    rows = zip(places[:-1:2], places[1::2], anchors, map(titles.get, targets), strict=True)
    # `Link(...)` would call Python code for each row.
    found = [tuple.__new__(Link, row) for row in rows if row[3] is not None and row[2]]
    return Article(whole, found, kinds, balanced, shallow, dropped)


def _has_stray(text: str, outside: list[str]) -> bool:
    """Whether a double bracket is in a part outside the links."""
    if not any("[" in part or "]" in part for part in outside):
        return False
    links = len(outside) - 1
    return text.count("[[") != links or text.count("]]") != links


def _without_strays(text: str, kinds: list[str], pattern: re.Pattern[str]) -> tuple[str, list[str]]:
    """The lines without brackets that make no link, and without those lines that were nothing else."""
    either = re.compile(rf"({pattern.pattern})|{_STRAY.pattern}")
    cleaned = either.sub(lambda found: found[1] or "", text).split("\n")
    lines = [(" ".join(line.split()), kind) for line, kind in zip(cleaned, kinds, strict=True)]
    kept = [(line, kind) for line, kind in lines if line]
    return "\n".join(line for line, _ in kept), [kind for _, kind in kept]


def _spaced(lead: str, target: str, label: str | None, trail: str, following: str) -> tuple[str, str, str]:
    """The text before, in and after a link that begins or ends in a space or colon, or has an empty label.

    Spaces of the label go out of the link. `following` is the trail, or the text after it.
    """
    if label is None:
        return lead, (target.removeprefix(":") + trail).strip(), ""
    if not label or label.isspace():
        return lead, (_PIPE_TRICK.sub("", target.strip().removeprefix(":")) + trail).strip(), ""
    if label.startswith(" ") and not lead.endswith((" ", "\n")):
        lead += " "
    if not label.endswith(" "):
        return lead, (label + trail).strip(), ""
    return lead, label.strip(), trail if following[:1].isspace() or not following else " " + trail
