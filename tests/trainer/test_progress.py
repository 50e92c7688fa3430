"""The bar of a training run."""

import pytest

from tests.terminals import frames_of, use_terminal
from trainer.progress import progress


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_bar_fits_80_columns_and_shows_no_emoji(monkeypatch, encoding):
    raw = use_terminal(monkeypatch, encoding=encoding)
    names = ("loss", "loss_[red]:cat:", "loss_category", "loss_relation", "loss_token", "loss_entity")
    with progress(0, 100_000, log_every=1) as show:
        for step in range(1, 4):
            show({"step": step, "tokens": 123_456, "seconds": 0.1, **dict.fromkeys(names, 1.2345)})
    frames = frames_of(raw, encoding)
    assert max(map(len, frames)) <= 80
    # Lines do not wrap: every frame replaces the one before, on the same line.
    assert raw.getvalue().count(b"\n") == 1
    assert "3/100000" in frames[-2]
    assert "loss=1.234  loss_[red]:cat:=1.234" in frames[-2]
