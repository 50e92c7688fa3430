"""Rows of a table as HTML for notebooks. All data from a build is escaped."""

import html
from collections.abc import Iterable, Sequence

from kgcorpus.report.inspect import MAX_TEXT, Row, Span, columns_of, spans_of
from kgcorpus.report.labels import LabelOf, relation_label
from kgcorpus.report.visible import visible

_MARK = "background:#fde68a;color:#111;border-radius:3px;padding:0 2px"
_TAG = "font-size:75%;color:#6b7280;vertical-align:super"
# Notebooks typeset $...$ in HTML, by default also with links that run scripts; these classes turn it off.
_TABLE = '<table class="tex2jax_ignore mathjax_ignore">'
_CELL = "text-align:left;vertical-align:top;white-space:pre-wrap"


def row_as_html(table: str, row: Row, *, label_of: LabelOf) -> str:
    """Render one row as an HTML table with a line for each column; spans of the text become `<mark>`.

    Args:
        table: the row's table.
        row: a row as returned by `to_pylist`.
        label_of: returns the label of an entity or relation id, or None to show the id.
    """
    text = row.get("text")
    spans = spans_of(table, row) if isinstance(text, str) else None
    cells = []
    for column, lines in columns_of(table, row, label_of=label_of).items():
        is_marked = column == "text" and isinstance(text, str) and spans is not None
        shown = _marked(text, spans, label_of) if is_marked else "<br>".join(map(_escaped, lines))  # type: ignore[arg-type]
        cells.append(f'<tr><th style="{_CELL}">{_escaped(column)}</th><td style="{_CELL}">{shown}</td></tr>')
    return f"{_TABLE}<tbody>{''.join(cells)}</tbody></table>"


def table_as_html(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Render a table of plain texts."""
    head = "".join(f'<th style="{_CELL}">{_escaped(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{_escaped(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f"{_TABLE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _marked(text: str, spans: Sequence[Span], label_of: LabelOf) -> str:
    pieces, at = [], 0
    for start, end, target, is_relation, tag in sorted(spans):
        if not at <= start <= end <= min(len(text), MAX_TEXT):
            continue
        title = (relation_label(label_of, target) if is_relation else label_of(target)) or target
        pieces += [
            _escaped(text[at:start]),
            f'<mark style="{_MARK}" title="{_escaped(title)}"><bdi>{_escaped(text[start:end])}</bdi>'
            f'<span style="{_TAG}"> {_escaped(tag)}</span></mark>',
        ]
        at = end
    rest = text[at:MAX_TEXT]
    more = len(text) - MAX_TEXT
    return "".join([*pieces, _escaped(rest), f"… (+{more:,} characters)" if more > 0 else ""])


def _escaped(text: str) -> str:
    return "\n".join(html.escape(visible(line)) for line in text.split("\n"))
