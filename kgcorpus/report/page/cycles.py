"""Drawing of a cycle as a labelled graph."""

import math
from collections import Counter
from collections.abc import Sequence

from kgcorpus.report.charts import cut
from kgcorpus.report.elements import Element
from kgcorpus.report.inspect import Row
from kgcorpus.report.labels import LabelOf, relation_label

Place = tuple[float, float]

_WIDTH, _HEIGHT = 440, 250
_BOX = 26
_LABEL, _RELATION = 18, 22
# Centres of the nodes, around a circle. They are fixed, so that no package is needed to finish a build, and a
# diamond's diagonal (its first two entities) is always horizontal.
_PLACES = {
    3: ((220, 30), (100, 215), (340, 215)),
    4: ((100, 125), (340, 125), (220, 30), (220, 220)),
}


def draw_cycle(row: Row, *, label_of: LabelOf) -> Element:
    """Draw a row of the table `cycles`: entities as boxes, triples as arrows from head to tail.

    Args:
        row: the row. Rows with another number of entities give a text.
        label_of: returns the label of an id, or None to show the id.
    """
    entities: Sequence[str] = row["entities"]
    places = _PLACES.get(len(entities))
    if places is None:
        return Element("p", f"a cycle of {len(entities)} entities cannot be drawn", class_="empty")
    place_of = dict(zip(entities, places, strict=True))
    arrows, names = [], []
    drawn: Counter[frozenset[str]] = Counter()
    for triple in row["triples"]:
        head, tail = triple["h"], triple["t"]
        if head == tail or not {head, tail} <= place_of.keys():
            continue
        x1, y1 = _border(place_of[head], place_of[tail], _half_width(_name(label_of, head)))
        x2, y2 = _border(place_of[tail], place_of[head], _half_width(_name(label_of, tail)))
        arrows.append(Element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="edge", marker_end="url(#arrow)"))
        ends = frozenset((head, tail))
        label = relation_label(label_of, triple["r"]) or triple["r"]
        title = Element("title", f"{head} {triple['r']} {tail}")
        x, y, anchor = _label_place((x1 + x2) / 2, (y1 + y2) / 2, is_flat=abs(y1 - y2) < 1)
        y += 15 * drawn[ends]
        drawn[ends] += 1
        names.append(
            Element("text", title, cut(label, _RELATION), class_="relation", x=x, y=y, text_anchor=anchor)
        )
    nodes = [_node(entity, *place_of[entity], label_of=label_of) for entity in entities]
    parts = (*arrows, *nodes, *names)
    return Element("svg", *parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label="a cycle")


def arrow_head() -> Element:
    """The arrow head that all drawings of a page share."""
    head = Element("path", d="M0 0 L8 4 L0 8 Z", class_="arrow")
    marker = Element(
        "marker",
        head,
        id="arrow",
        orient="auto",
        viewBox="0 0 8 8",
        refX=7,
        refY=4,
        markerWidth=8,
        markerHeight=8,
    )
    return Element("svg", Element("defs", marker), style="position:absolute;width:0;height:0")


def _name(label_of: LabelOf, entity: str) -> str:
    return cut(label_of(entity) or entity, _LABEL)


def _half_width(name: str) -> float:
    # Chinese, Japanese and Korean characters are about twice as wide.
    return 12 + sum(6.6 if ord(character) > 0x2E80 else 4.0 for character in name)


def _node(entity: str, x: float, y: float, *, label_of: LabelOf) -> Element:
    name = _name(label_of, entity)
    half = _half_width(name)
    return Element(
        "g",
        Element("title", f"{label_of(entity) or entity} ({entity})"),
        Element("rect", x=x - half, y=y - _BOX / 2, width=2 * half, height=_BOX, rx=_BOX / 2, class_="node"),
        Element("text", name, x=x, y=y + 4.5, text_anchor="middle", class_="entity"),
    )


def _label_place(x: float, y: float, *, is_flat: bool) -> tuple[float, float, str]:
    """Where a relation's label is written: above a flat edge, else from the edge's middle outwards."""
    if is_flat:
        return x, y - 20, "middle"
    return (x + 10, y + 4, "end") if x < _WIDTH / 2 else (x - 10, y + 4, "start")


def _border(start: Place, end: Place, half_width: float) -> Place:
    """Where the line from `start` to `end` leaves the box around `start`."""
    across, down = end[0] - start[0], end[1] - start[1]
    share = min(
        (half_width + 2) / abs(across) if across else math.inf,
        (_BOX / 2 + 2) / abs(down) if down else math.inf,
        0.5,
    )
    return start[0] + across * share, start[1] + down * share
