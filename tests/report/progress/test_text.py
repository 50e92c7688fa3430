"""A line of progress fits its terminal, whatever is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from kgcorpus.report.progress.facts import Facts
from kgcorpus.report.progress.text import amount, duration, fitted, label_of, line_of, parts_of

COUNTS = st.integers(0, 10**15)
FACTS = st.builds(
    Facts,
    command=st.just("build-corpus"),
    stage=st.text(max_size=60),
    doing=st.sampled_from(["", "hashing shards", "starting Spark"]),
    stages_done=st.integers(0, 99),
    stages=st.integers(0, 99),
    done=st.none() | COUNTS,
    total=st.none() | COUNTS,
    bytes_done=st.none() | COUNTS,
    bytes=st.none() | COUNTS,
    rows=COUNTS,
    rows_per_second=st.none() | st.floats(0, 1e12),
    bytes_per_second=st.none() | st.floats(0, 1e12),
    seconds_left=st.none() | st.floats(0, 1e8),
    stage_seconds_left=st.none() | st.floats(0, 1e8),
)
BUSY = Facts(
    command="build-corpus",
    stage="linked_sentences",
    stages_done=11,
    stages=22,
    done=12,
    total=64,
    bytes_done=1_234_000_000,
    bytes=3_400_000_000,
    rows=5,
    rows_per_second=12_345.6,
    seconds_left=200,
)


@given(FACTS, st.integers(1, 200))
def test_a_line_is_never_wider_than_the_terminal(facts: Facts, width: int) -> None:
    label, text, bar = fitted(label_of(facts), parts_of(facts), width)
    assert cell_len(label) + 1 + (bar + 1 if bar else 0) + cell_len(text) <= max(width, 1)


@pytest.mark.parametrize(
    ("width", "text", "bar"),
    [
        (120, "12/64 tasks  1.2/3.4 GB  12k rows/s  3:20 left", 50),
        (80, "12/64 tasks  1.2/3.4 GB  12k rows/s  3:20 left", 10),
        (70, "12/64 tasks  1.2/3.4 GB  3:20 left", 12),
        (50, "3:20 left", 17),
    ],
)
def test_a_narrow_terminal_keeps_the_stage_and_the_time_left(width: int, text: str, bar: int) -> None:
    assert fitted(label_of(BUSY), parts_of(BUSY), width) == ("12/22 linked_sentences", text, bar)


def test_a_line_of_a_log_has_all_parts() -> None:
    line = "12/22 linked_sentences: 12/64 tasks, 1.2/3.4 GB, 12k rows/s, 3:20 left"
    assert line_of(BUSY) == line


@pytest.mark.parametrize(
    ("value", "of", "text"),
    [
        (0, None, "0 B"),
        (999.4, None, "999 B"),
        (999.6, None, "1.0 kB"),
        (12_345, None, "12 kB"),
        (9_960_000, None, "10 MB"),
        (100_000, 3_400_000_000, "0.0/3.4 GB"),
        (10**21, None, "1000000 PB"),
    ],
)
def test_amounts_have_three_digits_and_a_decimal_unit(value: float, of: float | None, text: str) -> None:
    assert amount(value, "B", of=of) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03"), (-5, "0:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
