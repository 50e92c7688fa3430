"""Templates that carry text of the sentence they stand in; all others are removed.

A user adds to them by a file (`read_templates`); here, add a name, in lower case, to `_EVERYWHERE` or to its
language, with what renders it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, Limits, decoded, headers, read_lines
from kgcorpus.inputs.headers import is_header
from kgcorpus.wiki.wikitext import rendering as to
from kgcorpus.wiki.wikitext.rendering import Renderer


def _table(*groups: tuple[str, Renderer]) -> dict[str, Renderer]:
    return {name: renderer for names, renderer in groups for name in names.split("|")}


_EVERYWHERE = _table(
    ("convert|cvt|conv", to.convert),
    ("val", to.value),
    ("formatnum|num|nts|gaps|nombre", to.first),
    ("nowrap|nobr|nowr|nobreak|no break|j|sup|sub|smallcaps|sc|var|mvar|math|overline|underline|u", to.first),
    ("code|mono|tt|kbd|samp|nastaliq|abbr|tooltip|hover title|sic|not a typo|as written", to.first),
    ("flag|flagcountry|flagu|flagland|small caps|big|small|smaller|large|larger|resize", to.first),
    ("nobold|noitalic|normal|em|strong|strike", to.first),
    ("lang|langue|llang|langx|script|rtl-lang|bdo", to.second),
    ("transl|transliteration|translit|xlit|linktext|pipe|angbr|unicode|polytonic|color|font color", to.last),
    ("quote|quotation|cquote|bquote|blockquote|rquote", to.paragraph),
    ("nihongo|nihongo2|nihongo3|nihongo krt", to.nihongo),
    ("circa|c.|ca.", to.before("c. ")),
    ("floruit|fl.", to.before("fl. ")),
    ("as of|asof", to.as_of),
    ("birth date|birth date and age|birth-date|death date|death date and age|death-date", to.date),
    ("start date|start date and age|end date|film date|dts", to.date),
    ("chem|chem2|ce", to.joined("")),
    ("formatdate", to.joined(" ")),
    ("frac|fraction|sfrac", to.fraction),
    ("ill|ill2|ill-wd|interlanguage link|interlanguage link multi|link-interwiki", to.missing_link),
    ("ship", to.joined(" ")),
    ("sclass|sclass-|sclass2|sclass2-", to.ship_class),
    ("hms|uss|hmas|hmcs|hmnzs|rms|ss|ms|mv|sms|css|usns|uscgc|ins|hnlms|hdms|hnoms|hswms", to.ship),
    ("snd|spnd|spaced ndash|spaced en dash|en dash space|dash", to.constant(" – ")),
    ("ndash|en dash|endash", to.constant("–")),
    ("mdash|em dash|emdash", to.constant("—")),
    ("spaces|space|nbsp|sp|thinsp|thin space|hair space|0|figure space|pad", to.constant(" ")),
    ("·|•|bullet|dot|middot", to.constant(" · ")),
    ("!", to.constant("|")),
    ("=", to.constant("=")),
    ("'|apostrophe", to.constant("'")),
    ("'s", to.constant("'s")),
    ("okina", to.constant("ʻ")),
    ("pi", to.constant("π")),
    ("minus", to.constant("−")),
    ("times", to.constant("×")),
    ("plusmn|±", to.before("±")),
    ("us$|usd", to.before("US$")),
    ("a$|aud", to.before("A$")),
    ("c$|cad", to.before("C$")),
    ("£|gbp|pound sterling", to.before("£")),
    ("€|eur|euro", to.before("€")),
    ("¥|jpy|yen", to.before("¥")),
    ("inr|indian rupee|₹", to.before("₹")),
)

_BY_LANGUAGE: Mapping[str, dict[str, Renderer]] = {
    "de": _table(("zahl|maß", to.quantity), ("zitat", to.paragraph), ("datum", to.joined(" "))),
    "es": _table(
        ("unidad|esd", to.quantity),
        ("siglo", to.before("siglo ")),
        ("fecha", to.joined(" ")),
        ("enlace interlingüe|bandera2", to.first),
        ("cita", to.paragraph),
        ("convertir", to.convert),
    ),
    "fr": _table(
        ("unité|unite|nb|nombre|num|heure|monnaie", to.quantity),
        ("s|siècle", to.before("", then=" siècle")),
        (
            "s-|-s-|-s|rom-maj|romains|abréviation|abrd|pc|petites capitales|terme défini|japonais",
            to.joined(""),
        ),
        ("av jc|avjc|-av jc", to.constant("av. J.-C.")),
        ("date|date-|date de naissance|date de décès", to.joined(" ")),
        ("1er|ier", to.constant("1er")),
        ("1re|ire", to.constant("1re")),
        ("lien", to.missing_link),
        ("citation|citation étrangère|guil", to.french_quotation),
        ("n°|numéro", to.before("no ")),
        ("mme|mlle|mgr|dr|st|ste|pr|m.", to.titled),
    ),
    "it": _table(("m|unità", to.quantity), ("citazione", to.paragraph), ("ta|bandiera2", to.first)),
    "ja": _table(
        ("読み仮名|読み仮名 ruby不使用|ルビ|ruby", to.reading),
        ("仮リンク", to.missing_link),
        ("補助漢字フォント|cjkv|拡張漢字|要出典範囲", to.first),
    ),
    "ko": _table(("임시링크|번역", to.first)),
    "nl": _table(("citaat", to.paragraph)),
    "vi": _table(("đổi|chuyển đổi", to.convert), ("liên kết ngôn ngữ", to.missing_link)),
    "zh": _table(
        ("internal link helper|tsl", to.last),
        ("le|link-en|link-ja|link-de|link-fr|link-ko|link-es|link-it|link-vi|link-nl|僻字", to.first),
        ("外语|外語", to.second),
    ),
}

# `{{lang-fr|texte}}`; in German `{{frS|texte}}`.
_NAMED_FOR_LANGUAGE = re.compile(r"lang-[a-z\-]+|(?:cs|da|el|en|es|fr|grc|hu|it|ja|la|nl|pl|pt|ru|sv|tr)s")
_FUNCTION = re.compile(r"\s*+(formatnum|lc|uc|lcfirst|ucfirst)\s*+:(.*)", re.DOTALL | re.IGNORECASE)
_CASES: Mapping[str, Callable[[str], str]] = {"lc": str.lower, "uc": str.upper}


def renderers(lang: str, added: Sequence[tuple[str, str]] = ()) -> dict[str, Renderer]:
    """Lower-case template name -> renderer, for one language.

    Args:
        added: of `read_templates`.
    """
    known = {**_EVERYWHERE, **_BY_LANGUAGE.get(lang, {})}
    for name, text in added:
        known[name] = known[text[1:]] if text.startswith("=") else to.filled(text)
    return known


def read_templates(path: str, lang: str, *, limits: Limits = DEFAULT_LIMITS) -> tuple[tuple[str, str], ...]:
    """A user's templates, which win over the built-in ones: lines `name TAB text`, `#` for a comment.

    The text holds arguments as `{1}` or `{name}`; `=convert` renders as the template `convert` does, and an
    empty text removes the template.

    Raises:
        InputError: a line is not UTF-8, is a header, has no tab, or names an unknown template after `=`;
            or as `read_lines`.
    """
    known = set(renderers(lang))
    added = []
    for number, raw in read_lines(path, limits=limits):
        where = f"{path}, line {number}"
        try:
            line = decoded(raw)
        except BadRecord as bad:
            raise InputError(bad.reason, where=where, mend="Save the file as UTF-8") from None
        name, tab, text = line.partition("\t")
        key = name.strip().replace("_", " ").lower()
        if not key or key.startswith("#"):
            continue
        if is_header((name, text), (headers.TEMPLATE, headers.TEXT)):
            raise InputError("this is a header line", where=where, mend="Delete it, or begin it with #")
        if not tab or (text.startswith("=") and text[1:] not in known):
            raise InputError(
                f"is no template: {line[:80]!r}",
                where=where,
                mend="Write `name`, a tab, and a text with {1} or {name}, or = and a template's name",
            )
        known.add(key)
        added.append((key, text))
    return tuple(added)


@cache
def renderer(lang: str, added: tuple[tuple[str, str], ...]) -> Callable[[str, str], str]:
    """What renders one template without templates inside, from two texts; empty if it carries none.

    They are its name, as written, up to the first bar, and the rest, beginning with a bar, or empty.
    """
    known = renderers(lang, added)

    @lru_cache(maxsize=10_000)
    def of(name: str) -> tuple[str, Renderer | None]:
        key = name.strip().replace("_", " ").lower()
        return key, known.get(key) or (to.first if _NAMED_FOR_LANGUAGE.fullmatch(key) else None)

    def render(name: str, raw: str) -> str:
        key, found = of(name)
        if found is not None:
            return found(to.arguments(key, raw))
        if ":" in key and (function := _FUNCTION.fullmatch(name)):
            return _CASES.get(function[1].lower(), str)(function[2].strip())
        return ""

    return render
