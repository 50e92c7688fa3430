"""A line of progress fits its terminal, whatever is counted."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from kgcorpus.report.progress.facts import Facts
from kgcorpus.report.progress.text import amount, duration, fitted, forms_of, label_of, line_of
from pipelines.stages import STAGES

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
    label, text, bar = fitted(label_of(facts), forms_of(facts), width)
    assert cell_len(label) + 1 + (bar + 1 if bar else 0) + cell_len(text) <= max(width, 1)


@pytest.mark.parametrize(
    ("width", "text", "bar"),
    [
        (120, "12/64 tasks  1.2/3.4 GB  12k rows/s  3:20 left", 50),
        (80, "12/64 tasks  1.2/3.4 GB  12k rows/s  3:20 left", 10),
        (70, "12/64 tasks  1.2/3.4 GB  12k rows/s  3:20 left", 0),
        (50, "12/64 tasks  3:20 left", 0),
        (40, "3:20 left", 7),
    ],
)
def test_a_narrow_terminal_keeps_the_stage_and_the_time_left(width: int, text: str, bar: int) -> None:
    assert fitted(label_of(BUSY), forms_of(BUSY), width) == ("12/22 linked_sentences", text, bar)


@pytest.mark.parametrize(
    ("changes", "text", "bar"),
    [
        # A first build: no stage after this one was ever timed.
        (
            {"seconds_left": None, "stage_seconds_left": 200},
            "12/64 tasks 1.2/3.4 GB 12k rows/s stage 3:20 left",
            7,
        ),
        (
            {
                "done": 1234,
                "total": 6400,
                "bytes_done": 123 * 10**9,
                "bytes": 340 * 10**9,
                "seconds_left": 45_296,
            },
            "1234/6400 tasks 123/340 GB 12k rows/s 12h34m left",
            7,
        ),
        (
            {
                "done": 12_345,
                "total": 64_000,
                "bytes_done": 123 * 10**9,
                "bytes": 340 * 10**9,
                "rows_per_second": 123_456,
                "seconds_left": None,
                "stage_seconds_left": 45_296,
            },
            "12345/64000 tasks 123/340GB 123k rows/s stage 12h34m",
            0,
        ),
        (
            {"done": 1_234_567, "total": 6_400_000, "seconds_left": 450_000.0, "rows_per_second": 123_456},
            "1234567/6400000 tasks 1.2/3.4 GB 123k rows/s 5d05h left",
            0,
        ),
    ],
)
def test_80_columns_have_room_for_all_facts(changes: dict[str, float], text: str, bar: int) -> None:
    facts = replace(BUSY, **changes)  # type: ignore[arg-type]
    assert fitted(label_of(facts), forms_of(facts), 80) == ("12/22 linked_sentences", text, bar)


@given(
    st.sampled_from([stage.table for stage in STAGES] + ["a_table_of_a_users_own_package"]),
    st.integers(0, 99_999),
    st.integers(1, 10**15),
    st.floats(1, 10**8),
    st.floats(0, 10**7),
    st.sampled_from(["seconds_left", "stage_seconds_left", "stage_seconds"]),
)
def test_80_columns_have_room_for_all_facts_of_any_stage(
    stage: str, done: int, size: int, rate: float, seconds: float, known: str
) -> None:
    times = {"seconds_left": None, known: seconds}
    facts = replace(BUSY, stage=stage, done=done, total=99_999, rows_per_second=rate, **times)  # type: ignore[arg-type]
    facts = replace(facts, bytes_done=size // 3, bytes=size)
    label, text, _ = fitted(label_of(facts), forms_of(facts), 80)
    assert f"12/22 {stage}".startswith(label)
    assert len(label) >= min(24, len(f"12/22 {stage}"))
    assert re.fullmatch(
        r"[\d,]+/99,?999 tasks +[\d.]+/[\d.]+ ?\w?B +[\d.]+[kM]? rows/s +(stage \S+|.* left|.* so far)", text
    )


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
