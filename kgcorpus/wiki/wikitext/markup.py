"""Removal of all markup except internal links, in passes of `re.sub`.

Every pattern stops at the next opening mark (possessive quantifiers never go back), so that no input,
however unbalanced, takes more than linear time a pass; the passes are capped.
"""

import re
from collections.abc import Callable, Set
from itertools import chain
from typing import NamedTuple

from kgcorpus.wiki.site import LANGUAGE_CODES, Site
from kgcorpus.wiki.wikitext import characters
from kgcorpus.wiki.wikitext.blocks import CAPTION, blocks_of, caption_of, cells_of
from kgcorpus.wiki.wikitext.braces import expand
from kgcorpus.wiki.wikitext.characters import HOLE, LINK_END
from kgcorpus.wiki.wikitext.exponents import exponents_shown
from kgcorpus.wiki.wikitext.parentheses import without_holes
from kgcorpus.wiki.wikitext.quotes import without_quotes
from kgcorpus.wiki.wikitext.shielding import shield
from kgcorpus.wiki.wikitext.templates import renderer
from kgcorpus.wiki.wikitext.variants import converted, variants_of

_MOST_PASSES = 40

_REMOVED = "table|style|script"
_BLOCK = "p|div|blockquote|li|ul|ol|dl|dt|dd|center|h1|h2|h3|h4|h5|h6|hr|poem|tr|td|th|caption|tbody|thead"
# Also tags that are left of elements which are never closed, or never opened.
_INLINE = (
    f"{_REMOVED}|ref|references|math|chem|ce|gallery|timeline|score|syntaxhighlight|source|pre|imagemap"
    "|templatestyles|hiero|graph|mapframe|maplink|inputbox|indicator|categorytree|section|noinclude"
    "|nowiki|b|i|u|s|big|small|sub|sup|span|font|tt|code|var|kbd|samp|cite|em|strong|del|ins|q"
    "|abbr|bdi|bdo|dfn|mark|rp|rt|rb|rtc|ruby|time|wbr|strike|includeonly|onlyinclude|data|a|img|langconvert"
)

# Groups are made possessive as (?>(?:...)*), not (?:...)*+: before Python 3.11.5 the latter fails to match
# where an alternative inside has backtracked (CPython issue 106052).
# One that closes itself, or with all that is in it if no other of these opens there.
_ELEMENT = re.compile(
    rf"<(?!/)({_REMOVED})\b[^<>]*+>(?:(?<=/>)|[^<]*+(?>(?:<(?!/?(?:{_REMOVED})\b)[^<]*+)*)</\1\s*>)",
    re.IGNORECASE,
)

# Before a line's mark there may be nothing but what was removed.
_LEAD = rf"[ \t:*#{HOLE}]*+"
_TABLE = re.compile(
    rf"\n{_LEAD}\{{\|[^\n]*+(?>(?:\n(?!{_LEAD}\{{\||[ \t{HOLE}]*+\|\}})[^\n]*+)*)\n[ \t{HOLE}]*+\|\}}"
)
_TABLE_LINE = re.compile(rf"\n[ \t:{HOLE}]*+(?:\{{\||[|!])[^\n]*+")
# What is left of a template that is never closed, and of tables that are never opened.
_PARAMETER_LINE = re.compile(r"\n[ \t]*+\|[^\n|=\[\]]*+=[^\n]*+")
_STRAY_TABLE = re.compile(r'\{\|(?:\s*+[a-z]++\s*+=\s*+"[^"\n]*+")++')
_TABLE_MARK = re.compile(r"\n[ \t:]*+\|(?:\}|-+[^\n\w]*+(?=\n|\Z))")

# A single bracket in a link; `]` closes it, but not where `]]` ends the link (as in `[[a|b [c]] d`).
BRACKET = r"\[(?!\[)[^\[\]\n]*+(?:\](?!\](?!\]))|)"
# Group 2 does not take part if the link is not closed, or has links in links in it.
_COLON_LINK = re.compile(
    r"\[\[[ _]*+([^\[\]|:\n]{1,60}+):"
    rf"((?>(?:[^\[\]]++|\[\[(?>(?:[^\[\]]++|{BRACKET}|\](?!\]))*)\]\]|{BRACKET}|\](?!\]))*)\]\]{LINK_END}?)?"
)

_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*+)\b[^<>]*+>")
_SHOWN_FOR_TAG = {
    "br": " ",
    **dict.fromkeys(_BLOCK.split("|"), "\n\n"),
    **dict.fromkeys(_INLINE.split("|"), ""),
}
# An external link, or brackets with nothing in them.
_BRACKETED = re.compile(
    r"\[(?:(?=[fghimnFGHIMN/])(?i:(?:https?:|ftps?:|irc:|gopher:)?//|mailto:|news:)[^\s\[\]]*+[^\S\n]*+"
    r"((?>(?:[^\[\]\n]++|\[\[[^\[\]\n]*+\]\])*))\]|(?<!\[\[)\s*+\](?!\]))"
)
_SWITCH = re.compile(r"__(?![^_\n]*[a-z])[^\W_]++(?:_[^\W_]++)*__")
# The letters behind a link end where markup or an entity follows; a mark that ends no letters is loose.
_ENDED_TRAIL = re.compile(r"\](?<=\]\])(?:[^\W\d_]++(?=''|[<{}|&])|(?=&))")


class StrippedText(NamedTuple):
    """Text whose only markup is `[[links]]`.

    Attributes:
        text: a paragraph, heading or list item a line, no line empty.
        kinds: what each line is (`blocks`).
        balanced: every template and table that is opened is closed; else the rest went line by line.
        shallow: nothing is nested deeper than the passes go; otherwise deeper markup was not rendered.
        dropped: names, as written, of templates in lines of other text that rendered as nothing; each use.
    """

    text: str
    kinds: list[str]
    balanced: bool
    shallow: bool
    dropped: list[str]


def strip_markup(wikitext: str, site: Site, keep: Set[str] = frozenset()) -> StrippedText:
    """Peel off all markup but links.

    Args:
        keep: `cell` and `caption`, to keep the text of tables and the captions of files. Captions of
            files then follow the rest.
    """
    text, comments = shield(characters.cleaned(wikitext))
    text = _ENDED_TRAIL.sub(rf"\g<0>{LINK_END}", text)
    text, elements = _inside_out(_ELEMENT, _element_shown, text, mark="<")
    convert = bool(variants_of(site.lang))
    templates = expand(text, renderer(site), variants=convert)
    text = converted(templates.text, site) if convert and "-{" in templates.text else templates.text
    text, closed, tables = _without_tables(text, cells="cell" in keep, parameters=not templates.balanced)
    text, media = _without_media(text, site, captions="caption" in keep)
    text = _without_inline_markup(without_quotes(text))
    text, kinds = blocks_of(text)
    balanced = comments and templates.balanced and closed
    shallow = elements and templates.shallow and tables and media
    return StrippedText(characters.entities_decoded(text), kinds, balanced, shallow, templates.dropped)


def _inside_out(
    pattern: re.Pattern[str], shown: Callable[[re.Match[str]], str], text: str, *, mark: str
) -> tuple[str, bool]:
    """Replace what matches, innermost first; False if something is nested deeper than the passes go.

    Args:
        mark: what every match holds.
    """
    for _ in range(_MOST_PASSES):
        if mark not in text:
            return text, True
        text, n = pattern.subn(shown, text)
        if not n:
            return text, True
    return text, not pattern.search(text)


def _element_shown(element: re.Match[str]) -> str:
    return LINK_END + HOLE if element.string.endswith("]]", 0, element.start()) else HOLE


def _without_tables(text: str, *, cells: bool, parameters: bool) -> tuple[str, bool, bool]:
    """Innermost first; behind a table that is never closed, rows and cells go line by line.

    Args:
        cells: the text of cells and captions stays.
        parameters: lines that look like a template's parameters go.

    Returns:
        The text, whether it was balanced, and whether the passes sufficed.
    """

    def shown(table: re.Match[str]) -> str:
        return cells_of(table[0].replace(HOLE, "")) if cells else "\n"

    text, shallow = _inside_out(_TABLE, shown, text, mark="{")
    if parameters:
        text = _PARAMETER_LINE.sub("", text)
    opened = text.find("{|") if "{" in text else -1
    if opened >= 0:
        line = text.rfind("\n", 0, opened)
        text = _TABLE_MARK.sub("", text[:line]) + _STRAY_TABLE.sub("", _TABLE_LINE.sub("", text[line:]))
    return _TABLE_MARK.sub("\n", text), opened < 0, shallow


def _without_media(text: str, site: Site, *, captions: bool) -> tuple[str, bool]:
    """Drop files, categories and language links; the text of others is `links`' task.

    Returns:
        The text, and whether the passes sufficed.
    """
    shown: list[str] = []
    is_removed = is_left = True
    numbers: dict[str, int] = {}

    def kept(link: re.Match[str]) -> str:
        nonlocal is_removed, is_left
        number = numbers.get(link[1])
        if number is None:
            name = " ".join(link[1].replace("_", " ").split()).casefold()
            number = numbers[link[1]] = -1 if name in LANGUAGE_CODES else site.namespaces.get(name, 0)
        if number not in (-1, 6, 14):
            return link[0]
        if link[2] is None:
            is_left = True
            return link[0]
        is_removed = True
        if captions and number == 6 and (caption := caption_of(link[0].removesuffix(LINK_END))):
            shown.append(f"\n{CAPTION}{caption}")
        return "" if link.string[link.start() - 1] == "\n" else HOLE

    passes = 0
    while is_removed and is_left and passes < _MOST_PASSES:
        is_removed = is_left = False
        text = _COLON_LINK.sub(kept, text)
        passes += 1
    return text + "".join(shown), not (is_removed and is_left)


def _without_inline_markup(text: str) -> str:
    if "<" in text:
        text = _TAG.sub(_tag_shown, exponents_shown(text))
    text = _BRACKETED.sub(rf"\1{LINK_END}", text)
    if "_" in text:
        text = _SWITCH.sub("", text)
    text = without_holes(characters.space_entities_decoded(text))
    return _without_loose_ends(text) if LINK_END in text else text


def _without_loose_ends(text: str) -> str:
    """Remove the marks that end neither a link nor the letters behind one."""
    pieces = text.split(LINK_END)
    ends = [LINK_END if characters.ends_link(piece) else "" for piece in pieces[:-1]]
    return "".join(chain.from_iterable(zip(pieces, [*ends, ""], strict=True)))


def _tag_shown(tag: re.Match[str]) -> str:
    shown = _SHOWN_FOR_TAG.get(tag[1].lower())
    if shown is None:
        return tag[0]
    return LINK_END + shown if tag.string.endswith("]]", 0, tag.start()) else shown
