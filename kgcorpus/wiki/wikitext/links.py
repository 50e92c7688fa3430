"""The last pass: internal links. Text and offsets grow together, so they cannot drift."""

import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import characters

# Letters that follow `]]` and belong to the link, as each language of MediaWiki defines them.
_TRAILS = {
    "de": "a-zäöüß",
    "es": "a-záéíóúñ",
    "fr": "a-zàâçéèêîôûäëïöüùÇÉÂÊÎÔÛÄËÏÖÜÀÈÙ",
    "it": "a-zàéèíîìóòúù",
    "nl": "a-zäöüïëéèà",
    "vi": "a-zàâçéèêîôûäëïöüùÇÉÂÊÎÔÛÄËÏÖÜÀÈÙ",
}
_WITHOUT_TRAIL = ("ja", "ko", "zh")

# `[[Rom (Stadt)|]]`, `[[Boston, Massachusetts|]]`: what the pipe trick cuts.
_PIPE_TRICK = re.compile(r"^[^:]*:(?=.)|\s*[(（][^()（）]*[)）]$|[,，、]\s.*$")
_STRAY = re.compile(r"\[\[(?:[^\[\]|\n]*\|)?|\]\]")


class Link(NamedTuple):
    """An internal link to a page of the main namespace; `target` is a normalised title."""

    start: int
    end: int
    anchor: str
    target: str


@dataclass(frozen=True, slots=True)
class Article:
    """Plain text, paragraphs joined by a newline, and its links: `text[start:end] == anchor`, in order."""

    text: str
    links: list[Link]


@cache
def _pattern(lang: str) -> re.Pattern[str]:
    """Groups: target, label (None without a bar), trail."""
    trail = "()" if lang in _WITHOUT_TRAIL else f"([{_TRAILS.get(lang, 'a-z')}]*)"
    label = r"(?>(?:[^\[\]\n]++|\[[^\[\]\n]*+\]|\[(?!\[)|\](?!\]))*)"
    return re.compile(rf"\[\[([^\[\]|\n]*+)(?:\|({label}))?\]\]{trail}")


def link_up(text: str, site: Site) -> Article:
    """The article of a text in which links are the only markup left."""
    parts = _pattern(site.lang).split(text)
    links = len(parts) // 4
    stray = text.count("[[") != links or text.count("]]") != links
    out: list[str] = []
    spans: list[tuple[int, int, str]] = []
    known: dict[str, str | None] = {}
    length = 0
    for at in range(0, len(parts) - 1, 4):
        lead, target, label, trail = parts[at : at + 4]
        if stray:
            lead = _STRAY.sub("", lead)
        if target not in known:
            known[target] = site.article(target)
        title = known[target]
        if label is None:
            shown, after = target.removeprefix(":") + trail, ""
        else:
            if label.startswith(" ") and not lead.endswith((" ", "\n")):
                lead += " "
            shown, after = label + trail, ""
            if label.endswith(" "):
                following = trail or parts[at + 4]
                shown, after = label, trail if following[:1].isspace() or not following else " " + trail
            if not label or label.isspace():
                shown, after = _PIPE_TRICK.sub("", target.strip().removeprefix(":")) + trail, ""
        shown = shown.strip()
        out += (lead, shown, after)
        start = length + len(lead)
        length = start + len(shown) + len(after)
        if title is not None and shown:
            spans.append((start, start + len(shown), title))
    out.append(_STRAY.sub("", parts[-1]) if stray else parts[-1])
    whole = characters.shown("".join(out))
    return Article(whole, [Link(start, end, whole[start:end], title) for start, end, title in spans])
