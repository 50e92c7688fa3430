"""The one way to make HTML and SVG: elements that escape every text and attribute value.

Tags and attributes come from fixed lists without scripts, handlers, frames or external addresses, so text
from a build can be neither markup nor code, whoever calls.
"""

import html
from collections.abc import Iterator
from importlib.resources import files

from kgcorpus.report.visible import visible

_HTML = """
    a b bdi body br details div footer h1 h2 h3 head header main mark meta nav p section span summary table
    tbody td th thead title tr
"""
_SVG = "svg g line circle polyline path rect text defs marker"
TAGS = frozenset(f"{_HTML} {_SVG}".split())
_NAMES = """
    class style title id href role aria-label charset name content http-equiv open viewBox width height x y x1
    y1 x2 y2 cx cy r rx d points text-anchor marker-end refX refY markerWidth markerHeight orient
"""
ATTRIBUTES = frozenset(_NAMES.split())
_WITHOUT_END = frozenset({"br", "meta"})


class Element:
    """An element with its attributes and children; `str` gives its markup.

    Args:
        tag: one of `TAGS`.
        children: elements and texts; None is left out.
        attributes: of `ATTRIBUTES`, `_` for `-`; a trailing `_` is dropped (`class_`). None is left out, and
            True is an attribute without a value. An `href` names a place in the page (`#...`).

    Raises:
        ValueError: the tag, an attribute or an address is not allowed.
    """

    __slots__ = ("_attributes", "_children", "_tag")

    def __init__(
        self, tag: str, *children: "Element | str | None", **attributes: str | float | bool | None
    ) -> None:
        if tag not in TAGS:
            raise ValueError(f"no element {tag!r} in reports")
        self._tag = tag
        self._children = [child for child in children if child is not None]
        self._attributes = {
            name.rstrip("_").replace("_", "-"): value
            for name, value in attributes.items()
            if value is not None and value is not False
        }
        if refused := self._attributes.keys() - ATTRIBUTES:
            raise ValueError(f"no attributes {sorted(refused)} in reports")
        if not str(self._attributes.get("href", "#")).startswith("#"):
            raise ValueError(f"the address {self._attributes['href']!r} is outside the page")

    def __str__(self) -> str:
        return "".join(self._pieces())

    def _pieces(self) -> Iterator[str]:
        yield f"<{self._tag}{''.join(_attribute(*pair) for pair in self._attributes.items())}>"
        if self._tag not in _WITHOUT_END:
            for child in self._children:
                if isinstance(child, Element):
                    yield from child._pieces()
                else:
                    yield _escaped(child)
            yield f"</{self._tag}>"


def document(title: str, *body: Element) -> str:
    """Return a whole page in English. Its policy lets browsers run no script and load nothing.

    Args:
        title: text of the title bar.
        body: the children of `<body>`.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    head = (
        Element("meta", charset="utf-8"),
        Element("meta", http_equiv="Content-Security-Policy", content=policy),
        Element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Element("title", title),
    )
    # A style element has no escapes; the style sheet is ours and holds no `<`.
    style = (files("kgcorpus.report") / "style.css").read_text(encoding="utf-8")
    start = f'<!doctype html>\n<html lang="en"><head>{"".join(map(str, head))}<style>{style}</style></head>'
    return f"{start}\n{Element('body', *body)}</html>\n"


def _attribute(name: str, value: str | float | bool) -> str:
    if value is True:
        return f" {name}"
    shown = value if isinstance(value, str) else f"{round(value, 2):g}"
    return f' {name}="{_escaped(shown)}"'


def _escaped(text: str) -> str:
    return "\n".join(html.escape(visible(line)) for line in text.split("\n"))
