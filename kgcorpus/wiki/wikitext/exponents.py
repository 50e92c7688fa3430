"""`<sup>` and `<sub>` that carry a number's value: exponents and fractions."""

import re

# `10<sup>6</sup>` is a power; `1<sup>st</sup>`, `XIX<sup>e</sup>` and `Ca<sup>2+</sup>` are none.
_POWER = r"(?:[+\-−–]|&(?:minus|ndash|#8722|#x2212);)?(?:\d+(?:[.,/⁄^]\d+)?|\d*[nkxyzjpq](?:[+\-−–]\d+)?)"
_LINKED = rf"\[\[[^\[\]|<>\n]*+\|{_POWER}\]\]"
# A pattern that begins with a character is found fast; the text before it is checked afterwards.
_SUP, _SUB = r"<[sS][uU][pP]", r"<[sS][uU][bB]"
_ANY_SUP, _ANY_SUB = re.compile(_SUP), re.compile(_SUB)
_BASE = r"(?:(?<=[\w)\]'\ufdd5]<sup)|(?<=</[ib]><sup)|(?<=</(?:sub|var|big)><sup)|(?<=</span><sup))"
_EXPONENT = re.compile(
    rf"{_SUP}(?i:{_BASE}(?:\s[^<>]*+)?>\s*+(?:''|<(?:i|var)>)?({_POWER}|{_LINKED})(?:''|</(?:i|var)>)?\s*</sup\s*>)"
)
_FRACTION = re.compile(
    rf"{_SUP}(?:\s[^<>]*+)?>\s*+(\d{{1,9}})\s*+</[sS][uU][pP]\s*>(?:/|⁄|&frasl;|&#8260;)"
    rf"{_SUB}(?:\s[^<>]*+)?>\s*+(\d{{1,9}})\s*+</[sS][uU][bB]\s*>"
)


def exponents_shown(text: str) -> str:
    """Write powers as `10^6` (`m²` and `m³` for a letter's square and cube) and fractions as `1/2`."""
    if not _ANY_SUP.search(text):
        return text
    if _ANY_SUB.search(text):
        text = _FRACTION.sub(_fraction, text)
    if "</sup></sup>" in text:
        text = _EXPONENT.sub(_power, text)
    return _EXPONENT.sub(_power, text)


def _power(found: re.Match[str]) -> str:
    before = found.string[found.start() - 1]
    power = found[1]
    if power in ("2", "3") and (before.isalpha() or before in "]\ufdd5"):
        return "²" if power == "2" else "³"
    return f"^{power}"


def _fraction(found: re.Match[str]) -> str:
    whole = found.string[found.start() - 1].isdecimal()
    return f"{' ' if whole else ''}{found[1]}/{found[2]}"
