"""Arithmetic of progress: rates, the finished share of a stage and of a command, and the time left."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Rates are those of the last seconds.
_WINDOW = 30.0
_ALMOST = 0.95


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a piece of work has done so far.

    Attributes:
        done, active, total: units that are finished, at work, and known so far; total is None if unknown.
        bytes, rows: input that was read.
        unit: what `done`, `active` and `total` count, if it is not what the work's caller named.
        doing: what precedes the work itself, such as `preparing`; its bytes are shown, but are in no share.
    """

    done: int = 0
    active: int = 0
    total: int | None = None
    bytes: int = 0
    rows: int = 0
    unit: str | None = None
    doing: str = ""


class Rate:
    """A rate over the last 30 seconds.

    Args:
        start: when the count was 0, in seconds; default: unknown.
    """

    def __init__(self, start: float | None = None) -> None:
        self._seen: deque[tuple[float, float]] = deque([] if start is None else [(start, 0.0)])

    def add(self, seconds: float, count: float) -> None:
        """Note a count at a time; both must not decrease."""
        if self._seen and count < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((seconds, count))
        # One sample at or before the window's start stays.
        while len(self._seen) > 2 and self._seen[1][0] <= seconds - _WINDOW:
            self._seen.popleft()

    def per_second(self) -> float | None:
        """Return the rate; None before two samples, and if nothing was counted in the last 30 seconds."""
        if len(self._seen) < 2:
            return None
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start and last > first else None


def share_done(counts: Counts, *, bytes_total: int | None, tasks_before: int | None) -> float:
    """The finished share of a stage, 0 to 1.

    A task may take hours, so bytes refine it: they measure the tasks at work that read input.

    Args:
        bytes_total: bytes of the input; None if it is not counted.
        tasks_before: tasks of the last run, because those known so far are only the first ones. Without them,
            the share is the one of the bytes until all input was read, and at most 0.95 then.
    """
    read = min(1.0, counts.bytes / bytes_total) if bytes_total else 0.0
    tasks = max(counts.total or 0, tasks_before or 0)
    if not tasks:
        return read
    by_tasks = counts.done / tasks
    is_reading = bytes_total is not None and read < 1
    if not tasks_before:
        return min(_ALMOST, read if is_reading else by_tasks)
    # Once all input was read, the tasks at work are others.
    by_bytes = read * (counts.done + counts.active) / tasks if is_reading else 0.0
    return min(1.0, max(by_tasks, by_bytes))


def stage_seconds_left(seconds: float, share: float, expected: float | None) -> float | None:
    """Seconds until a stage ends; None if neither estimate exists.

    The measured estimate is `seconds * (1 - share) / share`, the one of the last run `expected - seconds`.
    The measured one's weight grows with the share, and is 1 from a quarter of the stage on.

    Args:
        seconds: since its start.
        share: the finished share, 0 to 1.
        expected: the stage's seconds, from the last run.
    """
    if expected is None:
        return seconds * (1 - share) / share if share > 0 else None
    remembered = max(0.0, expected - seconds)
    if share <= 0:
        return remembered
    weight = min(1.0, 4 * share)
    return weight * seconds * (1 - share) / share + (1 - weight) * remembered


def command_seconds_left(left: float | None, coming: Sequence[float | None]) -> float | None:
    """Seconds until all stages have ended; None if one of them was never timed.

    Args:
        left: of the stage at work.
        coming: the expected seconds of the stages after it.
    """
    known = [seconds for seconds in (left, *coming) if seconds is not None]
    return sum(known) if len(known) == len(coming) + 1 else None


def command_share(stages: Mapping[str, float | None], done: int, share: float) -> float:
    """The finished share of a command: by the expected seconds of its stages, or by their number.

    Args:
        stages: the expected seconds of each stage that runs, in their order.
        done: how many of them have ended.
        share: the finished share of the next one.
    """
    seconds = list(stages.values())
    known = [value for value in seconds if value is not None]
    weights = known if len(known) == len(seconds) and sum(known) > 0 else [1.0] * len(seconds)
    if not weights:
        return share
    at_work = weights[done] * share if done < len(weights) else 0.0
    return min(1.0, (sum(weights[:done]) + at_work) / sum(weights))
