"""All markup but links, peeled off in passes of `re.sub`, which loops in C.

Every pattern stops at the next opening mark (possessive quantifiers never go back), so that no input,
however unbalanced, takes more than linear time a pass; the passes are capped.
"""

import re
from collections.abc import Callable, Set
from typing import NamedTuple

from kgcorpus.wiki.site import LANGUAGE_CODES, Site
from kgcorpus.wiki.wikitext import characters
from kgcorpus.wiki.wikitext.blocks import CAPTION, blocks_of, caption_of, cells_of
from kgcorpus.wiki.wikitext.templates import renderer

_MOST_PASSES = 40

_DROPPED = (
    "ref|references|math|chem|ce|gallery|timeline|score|syntaxhighlight|source|pre|imagemap|templatestyles"
    "|hiero|graph|mapframe|maplink|inputbox|indicator|categorytree|table|style|script|section|noinclude"
)
_BLOCK = "p|div|blockquote|li|ul|ol|dl|dt|dd|center|h[1-6]|hr|poem|tr|td|th|caption|tbody|thead"
_INLINE = (
    f"{_DROPPED}|nowiki|b|i|u|s|big|small|sub|sup|span|font|tt|code|var|kbd|samp|cite|em|strong|del|ins|q"
    "|abbr|bdi|bdo|dfn|mark|rp|rt|rb|rtc|ruby|time|wbr|strike|includeonly|onlyinclude|data|a|img|langconvert"
)

# Groups are made possessive as (?>(?:...)*), not (?:...)*+: before Python 3.11.5 the latter fails to match
# where an alternative inside has backtracked (CPython issue 106052).
_COMMENT_BODY = r"<!--(?>(?:[^-]++|-(?!->))*)-->"
_NOWIKI = re.compile(
    rf"{_COMMENT_BODY}|<nowiki\s*/>|<nowiki\b[^<>]*+>((?>(?:[^<]++|<(?!/?nowiki\b))*))</nowiki\s*>",
    re.IGNORECASE,
)
# One that closes itself, or with all that is in it if no other of these opens there.
_ELEMENT = re.compile(
    rf"<(?!/)({_DROPPED})\b[^<>]*+>(?:(?<=/>)|[^<]*+(?>(?:<(?!/?(?:{_DROPPED})\b)[^<]*+)*)</\1\s*>)",
    re.IGNORECASE,
)
_VARIANT = re.compile(r"-\{([^{}]*+)\}-")

_PARAMETER = re.compile(r"\{\{\{[^{}]*+\}\}\}")
_TEMPLATE = re.compile(
    r"\{\{((?>(?:[^{}|]++|\{(?!\{)|\}(?!\}))*))"  # name
    r"(\|(?>(?:[^{}]++|\{[^{}]*+\}|\{(?!\{)|\}(?!\}))*))?\}\}"  # arguments
)
_TEMPLATE_MARK = re.compile(r"\{\{|\}\}")
_UNCLOSED_TEMPLATE, _UNOPENED_TEMPLATE = re.compile(r"\{\{[^\n]*+"), re.compile(r"\}\}")

_TABLE = re.compile(r"\n[ \t:*#]*+\{\|[^\n]*+(?>(?:\n(?![ \t:*#]*+\{\||[ \t]*+\|\})[^\n]*+)*)\n[ \t]*+\|\}")
_TABLE_LINE = re.compile(r"\n[ \t:]*+(?:\{\||[|!])[^\n]*+")
_BAR_LINE = re.compile(r"\n[ \t:]*+\|[^\n]*+")

_COLON_LINK = re.compile(
    r"\[\[[ _]*+([^\[\]|:\n]{1,60}+):"
    r"(?>(?:[^\[\]]++|\[\[(?>(?:[^\[\]]++|\[[^\[\]]*+\])*)\]\]|\[[^\[\]]*+\]|\[(?!\[)|\](?!\]))*)\]\]"
)

_BREAK = re.compile(r"<br\b[^<>]*+>", re.IGNORECASE)
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK})\b[^<>]*+>", re.IGNORECASE)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE})\b[^<>]*+>", re.IGNORECASE)
_EXTERNAL = re.compile(
    r"\[(?=[fghimnFGHIMN/])(?i:(?:https?:|ftps?:|irc:|gopher:)?//|mailto:|news:)[^\s\[\]]*+[^\S\n]*+"
    r"((?>(?:[^\[\]\n]++|\[\[[^\[\]\n]*+\]\])*))\]"
)
_SWITCH = re.compile(r"__(?![^_\n]*[a-z])[^\W_]++(?:_[^\W_]++)*__")
_FOUR_QUOTES = re.compile(r"''''(?!')(?<!''''')")
# French and Italian: in `l'''Iliade''` the first quote is the apostrophe of the article.
_ELISION = re.compile(
    r"'''(?!')(?:(?<=[^\w'][a-zA-Z]''')|(?<=[^\w'][Qq]u''')|(?<=[Aaeu]ll''')|(?<=[^\w'][Uu]n''')|(?<=squ'''))"
    r"(?=[^'\n]*+(?>(?:'(?!')[^'\n]*+)*)''(?!'))"
)
_QUOTES = re.compile(r"''+")
_EMPTY_PARENTHESES = re.compile(r"\((?>(?:[\s,;:/–-]|&nbsp;)*)\)")
_PARENTHESIS_START = re.compile(r"\(\s*+[,;][\s,;]*+")
_EMPTY_BRACKETS = re.compile(r"\[(?<!\[\[)\s*+\](?!\])")
_WIDE_EMPTY_PARENTHESES = re.compile(r"（[\s，、；：,;]*+）")


class Peeled(NamedTuple):
    """Text whose only markup is `[[links]]`.

    Attributes:
        text: a paragraph, heading or list item a line, no line empty.
        kinds: what each line is (`blocks`).
        balanced: every template and table that is opened is closed; else the rest went line by line.
        shallow: nothing is nested deeper than the passes go; else what lies deeper went unrendered.
    """

    text: str
    kinds: list[str]
    balanced: bool
    shallow: bool


def peel(wikitext: str, site: Site, keep: Set[str] = frozenset()) -> Peeled:
    """Peel off all markup but links.

    Args:
        keep: `cell` and `caption`, if the text of tables and what stands below files shall stay. Captions of
            files then follow the rest.
    """
    text = _without_comments("\n" + characters.cleaned(wikitext))
    text, elements = _inside_out(_ELEMENT, "", text, mark="<")
    if site.lang == "zh" and "-{" in text:
        text = _VARIANT.sub(_variant, text)
    text, whole, templates = _without_templates(text, site)
    text, closed, tables = _without_tables(text, cells="cell" in keep)
    text, media = _without_media(text, site, captions="caption" in keep)
    text = _without_inline_markup(text)
    text, kinds = blocks_of(characters.space_entities_decoded(text))
    shallow = elements and templates and tables and media
    return Peeled(characters.entities_decoded(text), kinds, whole and closed, shallow)


def _inside_out(
    pattern: re.Pattern[str], shown: str | Callable[[re.Match[str]], str], text: str, *, mark: str
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


def _without_comments(text: str) -> str:
    """A comment that fills its line goes with the line; one that is never closed goes to the end."""
    if "<nowiki" in text:
        unclosed = text.find("<!--", text.rfind("-->") + 3)
        text = _NOWIKI.sub(_literal, text if unclosed < 0 else text[:unclosed])
    first, *parts = text.split("<!--")
    kept = [first]
    for part in parts:
        _, closed, rest = part.partition("-->")
        if closed:
            before, after = kept[-1].rstrip(" \t"), rest.lstrip(" \t")
            if before.endswith("\n") and after.startswith("\n"):
                kept[-1], rest = before[:-1], after
            kept.append(rest)
    return "".join(kept)


def _literal(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith("<!--") else characters.as_entities(found[1] or "")


def _variant(found: re.Match[str]) -> str:
    """`-{zh-hans:计算机;zh-hant:電腦}-` -> the first variant; a rule for elsewhere shows nothing."""
    flags, bar, body = found[1].rpartition("|")
    if bar and flags.strip()[:1] in ("H", "T", "-"):
        return ""
    code, _, shown = body.partition(";")[0].partition(":")
    return shown if code.strip().startswith("zh") else body


def _without_templates(text: str, site: Site) -> tuple[str, bool, bool]:
    """Innermost first; what is nested too deep goes unrendered, what is not balanced goes with its line.

    Returns:
        The text, whether it was balanced, and whether the passes sufficed.
    """
    shallow = True
    if "{" in text:
        render = renderer(site.lang, site.templates)

        def rendered(template: re.Match[str]) -> str:
            return render(template[1], template[2] or "")

        text, shallow = _inside_out(_TEMPLATE, rendered, _PARAMETER.sub("", text), mark="{")
        if not shallow:
            text = _without_balanced(text)
    text, opened = _UNCLOSED_TEMPLATE.subn("", text)
    text, closed = _UNOPENED_TEMPLATE.subn("", text)
    return text, not (opened or closed), shallow


def _without_balanced(text: str) -> str:
    """Cut what stands between matching marks, at any depth, in one pass."""
    out: list[str] = []
    opened: list[int] = []
    at = 0
    for mark in _TEMPLATE_MARK.finditer(text):
        out.append(text[at : mark.start()])
        at = mark.end()
        if mark[0] == "{{":
            opened.append(len(out))
            out.append("{{")
        elif opened:
            del out[opened.pop() :]
        else:
            out.append("}}")
    out.append(text[at:])
    return "".join(out)


def _without_tables(text: str, *, cells: bool) -> tuple[str, bool, bool]:
    """Innermost first; of what is not balanced, rows, cells and parameters go line by line.

    Returns:
        As `_without_templates`.
    """

    def shown(table: re.Match[str]) -> str:
        return cells_of(table[0]) if cells else "\n"

    text, shallow = _inside_out(_TABLE, shown, text, mark="{")
    if "{" in text and "{|" in text:
        return _TABLE_LINE.sub("", text), False, shallow
    return _BAR_LINE.sub("", text), True, shallow


def _without_media(text: str, site: Site, *, captions: bool) -> tuple[str, bool]:
    """Drop files, categories and language links; the text of others is `links`' task.

    Returns:
        The text, and whether the passes sufficed.
    """
    shown: list[str] = []
    removed = 0
    numbers: dict[str, int] = {}

    def kept(link: re.Match[str]) -> str:
        nonlocal removed
        number = numbers.get(link[1])
        if number is None:
            name = " ".join(link[1].replace("_", " ").split()).casefold()
            number = numbers[link[1]] = -1 if name in LANGUAGE_CODES else site.namespaces.get(name, 0)
        if number not in (-1, 6, 14):
            return link[0]
        removed += 1
        if captions and number == 6 and (caption := caption_of(link[0])):
            shown.append(f"\n{CAPTION}{caption}")
        return ""

    before, passes = -1, 0
    while removed != before and passes < _MOST_PASSES:
        before = removed
        text = _COLON_LINK.sub(kept, text)
        passes += 1
    return text + "".join(shown), removed == before


def _without_inline_markup(text: str) -> str:
    if "<" in text:
        text = _BREAK.sub(" ", text)
        text = _BLOCK_TAG.sub("\n\n", text)
        text = _INLINE_TAG.sub("", text)
    text = _EMPTY_BRACKETS.sub("", _EXTERNAL.sub(r"\1", text))
    if "_" in text:
        text = _SWITCH.sub("", text)
    text = _QUOTES.sub("", _ELISION.sub("'", _FOUR_QUOTES.sub("'", text)))
    text = _PARENTHESIS_START.sub("(", _EMPTY_PARENTHESES.sub("", text))
    return _WIDE_EMPTY_PARENTHESES.sub("", text) if "（" in text else text
