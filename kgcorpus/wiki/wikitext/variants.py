"""Language conversion: `-{...}-` shows the text of one variant, by the rules of LanguageConverter."""

import re
from functools import cache

from kgcorpus.contracts.variants import CONVERSIONS
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext.characters import LINK_END

# `-{N|zh-tw}-` shows a variant's name.
_NAMES = {
    "zh": "不转换",
    "zh-hans": "简体",
    "zh-hant": "繁體",
    "zh-cn": "大陆简体",
    "zh-tw": "臺灣正體",
    "zh-hk": "香港繁體",
    "zh-mo": "澳門繁體",
    "zh-sg": "新加坡简体",
    "zh-my": "大马简体",
    "sr-ec": "Ћирилица",
    "sr-el": "Latinica",
}
_FLAGS = frozenset("ATRDHN-")
# MediaWiki shows a warning in place of what is nested deeper.
_MOST_LEVELS = 10
_MARK = re.compile(r"-\{|\}-")
# A bar behind a link is the link's own.
_LEAD = re.compile(r"([^|\[\]{}<]*+)\|")
_ENTITY = re.compile(r"(&[#a-zA-Z0-9]++);")
_ESCAPED = "\ufdd8"


def variants_of(lang: str) -> tuple[str, ...]:
    """The codes that the setting `variant` may have on a wiki in this language; none without conversion."""
    return tuple(CONVERSIONS.get(lang, ()))


def converted(text: str, site: Site) -> str:
    """Replace every `-{...}-` by what a reader of the site's variant sees; one never closed is text."""
    lang, variant = site.lang, site.variant or site.lang
    out: list[str] = []
    opened: list[int] = []
    at = 0
    for mark in _MARK.finditer(text):
        out.append(text[at : mark.start()])
        at = mark.end()
        if mark[0] == "-{" and out[-1].endswith("]]"):
            out.append(LINK_END)
        if mark[0] == "-{" and len(opened) < _MOST_LEVELS:
            out.append("-{")
            opened.append(len(out))
        elif mark[0] == "}-" and opened:
            start = opened.pop()
            rule = "".join(out[start:])
            del out[start - 1 :]
            out.append(_shown(rule, lang, variant))
        else:
            out.append(mark[0])
    return "".join([*out, text[at:]])


def _shown(rule: str, lang: str, variant: str) -> str:
    """What the text between `-{` and `}-` shows."""
    codes = CONVERSIONS[lang]
    lead = _LEAD.match(rule)
    given = {flag.strip() for flag in lead[1].split(";")} if lead else set()
    flags = given & (_FLAGS | codes.keys())
    body = rule[lead.end() :] if lead else rule
    if "R" in flags:
        shown = body
    elif "N" in flags:
        shown = _NAMES.get(body.strip(), "")
    elif flags & {"-", "H"} or flags == {"T"}:
        shown = ""
    elif flags & codes.keys():
        shown = body
    else:
        both, one = _rules(body, lang)
        if "D" in flags and (both or one):
            shown = _description(both, one)
        else:
            shown = _chosen(both, one, (variant, *codes[variant]), body)
    return shown


def _chosen(both: dict[str, str], one: dict[str, tuple[str, str]], codes: tuple[str, ...], body: str) -> str:
    """The text of the first of the codes that has one, else the first text."""
    for code in codes:
        if code in both:
            return both[code]
    if codes[0] in one:
        return one[codes[0]][1]
    return [*both.values(), *(new for _, new in one.values()), body][0]


def _description(both: dict[str, str], one: dict[str, tuple[str, str]]) -> str:
    described = [f"{_NAMES.get(code, code)}：{shown}；" for code, shown in both.items()]
    described += [f"{old}⇒{_NAMES.get(code, code)}：{new}；" for code, (old, new) in one.items()]
    return "".join(described)


def _rules(body: str, lang: str) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """The rules `code: text` and `text => code: text`; none if one of them names another code."""
    both: dict[str, str] = {}
    one: dict[str, tuple[str, str]] = {}
    escaped = _ENTITY.sub(rf"\1{_ESCAPED}", body)
    for part in _separator(lang).split(escaped):
        head, colon, shown = part.replace(_ESCAPED, ";").partition(":")
        if not colon:
            continue
        old, arrow, code = head.replace("=&gt;", "=>").rpartition("=>")
        code, shown = code.strip().lower(), shown.strip()
        if code not in CONVERSIONS[lang]:
            return {}, {}
        if arrow and old.strip():
            one.setdefault(code, (old.strip(), shown))
        elif shown:
            both[code] = shown
    return both, one


@cache
def _separator(lang: str) -> re.Pattern[str]:
    """A semicolon before the next rule or at the end."""
    codes = "|".join(sorted(CONVERSIONS[lang], key=len, reverse=True))
    return re.compile(rf";\s*+(?=(?:{codes})\s*+:|[^;]*?=>\s*+(?:{codes})\s*+:|\Z)", re.IGNORECASE)
