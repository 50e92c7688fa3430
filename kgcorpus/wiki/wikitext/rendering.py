"""How a template that carries text turns into it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_PART = re.compile(r"\|((?>(?:[^|\[]++|\[\[[^\[\]]*+\]\]|\[)*))")  # a link's own bar does not end it
_PLACE = re.compile(r"\{([^{}]+)\}")
_KEY = re.compile(r"[\w\- ]+")
_NUMBER = re.compile(r"[+\-−]?[\d.,]+(?:/\d+)?")
# Few digits: Python refuses to convert thousands of them, and a page may hold any.
_POSITION = re.compile(r"[1-9]\d{0,3}")
_MONTH = re.compile(r"0?[1-9]|1[0-2]")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands between a template's bars, stripped; `{{x|1=a}}` is the first positional one.

    Attributes:
        template: its name, in lower case.
    """

    template: str
    positional: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, n: int) -> str:
        """The n-th positional argument, counted from 1; empty if absent."""
        return self.positional[n - 1] if n <= len(self.positional) else ""

    def of(self, key: str) -> str:
        """The argument of a number or name; empty if absent."""
        return self[int(key)] if _POSITION.fullmatch(key) else self.named.get(key, "")


Renderer = Callable[[Arguments], str]


def arguments(template: str, raw: str) -> Arguments:
    """Parse `raw`, which begins with a bar or is empty."""
    given = Arguments(template)
    for part in _PART.findall(raw):
        before, equals, value = part.partition("=")
        key = before.strip()
        if not equals or not _KEY.fullmatch(key):
            given.positional.append(part.strip())
        elif key == str(len(given.positional) + 1):
            given.positional.append(value.strip())
        else:
            given.named[key] = value.strip()
    return given


def first(given: Arguments) -> str:
    """`{{nowrap|text}}`."""
    return given[1]


def second(given: Arguments) -> str:
    """`{{lang|fr|texte}}`."""
    return given[2] or given.named.get("text", "")


def last(given: Arguments) -> str:
    """`{{transl|ar|ISO|text}}`."""
    return given.positional[-1] if given.positional else ""


def constant(text: str) -> Renderer:
    """`{{snd}}`."""
    return lambda _: text


def filled(text: str) -> Renderer:
    """`{1} of {year}`: a text with the arguments in their places."""
    return lambda given: _PLACE.sub(lambda place: given.of(place[1]), text)


def before(text: str, then: str = "") -> Renderer:
    """`{{circa|1900}}`, `{{s|XIX|e}}`: a fixed text before the arguments, or after them."""
    return lambda given: f"{text}{given[1]}{given[2] if then else ''}{then}"


def joined(by: str) -> Renderer:
    """`{{chem|H|2|O}}`."""
    return lambda given: by.join(part for part in given.positional if part)


def paragraph(given: Arguments) -> str:
    """`{{quote|text}}`, a paragraph of its own."""
    text = given.named.get("text") or given.named.get("quote") or given[1]
    return f"\n\n{text}\n\n"


_RANGE = {
    **dict.fromkeys(("-", "–", "—", "&ndash;"), "–"),
    **dict.fromkeys(("x", "xx", "×", "*"), " × "),
    **dict.fromkeys(("+/-", "±"), " ± "),
    **{
        f"{word}": f" {word} "
        for word in ("to", "and", "or", "by", "+", "to about", "bis", "a", "e", "à", "et")
    },
    **{f"{word}(-)": f" {word} " for word in ("to", "and", "or", "by")},
}


def convert(given: Arguments) -> str:
    """`{{convert|3|to|5|km|mi}}` -> `3 to 5 km`: number and unit as in the source, without the conversion."""
    parts = given.positional
    text, at = given[1], 1
    while at + 1 < len(parts) and parts[at] in _RANGE:
        text += _RANGE[parts[at]] + parts[at + 1]
        at += 2
    if at < len(parts):
        text += " " + parts[at]
    if at + 2 < len(parts) and _NUMBER.fullmatch(parts[at + 1]) and not _NUMBER.fullmatch(parts[at + 2]):
        text += f" {parts[at + 1]} {parts[at + 2]}"  # 5 ft 6 in
    return text


def value(given: Arguments) -> str:
    """`{{val|1.23|0.05|e=6|u=kg}}` -> `1.23±0.05×10^6 kg`."""
    text = given[1]
    if given[2]:
        text += f" +{given[2]} {given[3]}" if given[3] else f"±{given[2]}"
    named = given.named
    if exponent := named.get("e"):
        text += f"×10^{exponent}"
    unit = named.get("u") or named.get("ul") or named.get("upl") or named.get("up")
    return f"{named.get('p', '')}{text}{' ' + unit if unit else ''}{named.get('s', '')}"


def quantity(given: Arguments) -> str:
    """`{{unité|12|km|2}}` -> `12 km2`: a number and the parts of its unit."""
    number, *units = given.positional or [""]
    return number + "".join(unit if _NUMBER.fullmatch(unit) else " " + unit for unit in units if unit)


def nihongo(given: Arguments) -> str:
    """`{{nihongo|Mount Fuji|富士山|Fujisan}}` -> `Mount Fuji (富士山, Fujisan)`."""
    original = ", ".join(part for part in (given[2], given[3]) if part)
    if not given[1]:
        return original
    return f"{given[1]} ({original})" if original else given[1]


def date(given: Arguments) -> str:
    """`{{birth date|1950|3|5|df=y}}` -> `5 March 1950`; without `df`, `March 5, 1950`."""
    return _date(given, day_first="df" in given.named)


def as_of(given: Arguments) -> str:
    """`{{as of|2010|5|lc=y}}` -> `as of May 2010`."""
    if "alt" in given.named:
        return given.named["alt"]
    word = "since" if "since" in given.named else "as of"
    word = word if "lc" in given.named else word.capitalize()
    return f"{word} {_date(given, day_first=given.named.get('df', '').lower() != 'us')}"


def _date(given: Arguments, *, day_first: bool) -> str:
    year, month, day = given[1], given[2], given[3]
    if _MONTH.fullmatch(month):
        month = _MONTHS[int(month) - 1]
    if day and not day_first:
        return f"{month} {day}, {year}"
    return " ".join(part for part in (day, month, year) if part)


def fraction(given: Arguments) -> str:
    """`{{frac|3|1|2}}` -> `3 1/2`."""
    *whole, above, below = given.positional if len(given.positional) > 1 else ["1", given[1]]
    return " ".join([*whole, f"{above}/{below}"])


def missing_link(given: Arguments) -> str:
    """`{{ill|Name|de|Name|lt=text}}`: a link to an article that may be missing; only its text stays."""
    named = given.named
    return named.get("lt") or named.get("texte") or named.get("label") or named.get("fr") or given[1]


def ship(given: Arguments) -> str:
    """`{{USS|Enterprise|CV-6}}` -> `USS Enterprise`."""
    return f"{given.template.upper()} {given[1]}"


def ship_class(given: Arguments) -> str:
    """`{{sclass|Nimitz|aircraft carrier}}` -> `Nimitz-class aircraft carrier`."""
    return f"{given[1]}-class {given[2]}"


def titled(given: Arguments) -> str:
    """`{{Mme|Curie}}` -> `Mme Curie`."""
    return f"{given.template.capitalize()} {given[1]}"


def french_quotation(given: Arguments) -> str:
    """`{{citation|texte}}` -> `« texte »`."""
    return f"« {last(given)} »"


def reading(given: Arguments) -> str:
    """`{{読み仮名|漢字|かんじ}}` -> `漢字(かんじ)`."""
    return f"{given[1]}({given[2]})" if given[2] else given[1]
