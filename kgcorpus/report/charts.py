"""Charts as HTML and SVG for the pages of builds and runs; their colours are in style.css."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kgcorpus.report.elements import Element

Point = tuple[float, float]

# Longer names are cut; the whole name is shown on hovering, up to the second limit.
_NAME, _WHOLE_NAME = 60, 400
_WIDTH, _HEIGHT = 640, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 34
# Points of a line; more are averaged in groups.
_POINTS = 400
_BEYOND = 1e100
# Classes `series-0` to `series-7` of style.css.
_COLOURS = 8


@dataclass(frozen=True)
class Bar:
    """A named amount.

    Attributes:
        label: the name.
        value: decides the length; not negative.
        shown: the amount as text; default: the value with thousands separators.
        kind: `head` of a group or `drop` in it; empty: neither.
    """

    label: str
    value: float
    shown: str | None = None
    kind: str = ""


def bars(rows: Iterable[Bar], *, log: bool = False) -> Element:
    """Draw horizontal bars below each other.

    Args:
        rows: the bars, from the top.
        log: lengths by the logarithm of 1 + value, for amounts of very different size.
    """
    listed = list(rows)
    size = math.log1p if log else float
    longest = max((size(row.value) for row in listed), default=0) or 1.0
    return Element(
        "div",
        *(
            Element(
                "div",
                name_of(row.label, class_="name"),
                Element(
                    "span",
                    Element("span", class_="bar", style=f"width:{100 * size(row.value) / longest:.2f}%"),
                    class_="track",
                ),
                Element("span", row.shown or f"{row.value:,.0f}", class_="amount"),
                class_=" ".join(filter(None, ("row", row.kind, "some" if row.value > 0 else ""))),
            )
            for row in listed
        ),
        class_="bars",
    )


def name_of(text: str, *, class_: str | None = None) -> Element:
    """A name, cut to 60 characters, with the whole as its title; isolated, for it may be right-to-left."""
    return Element("bdi", cut(text, _NAME), title=cut(text, _WHOLE_NAME), class_=class_)


def cut(text: str, most: int) -> str:
    """Cut a text to at most `most` characters, the last of which is then an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def lines(series: Mapping[str, Sequence[Point]], *, x: str, y: str, log: bool = False) -> Element:
    """Draw a line for each series, with a legend if there are several.

    Args:
        series: name -> points (x, y). Undefined values and those beyond 1e100 are left out; of more than 400
            points, groups of neighbours are averaged.
        x, y: what the axes show, with units.
        log: the y axis is logarithmic; values up to 1e-100 are left out.
    """

    def is_shown(a: float, b: float) -> bool:
        return abs(a) < _BEYOND and abs(b) < _BEYOND and (b > 1 / _BEYOND or not log)

    drawn = {
        name: _thinned([point for point in points if is_shown(*point)]) for name, points in series.items()
    }
    points = [point for line in drawn.values() for point in line]
    if not points:
        return Element("p", f"No values of {y}.", class_="empty")
    to_scale = math.log10 if log else float
    low_x, high_x = _limits([a for a, _ in points])
    low_y, high_y = _limits([to_scale(b) for _, b in points])
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(a: float, b: float) -> Point:
        return (
            _LEFT + across * (a - low_x) / (high_x - low_x),
            _TOP + down * (high_y - b) / (high_y - low_y),
        )

    parts: list[Element] = []
    for tick in ticks(low_y, high_y):
        _, at = place(low_x, tick)
        parts += [
            Element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=at, y2=at, class_="grid"),
            Element("text", _number(10**tick if log else tick), x=_LEFT - 6, y=at + 4, text_anchor="end"),
        ]
    for tick in ticks(low_x, high_x):
        at, _ = place(tick, low_y)
        parts.append(Element("text", _number(tick), x=at, y=_HEIGHT - _BOTTOM + 16, text_anchor="middle"))
    parts.append(Element("text", x, x=_LEFT + across / 2, y=_HEIGHT - 4, text_anchor="middle", class_="axis"))
    for number, line in enumerate(drawn.values()):
        placed = " ".join("{:.1f},{:.1f}".format(*place(a, to_scale(b))) for a, b in line)
        kind = f"series-{number % _COLOURS}"
        if len(line) == 1:
            at_x, at_y = place(line[0][0], to_scale(line[0][1]))
            parts.append(Element("circle", cx=at_x, cy=at_y, r=3, class_=f"dot {kind}"))
        else:
            parts.append(Element("polyline", points=placed, class_=f"line {kind}"))
    chart = Element("svg", *parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=f"{y} by {x}")
    return Element("div", Element("div", y, class_="chart-title"), _legend(drawn), chart, class_="chart")


def _legend(names: Iterable[str]) -> Element | None:
    listed = list(names)
    if len(listed) < 2:
        return None
    return Element(
        "div",
        *(
            Element("span", Element("span", class_=f"key series-{number % _COLOURS}"), name_of(name))
            for number, name in enumerate(listed)
        ),
        class_="legend",
    )


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Return at most `most` + 1 round numbers in [low, high]: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    size = max(abs(low), abs(high))
    if high - low > max(1e-9 * size, 1 / _BEYOND):
        return low, high
    return low - 0.5 * max(size, 1e-9), high + 0.5 * max(size, 1e-9)


def _thinned(points: list[Point]) -> list[Point]:
    group = math.ceil(len(points) / _POINTS)
    if group <= 1:
        return points
    groups = [points[at : at + group] for at in range(0, len(points), group)]
    return [(sum(a for a, _ in part) / len(part), sum(b for _, b in part) / len(part)) for part in groups]


def _number(value: float) -> str:
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-3:
        return f"{value:.3g}"
    return f"{round(value, 4):,g}" if size < 1e4 else f"{value:,.0f}"
