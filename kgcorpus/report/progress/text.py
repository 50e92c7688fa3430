"""Progress as text: one line that fits the terminal."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from kgcorpus.report.progress.facts import Facts

_GAP = "  "
_NARROWEST_BAR = 6
_LABEL = 24
# The last level of `shortening`.
_SHORTEST = 2
_PREFIXES = ("", "k", "M", "G", "T", "P")


def label_of(facts: Facts) -> str:
    """What is at work, e.g. `3/22 linked_sentences: hashing`."""
    place = f"{min(facts.stages_done + 1, facts.stages)}/{facts.stages} " if facts.stage else ""
    work = ": ".join(filter(None, (facts.stage, facts.doing)))
    return f"{place}{work or facts.command}"


def parts_of(facts: Facts, *, shortening: int = 0) -> list[str]:
    """Counts, speed and the time left, in the order in which they are shown.

    Args:
        shortening: 0: as in a log; 1: counts without commas, hours and minutes without seconds;
            2: also `1.2/3.4GB`, and `stage 3:20` instead of `stage 3:20 left`. Each level has all parts.
    """
    time, parts = duration if shortening == 0 else _short_duration, []
    if facts.total:
        count = f"{facts.done or 0:,}/{facts.total:,} {facts.unit}"
        parts.append(count.replace(",", "") if shortening else count)
    if facts.bytes:
        size = amount(min(facts.bytes_done or 0, facts.bytes), "B", of=facts.bytes)
        parts.append(size.replace(" ", "") if shortening == _SHORTEST else size)
    elif facts.bytes_done:
        parts.append(amount(facts.bytes_done, "B"))
    if facts.rows and facts.rows_per_second is not None:
        parts.append(f"{amount(facts.rows_per_second)} rows/s")
    elif facts.bytes_per_second:
        parts.append(f"{amount(facts.bytes_per_second, 'B')}/s")
    if facts.seconds_left is not None:
        parts.append(f"{time(facts.seconds_left)} left")
    elif facts.stage_seconds_left is not None:
        left = f"{time(facts.stage_seconds_left)} left"
        stage = f"stage {left.removesuffix(' left') if shortening == _SHORTEST else left}"
        parts.append(stage if facts.stage else left)
    else:
        parts.append(f"{time(facts.stage_seconds)} so far")
    return parts


def forms_of(facts: Facts) -> list[list[str]]:
    """The parts at each level of shortening, the longest first."""
    return [parts_of(facts, shortening=level) for level in range(_SHORTEST + 1)]


def line_of(facts: Facts) -> str:
    """The line of a log."""
    return f"{label_of(facts)}: {', '.join(parts_of(facts))}"


def amount(value: float, unit: str = "", *, of: float | None = None) -> str:
    """A number in three digits with a decimal prefix: `12k`, `1.2 GB`; with `of`, `1.2/3.4 GB`."""
    largest, power = max(value, of or 0), 0
    # 999.5 would be shown as 1000.
    while largest >= 999.5 and power < len(_PREFIXES) - 1:
        largest, power = largest / 1000, power + 1
    shown = [_digits(number / 1000**power, power) for number in ((value,) if of is None else (value, of))]
    return f"{'/'.join(shown)}{' ' if unit else ''}{_PREFIXES[power]}{unit}"


def _digits(value: float, power: int) -> str:
    return f"{value:.1f}" if power and value < 9.95 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """Seconds as `0:09`, `12:34` or `1:02:03`."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _short_duration(seconds: float) -> str:
    """Seconds as `0:09`, `12:34`, `1h02m` or, from 100 hours on, `4d05h`."""
    hours, minutes = divmod(max(0, round(seconds)) // 60, 60)
    if hours >= 100:
        return f"{hours // 24}d{hours % 24:02}h"
    return f"{hours}h{minutes:02}m" if hours else duration(seconds)


def fitted(label: str, forms: Sequence[Sequence[str]], width: int) -> tuple[str, str, int]:
    """Fit a line into a terminal of `width` columns.

    The label takes at most half of the terminal. If the line is too long, a shorter form is used, then the
    label is cropped to no less than 24 columns, then the bar is left out. Only then parts are dropped, from
    the last but one on, because the last one is the time left.

    Args:
        forms: the same parts as texts of decreasing length, such as `1:02:03 left` and `1h02m left`.

    Returns:
        The label, the text to the right of the bar, and the columns of the bar, 0 for none. With a space on
        both sides of the bar, or between the texts, they take at most `width` columns.
    """
    label = _cropped(label, max(_LABEL, width // 2))
    full, least = cell_len(label), min(cell_len(label), _LABEL)
    for kept in range(len(forms[0]) - 1, -1, -1):
        texts = [_joined([*form[:kept], form[-1]], is_full=form is forms[0]) for form in forms]
        for columns, bar in ((full, _NARROWEST_BAR), (least, _NARROWEST_BAR), (full, 0), (least, 0)):
            taken = columns + 1 + (bar + 1 if bar else 0)
            text = next((text for text in texts if taken + cell_len(text) <= width), None)
            if text is None:
                continue
            if not bar:
                return _cropped(label, width - cell_len(text) - 1), text, 0
            label = _cropped(label, width - cell_len(text) - 2 - bar)
            return label, text, width - cell_len(label) - cell_len(text) - 2
    text = min(texts, key=cell_len)
    text = text if cell_len(text) < width else ""
    room = max(0, width - cell_len(text) - 1)
    return _cropped(label, room), text, 0


def _joined(parts: Sequence[str], *, is_full: bool) -> str:
    return (_GAP if is_full else " ").join(parts)


def _cropped(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width)
