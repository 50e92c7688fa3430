"""Rows of a table as HTML, for notebooks and for report.html."""

import re
from collections.abc import Iterable, Sequence

from kgcorpus.report.elements import Element
from kgcorpus.report.inspect import MAX_TEXT, Row, Span, columns_of, spans_of
from kgcorpus.report.labels import LabelOf, relation_label

# A notebook has no style sheet of ours; the pages set the variables.
_MARK = "background:var(--mark,#fde68a);color:#111;border-radius:3px;padding:0 2px"
_TAG = "font-size:75%;color:#4a3600;vertical-align:super"
# Notebooks typeset $...$ in HTML, by default also with links that run scripts; these classes turn it off.
_TABLE = "tex2jax_ignore mathjax_ignore"
_NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?%?|-")
_CELL = "text-align:left;vertical-align:top;white-space:pre-wrap"


def row_element(table: str, row: Row, *, label_of: LabelOf) -> Element:
    """Render one row as a table with a line for each column; spans of the text become `<mark>`.

    Args:
        table: the row's table.
        row: a row as returned by `to_pylist`.
        label_of: returns the label of an entity or relation id, or None to show the id.
    """
    text = row.get("text")
    spans = spans_of(table, row) if isinstance(text, str) else None
    lines = []
    for column, values in columns_of(table, row, label_of=label_of).items():
        if column == "text" and isinstance(text, str) and spans is not None:
            shown = marked_text(text, spans, label_of)
        else:
            shown = [piece for value in values for piece in (Element("br"), value)][1:]
        lines.append(Element("tr", Element("th", column, style=_CELL), Element("td", *shown, style=_CELL)))
    return Element("table", Element("tbody", *lines), class_=_TABLE)


def row_as_html(table: str, row: Row, *, label_of: LabelOf) -> str:
    """The markup of `row_element`."""
    return str(row_element(table, row, label_of=label_of))


def table_element(header: Sequence[str], rows: Iterable[Sequence[str | Element]]) -> Element:
    """Render a table of texts or elements; cells that are numbers are aligned to the right in the pages."""
    return Element(
        "table",
        Element("thead", Element("tr", *(Element("th", name, style=_CELL) for name in header))),
        Element(
            "tbody",
            *(Element("tr", *(_cell(cell) for cell in row)) for row in rows),
        ),
        class_=_TABLE,
    )


def _cell(content: str | Element) -> Element:
    is_number = isinstance(content, str) and _NUMBER.fullmatch(content) is not None
    return Element("td", content, style=_CELL, class_="number" if is_number else None)


def table_as_html(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The markup of `table_element`."""
    return str(table_element(header, rows))


def marked_text(text: str, spans: Sequence[Span], label_of: LabelOf) -> list[Element | str]:
    """Return the text with a `<mark>` for each span that is inside it and overlaps with no earlier one."""
    pieces: list[Element | str] = []
    at = 0
    for start, end, target, is_relation, tag in sorted(spans):
        if not at <= start <= end <= min(len(text), MAX_TEXT):
            continue
        title = (relation_label(label_of, target) if is_relation else label_of(target)) or target
        mark = Element(
            "mark",
            Element("bdi", text[start:end]),
            Element("span", f" {tag}", style=_TAG),
            style=_MARK,
            title=title,
        )
        pieces += [text[at:start], mark]
        at = end
    more = len(text) - MAX_TEXT
    return [*pieces, text[at:MAX_TEXT], f"… (+{more:,} characters)" if more > 0 else ""]
