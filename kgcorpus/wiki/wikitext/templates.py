"""Templates that carry text of the sentence they stand in; all others are removed.

To add one, add its name to the table of its language, or to `_EVERYWHERE`, with what renders it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

_BAR = re.compile(r"\|(?![^\[\]]*\]\])")  # not the bar of a link
_NAMED = re.compile(r"\s*([\w\- ]+?)\s*=(.*)", re.DOTALL)
_MONTHS = (
    "January February March April May June July August September October November December".split()
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands between a template's bars, stripped; `{{x|1=a}}` is the first positional one."""

    name: str
    positional: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, n: int) -> str:
        """The n-th positional argument, counted from 1; empty if absent."""
        return self.positional[n - 1] if n <= len(self.positional) else ""


Renderer = Callable[[Arguments], str]


def arguments(name: str, raw: str) -> Arguments:
    """Parse `raw`, which begins with a bar or is empty."""
    given = Arguments(name)
    for part in _BAR.split(raw)[1:]:
        named = _NAMED.fullmatch(part) if "=" in part else None
        if named is None:
            given.positional.append(part.strip())
        elif named[1].isdecimal() and int(named[1]) == len(given.positional) + 1:
            given.positional.append(named[2].strip())
        else:
            given.named[named[1]] = named[2].strip()
    return given


def _positional(n: int) -> Renderer:
    return lambda given: given[n]


def _constant(text: str) -> Renderer:
    return lambda _: text


def _before(text: str) -> Renderer:
    return lambda given: text + given[1]


def _joined(by: str) -> Renderer:
    return lambda given: by.join(part for part in given.positional if part)


def _last(given: Arguments) -> str:
    return given.positional[-1] if given.positional else ""


def _paragraph(given: Arguments) -> str:
    text = given.named.get("text") or given.named.get("quote") or given[1]
    return f"\n\n{text}\n\n"


_RANGE = {"-": "–", "–": "–", "to": " to ", "to(-)": " to ", "and": " and ", "and(-)": " and ", "or": " or "}
_RANGE |= {"by": " by ", "x": " × ", "xx": " × ", "×": " × ", "*": " × ", "+/-": " ± ", "±": " ± ", "+": " + "}
_RANGE |= {"to about": " to about ", "–": "–", "—": "–", "&ndash;": "–", "e": " to ", "a": " a ", "bis": " bis "}


def _convert(given: Arguments) -> str:
    """`{{convert|3|to|5|km|mi}}` -> `3 to 5 km`: the source's numbers and unit, without the conversion."""
    parts = given.positional
    text, at = given[1], 1
    while at + 1 < len(parts) and parts[at] in _RANGE:
        text += _RANGE[parts[at]] + parts[at + 1]
        at += 2
    if at < len(parts):
        text += " " + parts[at]
    if at + 2 < len(parts) and _is_number(parts[at + 1]) and not _is_number(parts[at + 2]):
        text += f" {parts[at + 1]} {parts[at + 2]}"  # 5 ft 6 in
    return text


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+\-−]?[\d.,]+(?:/\d+)?", text))


def _val(given: Arguments) -> str:
    text = given[1]
    if given[2]:
        text += (" +" + given[2] + " " + given[3]) if given[3] else "±" + given[2]
    if exponent := given.named.get("e"):
        text += f"×10^{exponent}"
    unit = given.named.get("u") or given.named.get("ul") or given.named.get("upl") or given.named.get("up")
    return f"{given.named.get('p', '')}{text}{' ' + unit if unit else ''}{given.named.get('s', '')}"


def _quantity(given: Arguments) -> str:
    """A number and the unit that follows it, where the unit may be split: `{{unité|12|km|2}}`."""
    number, *units = given.positional or [""]
    powers = "".join(unit if _is_number(unit) and at else " " + unit for at, unit in enumerate(units) if unit)
    return number + powers


def _nihongo(given: Arguments) -> str:
    foreign = ", ".join(part for part in (given[2], given[3]) if part)
    name = given[1]
    if not name:
        return foreign
    return f"{name} ({foreign})" if foreign else name


def _date(year: str, month: str, day: str, *, day_first: bool) -> str:
    if month.isdecimal() and 1 <= int(month) <= 12:
        month = _MONTHS[int(month) - 1]
    if day_first:
        return " ".join(part for part in (day, month, year) if part)
    head = " ".join(part for part in (month, day) if part)
    return f"{head}, {year}" if day else f"{head} {year}".strip()


def _written_date(given: Arguments) -> str:
    """`{{birth date|1950|3|5|df=y}}` -> `5 March 1950`."""
    return _date(given[1], given[2], given[3], day_first="df" in given.named)


def _as_of(given: Arguments) -> str:
    if alternative := given.named.get("alt"):
        return alternative
    since = "since" in given.named
    word = ("since" if since else "as of") if "lc" in given.named else ("Since" if since else "As of")
    return f"{word} {_date(given[1], given[2], given[3], day_first='df' in given.named or not given[3])}"


def _fraction(given: Arguments) -> str:
    numbers = given.positional
    if len(numbers) == 3:
        return f"{numbers[0]} {numbers[1]}/{numbers[2]}"
    return "/".join(numbers) if len(numbers) == 2 else f"1/{given[1]}"


def _link(given: Arguments) -> str:
    """A link to an article that may be missing: only its text stays."""
    named = given.named
    return named.get("lt") or named.get("texte") or named.get("text") or named.get("fr") or given[1]


def _ship(given: Arguments) -> str:
    return " ".join(part for part in (given[1], given[2]) if part)


def _prefixed(given: Arguments) -> str:
    return f"{given.name.upper()} {given[1]}"


def _formatted(given: Arguments) -> str:
    return given[1]


def _century(suffix: str) -> Renderer:
    return lambda given: f"{given[1]}{given[2]}{suffix}"


def _table(*groups: tuple[str, Renderer]) -> dict[str, Renderer]:
    return {name: renderer for names, renderer in groups for name in names.split("|")}


_first, _second = _positional(1), _positional(2)

_EVERYWHERE = _table(
    ("convert|cvt|convertinfobox|conv|convertir|unit|umrechnen", _convert),
    ("formatnum|formatnumber|format number|num|nombre|numero|números|fnum|gaps|nts", _formatted),
    ("val", _val),
    ("lang|langue|lang-link|llang|langx|script|rtl-lang|lang2|ruby-lang|okina|bdo", _second),
    ("transl|transliteration|translit|xlit|transliteratie", _last),
    ("nowrap|nobr|nowr|nobreak|no break|nowrap begin|j|nwr|nb|ta", _first),
    ("small|smaller|big|larger|large|resize|nobold|noitalic|nobold|normal|em|strong|italic|bold|strike", _last),
    ("sup|sub|smallcaps|sc|smallsup|var|mvar|math|overline|underline|u|code|mono|tt|kbd|samp|nastaliq", _first),
    ("abbr|abbrlink|tooltip|abbreviation|hover title|sic|not a typo|notatypo|as written|proper name", _first),
    ("linktext|pipe|angbr|angle bracket|lj|lang-translit|unicode|polytonic|music|color|colour|font color", _last),
    ("quote|quotation|cquote|bquote|blockquote|rquote|citation bloc|quote box2|zitat|cita|citaat", _paragraph),
    ("nihongo|nihongo3|nihongo krt|nihongo2", _nihongo),
    ("circa|c.|ca.|ca|circum", _before("c. ")),
    ("floruit|fl.|fl", _before("fl. ")),
    ("reign|r.", _joined("–")),
    ("as of|asof", _as_of),
    ("birth date|birth date and age|birth-date|death date|death date and age|death-date|dob", _written_date),
    ("start date|start date and age|end date|bda|dda|film date|date of birth|date of death", _written_date),
    ("formatdate|dts|date|datum", _joined(" ")),
    ("chem|chem2|chemf|chem name|ce", _joined("")),
    ("frac|fraction|sfrac|vulgar fraction|brk", _fraction),
    ("ill|interlanguage link|link-interwiki|ill2|ill-wd|red link|interlanguage link multi", _link),
    ("ship|sclass|sclass-|sclass2|sclass2-", _ship),
    ("hms|uss|hmas|hmcs|hmnzs|rms|ss|ms|mv|sms|css|rfa|usns|uscgc|hmhs|ins|hnlms|hdms|hnoms|hswms", _prefixed),
    ("flag|flagcountry|flagu|flag+link|flaglink|flagteam|country|flagland|fb|bandera2|bandiera2", _first),
    ("snd|spnd|spaced ndash|spaced en dash|sndash|en dash space|dash|–", _constant(" – ")),
    ("ndash|en dash|endash|nd", _constant("–")),
    ("mdash|em dash|emdash|md|—", _constant("—")),
    ("spaces|space|nbsp|sp|thinsp|thin space|hair space|0|figure space|clear space|pad|nbs", _constant(" ")),
    ("·|•|bullet|dot|middot|bold middot|•", _constant(" · ")),
    ("'s", _constant("'s")),
    ("'|apostrophe|`", _constant("'")),
    ("''", _constant('"')),
    ("=", _constant("=")),
    ("pi", _constant("π")),
    ("minus|−", _constant("−")),
    ("times", _constant("×")),
    ("plusmn|±|plus or minus", _before("±")),
    ("us$|usd|usdollar|us dollar", _before("US$")),
    ("a$|aud", _before("A$")),
    ("c$|cad|can$", _before("C$")),
    ("£|gbp|pound sterling", _before("£")),
    ("€|eur|euro", _before("€")),
    ("¥|jpy|yen", _before("¥")),
    ("inr|indian rupee|₹", _before("₹")),
    ("lc|uc|lcfirst|ucfirst|#formatdate", _first),
)

_BY_LANGUAGE: Mapping[str, dict[str, Renderer]] = {
    "de": _table(("zahl|maß|np", _quantity), ("lang-de|nowrap", _first), ("alter", _constant(""))),
    "es": _table(
        ("unidad|esd|unidades", _quantity),
        ("siglo", _before("siglo ")),
        ("fecha|nacimiento|fallecimiento", _joined(" ")),
        ("enlace|enlace interlingüe|nw", _first),
    ),
    "fr": _table(
        ("unité|unite|nb|nombre|num|heure|monnaie", _quantity),
        ("s|siècle|s mini", _century(" siècle")),
        ("s-|-s-|s2-", _century("")),
        ("av jc|av. j.-c.|avjc|-av jc", _constant("av. J.-C.")),
        ("date|date-|date de naissance|date de décès|date naissance", _joined(" ")),
        ("1er|ier", _constant("1er")),
        ("1re|ire", _constant("1re")),
        ("lien|page h'", _link),
        ("citation|citation étrangère|guil|citation courte", lambda given: f"« {_last(given)} »"),
        ("abréviation|abrd|abréviation discrète|pc|petites capitales|terme défini|japonais", _first),
        ("langue|lang", _second),
        ("nobr romains|rom-maj|romains", _first),
        ("n°|numéro|no", _before("no ")),
        ("me|mme|mlle|mgr|dr|st|ste|pr", lambda given: f"{given.name.capitalize()} {given[1]}".strip()),
        ("m.|mm.", lambda given: f"{given.name.upper()} {given[1]}".strip()),
    ),
    "it": _table(("m|val|unità", _quantity), ("citazione", _paragraph), ("s|secolo", _century(" secolo"))),
    "ja": _table(
        ("読み仮名|読み仮名 ruby不使用|読み|ルビ|ruby|よみがな", lambda given: f"{given[1]}({given[2]})"),
        ("仮リンク|日本語版にない記事リンク", lambda given: given.named.get("label") or given[1]),
        ("補助漢字フォント|cjkv|jis2004フォント|変体仮名フォント|拡張漢字|漢字", _first),
        ("和暦|by|西暦", lambda given: f"{given[1]}年"),
        ("要出典範囲", lambda given: given.named.get("1") or given[1]),
    ),
    "ko": _table(("llang", _second), ("해석|번역", _first), ("한자|한국어|원어", _last), ("임시링크", _first)),
    "nl": _table(("eenheid|unité", _quantity), ("citeer|cquote", _paragraph)),
    "vi": _table(("lang|ngôn ngữ", _second), ("đổi|chuyển đổi", _convert), ("liên kết ngôn ngữ|ill", _link)),
    "zh": _table(
        ("link|internal link helper|tsl", _last),
        ("le|link-en|link-ja|link-de|link-fr|link-ko|link-es|link-it|link-vi|link-nl|lj|lje", _first),
        ("僻字|外语|外語|ruby|专名|專名", _first),
        ("公里|千米", _before("")),
    ),
}

# `{{lang-fr|texte}}`, in German `{{frS|texte}}`: a language in the template's name.
_LANGUAGE_NAMED = re.compile(r"lang-[a-z\-]+|(?:en|fr|la|it|es|grc|ru|pl|ja|nl|tr|ar|el|pt|cs|sv|da|no|hu)s")
_PARSER_FUNCTION = re.compile(r"\s*(formatnum|lc|uc|lcfirst|ucfirst|#formatdate|lang)\s*:(.*)", re.DOTALL)


def renderers(lang: str) -> dict[str, Renderer]:
    """Lower-case template name -> renderer, for one language."""
    return {**_EVERYWHERE, **_BY_LANGUAGE.get(lang, {})}


def render(name: str, raw: str, known: Mapping[str, Renderer]) -> str:
    """The text of one template without templates inside.

    Args:
        name: as written, up to the first bar.
        raw: the rest, beginning with a bar, or empty.
        known: of `renderers`.
    """
    key = name.strip().replace("_", " ").lower()
    renderer = known.get(key)
    if renderer is None and _LANGUAGE_NAMED.fullmatch(key):
        renderer = _first
    if renderer is None and ":" in key and (function := _PARSER_FUNCTION.fullmatch(name)):
        return function[2].strip()
    return renderer(arguments(key, raw)) if renderer is not None else ""


def names(languages: Iterable[str]) -> set[str]:
    """All names that are rendered in any of the languages, for the documentation."""
    return {name for lang in languages for name in renderers(lang)}
