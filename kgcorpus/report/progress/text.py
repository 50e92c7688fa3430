"""Progress as text: one line that fits the terminal."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from kgcorpus.report.progress.facts import Facts

_GAP = "  "
_NARROWEST_BAR = 6
_LABEL = 24
_PREFIXES = ("", "k", "M", "G", "T", "P")


def label_of(facts: Facts) -> str:
    """What is at work, e.g. `3/22 linked_sentences: hashing`."""
    place = f"{min(facts.stages_done + 1, facts.stages)}/{facts.stages} " if facts.stage else ""
    work = ": ".join(filter(None, (facts.stage, facts.doing)))
    return f"{place}{work or facts.command}"


def parts_of(facts: Facts) -> list[str]:
    """Counts, speed and the time left, in the order in which they are shown."""
    parts = []
    if facts.total:
        parts.append(f"{facts.done or 0:,}/{facts.total:,} {facts.unit}")
    if facts.bytes:
        parts.append(amount(min(facts.bytes_done or 0, facts.bytes), "B", of=facts.bytes))
    elif facts.bytes_done:
        parts.append(amount(facts.bytes_done, "B"))
    if facts.rows and facts.rows_per_second is not None:
        parts.append(f"{amount(facts.rows_per_second)} rows/s")
    elif facts.bytes_per_second:
        parts.append(f"{amount(facts.bytes_per_second, 'B')}/s")
    if facts.seconds_left is not None:
        parts.append(f"{duration(facts.seconds_left)} left")
    elif facts.stage_seconds_left is not None:
        parts.append(f"{'stage ' if facts.stage else ''}{duration(facts.stage_seconds_left)} left")
    else:
        parts.append(f"{duration(facts.stage_seconds)} so far")
    return parts


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


def fitted(label: str, parts: Sequence[str], width: int) -> tuple[str, str, int]:
    """Fit a line into a terminal of `width` columns.

    The label takes at most half of the terminal. Parts are dropped until the rest fits, from the last but one
    on, because the last one is the time left.

    Returns:
        The label, the text to the right of the bar, and the columns of the bar, 0 for none. With a space on
        both sides of the bar, or between the texts, they take at most `width` columns.
    """
    label, shown = _cropped(label, max(_LABEL, width // 2)), list(parts)
    while len(shown) > 1 and _wanted(label, shown) > width:
        del shown[-2]
    text = _GAP.join(shown)
    space = width - cell_len(label) - cell_len(text) - 2
    if space >= _NARROWEST_BAR:
        return label, text, space
    text = text if cell_len(text) < width else ""
    room = max(0, width - cell_len(text) - 1)
    return _cropped(label, room), text, 0


def _cropped(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width)


def _wanted(label: str, parts: Sequence[str]) -> int:
    return cell_len(label) + 1 + _NARROWEST_BAR + 1 + cell_len(_GAP.join(parts))
