"""Rendering of templates of numbers, units and money as text; exponents are `<sup>`, as in MediaWiki."""

import re
from collections.abc import Mapping

from kgcorpus.wiki.wikitext.arguments import Arguments

_NUMBER = re.compile(r"[+\-−]?[\d.,\u00a0]+(?:/\d+)?|[+\-−]?\d+\+\d+/\d+")
_DECIMAL = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_SIGNED = re.compile(r"[+\-−]?\d+")
_UNIT = re.compile(r"(?<=[A-Za-zµμΩ°])([-−]?[1-9])(?![\w°])")
_POWER_OF_UNIT = re.compile(r"e(\d{1,2})(?=[^\W\d_])")

_DASHES = dict.fromkeys(("-", "–", "—", "&ndash;", "to(-)"), "–")
_SIGNS = dict.fromkeys(("x", "xx", "×", "*"), " × ") | dict.fromkeys(("+/-", "±", "+/−"), " ± ")
_WORDS = {
    word: f" {word} "
    for word in (
        "to",
        "and",
        "or",
        "by",
        "+",
        "to about",
        "bis",
        "a",
        "e",
        "à",
        "et",
        "y",
        "o",
        "và",
        "tot",
        "en",
    )
}
_RANGE = {**_DASHES, **_SIGNS, **_WORDS, **{f"{word}(-)": f" {word} " for word in ("and", "or", "by")}}

# Codes of `convert` that are not what a reader sees; all others are shown as they are.
_UNITS = {
    "c": "°C",
    "f": "°F",
    "r": "°R",
    "c-change": "°C",
    "f-change": "°F",
    "sqmi": "sq mi",
    "sqkm": "km2",
    "sqft": "sq ft",
    "sqyd": "sq yd",
    "sqin": "sq in",
    "sqm": "m2",
    "sqcm": "cm2",
    "cuft": "cu ft",
    "cuyd": "cu yd",
    "cuin": "cu in",
    "cumi": "cu mi",
    "usgal": "US gal",
    "impgal": "imp gal",
    "u.s.gal": "US gal",
    "imp.gal": "imp gal",
    "usoz": "US fl oz",
    "impoz": "imp fl oz",
    "usfloz": "US fl oz",
    "impfloz": "imp fl oz",
    "lt": "long tons",
    "st": "short tons",
    "t": "t",
    "mt": "t",
    "nmi": "nmi",
    "kph": "km/h",
    "lbf.ft": "lbf⋅ft",
    "n.m": "N⋅m",
    "kw.h": "kW⋅h",
    "kwh": "kWh",
    "persqmi": "/sq mi",
    "pd/sqmi": "/sq mi",
    "pd/sqkm": "/km2",
    "/sqmi": "/sq mi",
    "/sqkm": "/km2",
}
_CASED = {"ST": "short tons", "LT": "long tons", "st": "st", "C": "°C", "F": "°F", "K": "K"}


NO_WORDS: Mapping[str, str] = {}
ENGLISH_WORDS: Mapping[str, str] = {"3": "thousand", "6": "million", "9": "billion", "12": "trillion"}


def unit(code: str) -> str:
    """A unit as a reader sees it: `km2` -> `km<sup>2</sup>`, `sqmi` -> `sq mi`, `C` -> `°C`."""
    return _UNIT.sub(r"<sup>\1</sup>", _CASED.get(code) or _UNITS.get(code.lower(), code))


def convert(given: Arguments, words: Mapping[str, str] = NO_WORDS) -> str:
    """`{{convert|3|to|5|km|mi}}` -> `3 to 5 km`: number and unit as in the source, without the conversion.

    Args:
        words: for the powers of ten of units like `e6km2`, where the unit is not abbreviated.
    """
    parts = given.positional
    text, at = _plus_fraction(given[1]), 1
    while at + 1 < len(parts) and (between := _range(parts[at])):
        text += between + _plus_fraction(parts[at + 1])
        at += 2
    adjective = "-" if given.named.get("adj") in ("on", "mid", "pre", "ri1") else " "
    if at < len(parts) and parts[at]:
        code = parts[at]
        if power := _POWER_OF_UNIT.match(code):  # {{convert|5|e6km2}}
            word = words.get(power[1]) if given.named.get("abbr") != "on" else None
            text += f" {word}" if word else power_of_ten_of(power[1])
            code = code[power.end() :]
        shown = unit(code)
        text += shown if shown[0] == "/" else adjective + shown
    if at + 2 < len(parts) and _NUMBER.fullmatch(parts[at + 1]) and not _NUMBER.fullmatch(parts[at + 2]):
        text += f" {parts[at + 1]} {unit(parts[at + 2])}"  # 5 ft 6 in
    if given.named.get("adj") == "mid" and at + 1 < len(parts):
        text += parts[-1]  # `{{convert|10|mi|km|adj=mid|-long}}`
    return text


def _range(word: str) -> str:
    if word in _RANGE:
        return _RANGE[word]
    # `{{convert|5|, then|6|m}}`: a comma begins any other word between two numbers.
    return f"{word} " if word.startswith(",") else ""


def _plus_fraction(number: str) -> str:
    """`5+1/2` -> `5 1/2`."""
    whole, plus, part = number.partition("+")
    return f"{whole} {part}" if plus and whole and "/" in part else number.replace("//", "/")


def value(given: Arguments) -> str:
    """`{{val|1.23|0.05|e=6|u=kg}}` -> `1.23±0.05×10^6 kg`; `{{val|5|to|7|u=m}}` -> `5 to 7 m`."""
    parts, named = given.positional, given.named
    text, at = given[1], 1
    while at + 1 < len(parts) and parts[at] in _RANGE:
        text += _RANGE[parts[at]] + parts[at + 1]
        at += 2
    above, below = (*parts[at : at + 2], "", "")[:2]
    if above:
        text += (
            f" +{above.lstrip('+')} −{below.lstrip('-−')}"
            if below
            else above
            if above[0] == "("
            else f"±{above}"
        )
    if parenthesis := named.get("end"):
        text += parenthesis
    if exponent := named.get("e"):
        text += f"{'×' if text else ''}10<sup>{exponent}</sup>"
    shown = given.of("u", "ul", "up", "upl")
    per = given.of("up", "upl") if given.of("u", "ul") else ""
    over = f"/{unit(per)}" if per else ""
    space = "" if shown[:1] in ("%", "°", "′", "″") and shown[:2] not in ("°C", "°F") else " "
    return f"{named.get('p', '')}{text}{space + _dotted(shown) if shown else ''}{over}{named.get('s', '')}"


def _dotted(code: str) -> str:
    return unit(code.replace(".", "⋅") if re.fullmatch(r"[A-Za-z]+\.[A-Za-z]+\d?", code) else code)


def gaps(given: Arguments) -> str:
    """`{{gaps|299|792|458|u=m}}` -> `299792458 m`: the gaps are no characters."""
    named = given.named
    text = "".join(given.positional)
    if exponent := named.get("e"):
        text += f"×{named.get('base', '10')}<sup>{exponent}</sup>"
    left = f"{named['lhs']} = " if "lhs" in named else ""
    right = f" = {named['rhs']}" if "rhs" in named else ""
    shown = given.of("u")
    return f"{left}{text}{' ' + unit(shown) if shown else ''}{right}"


def power_of_ten(given: Arguments) -> str:
    """`5.98{{e|24}}` -> `5.98×10^24`."""
    return power_of_ten_of(given[1]) if given[1] else ""


def power_of_ten_of(exponent: str) -> str:
    """`24` -> `×10^24`."""
    return f"×10<sup>{exponent}</sup>"


def ten_to(given: Arguments) -> str:
    """`{{10^|6}}` -> `10^6`."""
    return f"10<sup>{given[1]}</sup>"


def superscript(given: Arguments) -> str:
    """`{{sup|10}}`; whether it is an exponent depends on the text before it."""
    return f"<sup>{given[1]}</sup>"


def subscript(given: Arguments) -> str:
    """`{{sub|2}}`."""
    return f"<sub>{given[1]}</sub>"


def both_scripts(given: Arguments) -> str:
    """`{{su|p=2|b=i}}`: above, then below."""
    return f"<sub>{given.of('b', '2')}</sub><sup>{given.of('p', '1')}</sup>"


# Arguments between two numbers, and what they show.
_BETWEEN = {
    **{word: f" {word} " for word in ("à", "et", "ou", "par", "a", "e", "o", "y", "×")},
    **dict.fromkeys(("x", "*"), " × "),
    **{mark: mark for mark in ("–", "/", "+", "±")},
    "-": "–",
}


def quantity(given: Arguments) -> str:
    """`{{unité|3|à=5|km|2|e=6}}` -> `3 à 5×10^6 km²`: numbers and the parts of their unit."""
    named = given.named
    number, *units = given.positional or [""]
    while len(units) > 1 and units[0] in _BETWEEN and _NUMBER.fullmatch(units[1]):
        number, units = f"{number}{_BETWEEN[units[0]]}{units[1]}", units[2:]
    for word in ("à", "et", "ou", "-", "–", "×", "par", "+", "/"):
        if other := named.get(word):
            number += (f" {word} " if word.isalpha() or word == "×" else word) + other
    for key, sign in (("±", "±"), ("+-", "±")):
        if other := named.get(key):
            number += sign + other
    if exponent := given.of("e", "exp", "10"):
        number += f"×10<sup>{exponent}</sup>"
    text = number
    for part in units:
        if part:
            text += f"<sup>{part}</sup>" if _SIGNED.fullmatch(part) else (" " if text else "") + part
    return text


def measure(given: Arguments) -> str:
    """`{{M|12|e=6|ul=km}}` -> `12×10^6 km`; `{{Maß|3|m}}`, `{{unidad|5|km|2}}`."""
    number, *units = given.positional or [""]
    while len(units) > 1 and units[0] in _BETWEEN and _NUMBER.fullmatch(units[1]):
        number, units = f"{number}{_BETWEEN[units[0]]}{units[1]}", units[2:]
    if units and _SIGNED.fullmatch(units[0]) and len(units) > 1 and not _NUMBER.fullmatch(units[1]):
        number, units = f"{number}×10<sup>{units[0]}</sup>", units[1:]  # {{M|1,5|6|km}}
    if exponent := given.of("e"):
        number += f"×10<sup>{exponent}</sup>"
    if error := given.of("er", "±"):
        number += f"±{error}"
    shown = given.of("u", "ul", "um", "unidad")
    text = f"{given.of('pre', 'p')}{number}"
    for part in (*units, shown):
        if part and part != "-":
            text += f"<sup>{part}</sup>" if _SIGNED.fullmatch(part) and text else f" {unit(part)}"
    return text.strip()


def fraction(given: Arguments) -> str:
    """`5{{frac|1|2}}` and `{{frac|5|1|2}}` -> `5 1/2`."""
    *whole, above, below = given.positional if len(given.positional) > 1 else ["1", given[1]]
    part = (
        f"<sup>{above}</sup>/<sub>{below}</sub>"
        if above.isdecimal() and below.isdecimal()
        else f"{above}/{below}"
    )
    return " ".join([*whole, part] if whole and whole[0] else [part])


def fraction_of_name(given: Arguments) -> str:
    """`5{{1/2}}` -> `5 1/2`."""
    above, below = given.template.replace("⁄", "/").split("/")
    return f"<sup>{above}</sup>/<sub>{below}</sub>"


_LEVELS = {
    "DE-NHN": "ü. NHN",
    "DE-NN": "ü. NN",
    "DE-HN": "ü. HN",
    "DE-HN76": "ü. HN",
    "CH": "ü. M.",
    "LI": "ü. M.",
    "AT": "ü. A.",
    "IT": "s.l.m.",
    "ES": "msnm",
}


def elevation(given: Arguments) -> str:
    """`{{Höhe|1234|DE-NHN}}` -> `1234 m ü. NHN`: above the zero level of a country."""
    level = _LEVELS.get(given[2].upper(), "")
    return f"{given[1]} {level if level == 'msnm' else f'm {level}'.strip()}" if given[1] else ""


def ordinal(given: Arguments) -> str:
    """`{{ordinal|21}}` -> `21st`."""
    number = given[1].replace(",", "")
    if not number.isdecimal():
        return given[1]
    suffix = "th" if number[-2:-1] == "1" else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")
    return given[1] + suffix


def height(given: Arguments) -> str:
    """`{{height|ft=6|in=2}}` -> `6 ft 2 in`, `{{height|m=1.85}}` -> `1.85 m`."""
    shown = ((given.named.get(name, ""), name) for name in ("m", "cm", "ft", "in"))
    return " ".join(f"{number} {name}" for number, name in shown if number)


def density(given: Arguments) -> str:
    """`{{Pop density|3645257|640081.87|km2}}` -> `5.7/km²`: people by area."""
    number, area = (given[n].replace(",", "") for n in (1, 2))
    if not (_DECIMAL.fullmatch(number) and _DECIMAL.fullmatch(area)) or not float(area):
        return ""
    return f"{float(number) / float(area):,.1f}/{unit(given[3])}"
