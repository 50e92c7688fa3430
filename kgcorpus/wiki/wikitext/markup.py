"""All markup but links, peeled off in passes of `re.sub`, which loops in C.

Every pattern stops at the next opening mark (possessive quantifiers never go back), so that no input,
however unbalanced, takes more than linear time a pass; the passes are capped.
"""

import re
from functools import cache

from kgcorpus.wiki.site import LANGUAGE_CODES, Site
from kgcorpus.wiki.wikitext import characters
from kgcorpus.wiki.wikitext.rendering import Renderer
from kgcorpus.wiki.wikitext.templates import render, renderers

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
_COMMENT = re.compile(_COMMENT_BODY)
_COMMENT_LINE = re.compile(r"\n[ \t]*+<!--(?>(?:[^-<]++|-(?!->)|<(?!!--))*)-->[ \t]*+(?=\n)")
_NOWIKI = re.compile(
    rf"{_COMMENT_BODY}|<nowiki\s*/>|<nowiki\b[^<>]*+>((?>(?:[^<]++|<(?!/?nowiki\b))*))</nowiki\s*>",
    re.IGNORECASE,
)
_SELF_CLOSING = re.compile(rf"<(?:{_DROPPED})\b[^<>]*+(?<=/)>", re.IGNORECASE)
_WITH_CONTENT = re.compile(
    rf"<({_DROPPED})\b[^<>]*+>[^<]*+(?>(?:<(?!/?(?:{_DROPPED})\b)[^<]*+)*)</\1\s*>", re.IGNORECASE
)
_VARIANT = re.compile(r"-\{([^{}]*+)\}-")

_PARAMETER = re.compile(r"\{\{\{[^{}]*+\}\}\}")
_TEMPLATE = re.compile(
    r"\{\{((?>(?:[^{}|]++|\{(?!\{)|\}(?!\}))*))"  # name
    r"(\|(?>(?:[^{}]++|\{[^{}]*+\}|\{(?!\{)|\}(?!\}))*))?\}\}"  # arguments
)
_TEMPLATE_MARK = re.compile(r"\{\{|\}\}")
_STRAY_TEMPLATE = re.compile(r"\{\{[^\n]*+|\}\}")

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
    r"\[(?:(?:https?:|ftps?:|irc:|gopher:)?//|mailto:|news:)[^\s\[\]]*+[^\S\n]*+"
    r"((?>(?:[^\[\]\n]++|\[\[[^\[\]\n]*+\]\])*))\]",
    re.IGNORECASE,
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
_WORD = re.compile(r"[^\W_]")


def peel(wikitext: str, site: Site) -> str:
    """Text whose only markup is `[[links]]`; a paragraph, heading or list item a line, no line empty."""
    text = "\n" + characters.without_noncharacters(wikitext).replace("\r\n", "\n").replace("\r", "\n")
    text = _without_comments(text)
    text = _without_elements(text)
    if site.lang == "zh" and "-{" in text:
        text = _VARIANT.sub(_variant, text)
    text = _without_templates(text, site)
    text = _without_tables(text)
    text = _without_media(text, site)
    text = _without_inline_markup(text)
    text = characters.space_entities_decoded(text)
    return characters.entities_decoded(_paragraphs(text))


def _without_comments(text: str) -> str:
    text = _without_unclosed_comment(text)
    if "<nowiki" in text:
        text = _without_unclosed_comment(_NOWIKI.sub(_literal, text))
    if "<!--" in text:
        text = _COMMENT.sub("", _COMMENT_LINE.sub("", text))
    return text


def _without_unclosed_comment(text: str) -> str:
    if "<!--" not in text:
        return text
    head, mark, tail = text.rpartition("-->")
    return head + mark + tail.partition("<!--")[0]


def _literal(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith("<!--") else characters.as_entities(found[1] or "")


def _without_elements(text: str) -> str:
    if "<" in text:
        text = _SELF_CLOSING.sub("", text)
        n, passes = 1, 0
        while n and passes < _MOST_PASSES:
            text, n = _WITH_CONTENT.subn("", text)
            passes += 1
    return text


def _variant(found: re.Match[str]) -> str:
    """`-{zh-hans:计算机;zh-hant:電腦}-` -> the first variant; a rule for elsewhere shows nothing."""
    flags, bar, body = found[1].rpartition("|")
    if bar and flags.strip()[:1] in ("H", "T", "-"):
        return ""
    code, _, shown = body.partition(";")[0].partition(":")
    return shown if code.strip().startswith("zh") else body


def _without_templates(text: str, site: Site) -> str:
    """Innermost first; what is nested too deep goes unrendered, what is not balanced goes with its line."""
    if "{{" in text:
        known = _known(site.lang)

        def rendered(template: re.Match[str]) -> str:
            return render(template[1], template[2] or "", known)

        text = _PARAMETER.sub("", text)
        n, passes = 1, 0
        while n and passes < _MOST_PASSES:
            text, n = _TEMPLATE.subn(rendered, text)
            passes += 1
        if n:
            text = _without_balanced(text)
    if "{{" in text or "}}" in text:
        text = _STRAY_TEMPLATE.sub("", text)
    return text


@cache
def _known(lang: str) -> dict[str, Renderer]:
    return renderers(lang)


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


def _without_tables(text: str) -> str:
    n, passes = 1, 0
    while n and passes < _MOST_PASSES and "{|" in text:
        text, n = _TABLE.subn("\n", text)
        passes += 1
    # Rows, cells and parameters of unbalanced tables and templates.
    if "{|" in text:
        text = _TABLE_LINE.sub("", text)
    elif "\n|" in text:
        text = _BAR_LINE.sub("", text)
    return text


def _without_media(text: str, site: Site) -> str:
    """Drop files with their captions, categories and language links; the text of others is `links`' task."""

    def kept(link: re.Match[str]) -> str:
        name = " ".join(link[1].replace("_", " ").split()).casefold()
        return "" if site.namespaces.get(name) in (6, 14) or name in LANGUAGE_CODES else link[0]

    before, passes = -1, 0
    while len(text) != before and passes < _MOST_PASSES:
        before = len(text)
        text = _COLON_LINK.sub(kept, text)
        passes += 1
    return text


def _without_inline_markup(text: str) -> str:
    if "<" in text:
        text = _BREAK.sub(" ", text)
        text = _BLOCK_TAG.sub("\n\n", text)
        text = _INLINE_TAG.sub("", text)
    text = _EMPTY_BRACKETS.sub("", _EXTERNAL.sub(r"\1", text))
    if "__" in text:
        text = _SWITCH.sub("", text)
    if "'''" in text:
        text = _FOUR_QUOTES.sub("'", text)
        text = _ELISION.sub("'", text)
    text = _QUOTES.sub("", text)
    text = _PARENTHESIS_START.sub("(", _EMPTY_PARENTHESES.sub("", text))
    return _WIDE_EMPTY_PARENTHESES.sub("", text) if "（" in text else text


def _paragraphs(text: str) -> str:
    paragraphs: list[str] = []
    lines: list[str] = []

    def end() -> None:
        if lines:
            paragraph = " ".join(" ".join(lines).split())
            if _WORD.search(paragraph):
                paragraphs.append(paragraph)
            lines.clear()

    for line in text.split("\n"):
        if not line or line.isspace():
            end()
        elif line[0] in "*#:;":
            end()
            lines.append(line.lstrip("*#:; \t"))
            end()
        elif line[0] == "=" and line.rstrip().endswith("="):
            end()
            lines.append(line.strip("= \t"))
            end()
        elif not line.startswith("----"):
            lines.append(line)
    end()
    return "\n".join(paragraphs)
