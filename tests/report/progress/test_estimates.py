"""Rates, shares and times left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.report.progress.estimates import (
    Counts,
    Rate,
    command_seconds_left,
    command_share,
    share_done,
    stage_seconds_left,
)

SECONDS = st.floats(0, 1e7)
SHARES = st.floats(0, 1)


def test_a_rate_is_of_the_last_30_seconds() -> None:
    rate = Rate()
    assert rate.per_second() is None
    for second in range(101):
        # 1 a second, then 10.
        rate.add(float(second), second if second <= 60 else 60 + 10 * (second - 60))
    assert rate.per_second() == pytest.approx(10)


def test_nothing_in_30_seconds_is_no_rate() -> None:
    rate = Rate(0.0)
    rate.add(1.0, 50)
    assert rate.per_second() == pytest.approx(50)
    for second in range(2, 40):
        rate.add(float(second), 50)
    assert rate.per_second() is None


def test_a_count_that_starts_again_gives_no_negative_rate() -> None:
    rate = Rate()
    for second, count in enumerate((0, 100, 5, 7)):
        rate.add(float(second), count)
    assert rate.per_second() == pytest.approx(2)


@pytest.mark.parametrize(
    ("counts", "size", "before", "share"),
    [
        (Counts(), None, None, 0),
        # Hashing: bytes alone.
        (Counts(bytes=30), 120, None, 0.25),
        (Counts(bytes=500), 120, None, 1),
        (Counts(done=16, total=64), None, None, 0.25),
        # One task reads one file for hours.
        (Counts(done=0, active=1, total=1, bytes=60), 120, None, 0.5),
        (Counts(done=0, active=1, total=1, bytes=60), 120, 4, 0.125),
        # All was read: the task at work is another one.
        (Counts(done=1, active=1, total=2, bytes=120), 120, None, 0.5),
        # A first job has ended, and nothing was read yet.
        (Counts(done=1, total=1), 120, None, 0),
        (Counts(done=4, total=4), None, None, 0.95),
        # Spark knows its first tasks only; the last run had more.
        (Counts(done=4, total=4), None, 16, 0.25),
        (Counts(done=20, total=20), None, 16, 1),
    ],
)
def test_the_share_of_a_stage(counts: Counts, size: int | None, before: int | None, share: float) -> None:
    assert share_done(counts, bytes_total=size, tasks_before=before) == pytest.approx(share)


@pytest.mark.parametrize(
    ("seconds", "share", "expected", "left"),
    [
        (10, 0, None, None),
        (10, 0.1, None, 90),
        (10, 0, 100, 90),
        (200, 0, 100, 0),
        # From a quarter on only what was measured counts.
        (100, 0.25, 100, 300),
        (10, 1, 100, 0),
        # An eighth: half of 70 and half of 90.
        (10, 0.125, 100, 80),
    ],
)
def test_the_time_left_of_a_stage(
    seconds: float, share: float, expected: float | None, left: float | None
) -> None:
    assert stage_seconds_left(seconds, share, expected) == (left if left is None else pytest.approx(left))


@given(SECONDS, SHARES, st.none() | SECONDS)
def test_the_time_left_is_never_negative(seconds: float, share: float, expected: float | None) -> None:
    left = stage_seconds_left(seconds, share, expected)
    assert left is None or left >= 0


def test_the_time_left_of_a_command_is_unknown_if_a_stage_was_never_timed() -> None:
    assert command_seconds_left(5, [10, 20]) == 35
    assert command_seconds_left(5, [10, None]) is None
    assert command_seconds_left(None, [10]) is None


@given(st.lists(st.none() | SECONDS, max_size=30), st.data())
def test_the_share_of_a_command_grows_from_0_to_1(times: list[float | None], data: st.DataObject) -> None:
    stages = {str(i): time for i, time in enumerate(times)}
    done = data.draw(st.integers(0, len(stages)))
    shares = sorted(data.draw(st.lists(SHARES, min_size=1)))
    found = [command_share(stages, done, share) for share in shares]
    assert found == sorted(found)
    assert all(0 <= share <= 1 for share in found)
    if stages:
        assert command_share(stages, len(stages), 0) == 1
        assert command_share(stages, 0, 0) == 0
        # A stage that ends is as good as one that has been done.
        if done < len(stages):
            assert command_share(stages, done, 1) == pytest.approx(command_share(stages, done + 1, 0))


def test_stages_count_by_their_time_if_all_were_timed() -> None:
    assert command_share({"a": 30, "b": 60}, 1, 0.5) == pytest.approx(60 / 90)
    assert command_share({"a": 30, "b": None}, 1, 0.5) == pytest.approx(0.75)
