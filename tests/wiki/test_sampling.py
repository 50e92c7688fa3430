"""Samples of a text file: by hash, nested, and of the size that was asked for."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.config import TextConfig, load
from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.tally import Tally
from kgcorpus.wiki.sampling import Sample


def rows_of(sizes: list[int]) -> list[dict[str, Any]]:
    """Documents of so many lines."""
    return [
        {"page_id": -(100 * i + 1), "lang": "fr", "text": "\n".join(["x"] * n)} for i, n in enumerate(sizes)
    ]


def kept(sizes: list[int], *, tally: Tally | None = None, **options: Any) -> list[int]:
    def read(counters: Tally) -> Iterator[dict[str, Any]]:
        for row in rows_of(sizes):
            counters.good()
            yield row

    sample = Sample(**{"share": None, "sentences": None, "seed": 7, **options})
    return [row["page_id"] for row in sample.of(read, tally or Tally())]


def lines_in(sizes: list[int], pages: list[int]) -> int:
    return sum(sizes[(-page - 1) // 100] for page in pages)


def test_a_share_keeps_about_that_share_and_counts_the_others_as_drops() -> None:
    tally = Tally()
    found = kept([1] * 4000, tally=tally, share=0.25)
    assert len(found) == pytest.approx(1000, abs=100)
    assert tally.drops == {"not_sampled": 4000 - len(found)}
    assert tally.counts == {"good_input": 4000, "sampled_sentences.fr": len(found)}
    assert kept([1] * 4000, share=0.25, seed=8) != found
    assert kept([1] * 4000, share=1.0) == kept([1] * 4000) == [row["page_id"] for row in rows_of([1] * 4000)]


def test_a_number_of_sentences_is_met_and_input_is_counted_once() -> None:
    tally = Tally()
    found = kept([1] * 3000, tally=tally, sentences=500)
    assert len(found) == tally.counts["sampled_sentences.fr"] == pytest.approx(500, abs=2)
    assert len(found) <= 500
    assert tally.counts["good_input"] == 3000


@given(st.lists(st.integers(1, 12), max_size=60), st.integers(1, 200), st.integers(1, 200))
def test_samples_are_nested_and_never_larger_than_asked(sizes: list[int], one: int, other: int) -> None:
    small, large = (kept(sizes, sentences=n) for n in sorted((one, other)))
    assert lines_in(sizes, small) <= min(one, other)
    assert set(small) <= set(large)
    if sum(sizes) <= max(one, other):
        assert len(large) == len(sizes)


def test_a_document_s_fate_does_not_depend_on_what_is_appended() -> None:
    sizes = [2] * 500
    more = kept([*sizes, *[2] * 500], share=0.3)
    assert kept(sizes, share=0.3) == [page for page in more if -page < 100 * 500]


def test_share_and_sentences_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="share and sentences both set the size"):
        load(TextConfig, None, overrides=["lang=fr", "path=x", "share=.5", "sentences=3"])
