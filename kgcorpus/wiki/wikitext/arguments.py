"""Parsing of the arguments of a template."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from kgcorpus.wiki.wikitext.characters import HOLE

_PART = re.compile(r"\|((?>(?:[^|\[]++|\[\[[^\[\]]*+\]\]|\[)*))")  # a link's own bar does not end it
_NESTED = re.compile(r"\[\[[^\[\]]*+\[\[|-\{")
_BRACKETS = re.compile(r"\[\[|\]\]|-\{|\}-|\|")
_CLOSING = {"[[": "]]", "-{": "}-"}
_KEY = re.compile(r"[\w\- ]+")
# Few digits: Python refuses to convert thousands of them, and a page may hold any.
_POSITION = re.compile(r"[1-9]\d?", re.ASCII)


@dataclass(slots=True)
class Arguments:
    """The text between a template's bars, stripped; `{{x|1=a}}` is the first positional one.

    Attributes:
        template: its name, in lower case.
        named: by names in lower case.
    """

    template: str
    positional: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, n: int) -> str:
        """The n-th positional argument, counted from 1; empty if absent."""
        return self.positional[n - 1] if n <= len(self.positional) else ""

    def of(self, *keys: str) -> str:
        """The first argument of these numbers or names that is not empty; empty if none is."""
        for key in keys:
            if value := self[int(key)] if _POSITION.fullmatch(key) else self.named.get(key.lower(), ""):
                return value
        return ""


Renderer = Callable[[Arguments], str]


def arguments(template: str, raw: str) -> Arguments:
    """Parse `raw`, which begins with a bar or is empty.

    Numbered arguments up to 99 are positional, whatever their order; the last of one number counts.
    """
    given = Arguments(template)
    if HOLE in raw:
        raw = raw.replace(HOLE, "")
    count = 0
    for part in _parts(raw):
        before, equals, value = part.partition("=")
        key = before.strip()
        if not equals or not _KEY.fullmatch(key):
            count += 1
            _put(given.positional, count, part.strip())
        elif _POSITION.fullmatch(key):
            _put(given.positional, int(key), value.strip())
        else:
            given.named[key.lower()] = value.strip()
    return given


def _put(positional: list[str], n: int, value: str) -> None:
    if n == len(positional) + 1:
        positional.append(value)
        return
    if n > len(positional):
        positional += [""] * (n - len(positional))
    positional[n - 1] = value


def _parts(raw: str) -> list[str]:
    """What the bars outside links, files and language conversions part."""
    if "[[" not in raw and "-{" not in raw:
        return raw.split("|")[1:]
    if not _NESTED.search(raw):
        return _PART.findall(raw)
    parts: list[str] = []
    closings: list[str] = []
    start = 1
    for mark in _BRACKETS.finditer(raw, 1):
        bracket = mark[0]
        if bracket in _CLOSING:
            closings.append(_CLOSING[bracket])
        elif closings and bracket == closings[-1]:
            closings.pop()
        elif bracket == "|" and not closings:
            parts.append(raw[start : mark.start()])
            start = mark.end()
    # Where a bracket is never closed, nothing is nested.
    return [*parts, raw[start:]] if not closings else _PART.findall(raw)
