"""The bar of a training run."""

import io
import re
import sys

import pytest
from rich.console import Console

from kgcorpus.report import terminal
from trainer.progress import progress

_ESCAPES = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_bar_fits_80_columns_and_shows_no_emoji(monkeypatch, encoding):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace")
    options = {"force_terminal": True, "width": 80, "markup": False, "emoji": False, "highlight": False}
    monkeypatch.setattr(terminal, "stderr", Console(file=file, **options))
    monkeypatch.setattr(sys, "stderr", _Terminal())
    names = ("loss", "loss_[red]:cat:", "loss_category", "loss_relation", "loss_token", "loss_entity")
    with progress(0, 100_000, log_every=1) as show:
        for step in range(1, 4):
            show({"step": step, "tokens": 123_456, "seconds": 0.1, **dict.fromkeys(names, 1.2345)})
    file.flush()
    frames = [
        _ESCAPES.sub("", frame) for frame in raw.getvalue().decode(encoding).replace("\n", "\r").split("\r")
    ]
    assert max(map(len, frames)) <= 80
    # Lines do not wrap: every frame replaces the one before, on the same line.
    assert raw.getvalue().count(b"\n") == 1
    assert "3/100000" in frames[-2]
    assert "loss=1.234  loss_[red]:cat:=1.234" in frames[-2]
