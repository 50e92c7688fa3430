"""A terminal in memory, as the bar of progress sees it."""

import io
import re
import sys

import pytest
from rich.console import Console

from kgcorpus.report import terminal

_ESCAPES = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch, *, encoding: str = "utf-8", width: int = 80) -> io.BytesIO:
    """Make stderr a terminal; returns what is written to it."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", write_through=True)
    console = Console(file=file, force_terminal=True, width=width, markup=False, emoji=False, highlight=False)
    monkeypatch.setattr(terminal, "stderr", console)
    monkeypatch.setattr(sys, "stderr", _Terminal())
    return raw


def frames_of(raw: io.BytesIO, encoding: str = "utf-8") -> list[str]:
    """What was written from one return to the next, without escapes."""
    return [_ESCAPES.sub("", frame) for frame in re.split("[\r\n]", raw.getvalue().decode(encoding))]
