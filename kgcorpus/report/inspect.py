"""Single rows of a table as readable plain text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.object_store import is_object_store, open_object
from kgcorpus.contracts.remote import is_remote, open_remote
from kgcorpus.contracts.shards import damage_named
from kgcorpus.report.labels import LabelOf, relation_label
from kgcorpus.report.visible import visible

Row = Mapping[str, Any]
# Start and end in the text, the target, whether it is a relation, and the tag to show: the target, with the
# language of a slot.
Span = tuple[int, int, str, bool, str]

MAX_TEXT = 1200
MAX_ITEMS = 12
# Columns and fields with ids of the graph; an id may be any string.
_IDS = {"qid", "pid", "h", "r", "t", "head", "other", "target", "types", "entities", "category", "answer"}
# Those of them with ids of relations; `head` is the head of a rule.
_RELATIONS = {"pid", "r", "head"}

# Table -> the column whose spans are marked in the text, and the field of a span that names its target.
_MARKS: dict[str, tuple[str, str]] = {
    "pages": ("links", "target"),
    "linked_sentences": ("mentions", "qid"),
    "passages": ("mentions", "qid"),
    "trelm": ("mentions", "qid"),
    "jaket_text": ("mentions", "qid"),
    "code_switched": ("slots", "qid"),
    "reasoning": ("slots", "qid"),
}
# 1 head, 2 relation, 3 tail.
_RELATION_SLOT = 2
# Columns not shown separately: the marked text contains them, or they only divide it.
_IN_TEXT = {"links", "mentions", "slots", "sentences", "sentence_ids"}


def sample_rows(
    paths: Sequence[str], n: int, *, seed: int = 0, most_groups: int | None = None
) -> list[dict[str, Any]]:
    """Sample n rows without replacement, in stored order. Reads only footers and the needed row groups.

    Args:
        paths: Parquet files of one table; local paths or URLs that fsspec opens.
        n: number of rows; all rows if there are fewer.
        seed: equal seeds and files give equal rows.
        most_groups: sample the rows from at most so many row groups, which are sampled first.

    Raises:
        InputError: a file is missing or truncated.
    """
    groups = [(path, index, rows) for path in paths for index, rows in enumerate(_group_rows(path))]
    groups = [group for group in groups if group[2]]
    draw = Draw(seed, "inspect")
    if most_groups is not None and len(groups) > most_groups:
        chosen: set[int] = set()
        while len(chosen) < most_groups:
            chosen.add(draw.below(len(groups)))
        groups = [groups[number] for number in sorted(chosen)]
    total = sum(rows for _, _, rows in groups)
    wanted: set[int] = set()
    while len(wanted) < min(n, total):
        wanted.add(draw.below(total))
    found: list[dict[str, Any]] = []
    first = 0
    for path, index, rows in groups:
        here = sorted(row - first for row in wanted if first <= row < first + rows)
        if here:
            with damage_named(path), _opened(path) as stream:
                found += pq.ParquetFile(stream).read_row_group(index).take(here).to_pylist()
        first += rows
    return found


def _opened(path: str) -> Any:
    if is_object_store(path):
        return open_object(path)
    return open_remote(path) if is_remote(path) else open(path, "rb")


def _group_rows(path: str) -> list[int]:
    try:
        with _opened(path) as stream:
            footer = pq.read_metadata(stream)
    except (OSError, pa.ArrowInvalid) as error:
        hint = "Run build-corpus again: it writes what is missing"
        raise InputError(f"cannot be read as Parquet ({error})", where=path, hint=hint) from None
    return [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]


def render_row(table: str, row: Row, *, label_of: LabelOf) -> str:
    """Render one line `column  value` for each column; further lines of a value are indented.

    Spans are marked in the text as `[Paris|Q90]`, triples are written as `France —capital→ Paris`, long
    values are cut with a count, and control characters are escaped.

    Args:
        table: the row's table.
        row: a row as returned by `to_pylist`.
        label_of: returns the label of an entity or relation id, or None to show the id.
    """
    shown = columns_of(table, row, label_of=label_of)
    width = max(map(len, shown), default=0)
    return "\n".join(
        f"{'' if number else column:<{width}}  {line}".rstrip()
        for column, lines in shown.items()
        for number, line in enumerate(lines)
    )


def columns_of(table: str, row: Row, *, label_of: LabelOf) -> dict[str, list[str]]:
    """Return column -> lines of its value, with spans marked. Arguments as for `render_row`."""
    shown: dict[str, list[str]] = {}
    for column, value in row.items():
        spans = spans_of(table, row) if column == "text" else None
        if spans is not None:
            shown[column] = _marked(value, spans)
        elif column == "mentions" and table == "trelm":
            lines = [line for mention in value for line in _trelm_mention(row["text"], mention, label_of)]
            shown[column] = _items(lines) or ["-"]
        elif table not in _MARKS or column not in _IN_TEXT:
            shown[column] = _value(value, label_of, column)
    return shown


def spans_of(table: str, row: Row) -> list[Span] | None:
    """Return the spans of a row's text; None if the table's text has no spans."""
    if table == "jaket_entities":
        return [] if row["start"] is None else [(row["start"], row["end"], row["qid"], False, row["qid"])]
    if table not in _MARKS:
        return None
    column, field = _MARKS[table]
    return [
        (span["start"], span["end"], span[field], span.get("slot") == _RELATION_SLOT, _tag(span, field))
        for span in row[column]
    ]


def _tag(span: Row, field: str) -> str:
    return f"{span[field]} {span['lang']}" if "lang" in span else str(span[field])


def ids_in(value: Any, column: str = "") -> Iterator[str]:
    """Yield the ids of the graph in a row or a value, by the names of its columns and fields."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from ids_in(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from ids_in(inner, column)
    elif isinstance(value, str) and column in _IDS:
        yield value


def _value(value: Any, label_of: LabelOf, column: str) -> list[str]:
    if isinstance(value, str) and column not in _IDS:
        return _lines(value)
    if isinstance(value, list) and value:
        return _items([_inline(item, label_of, column) for item in value])
    return [_inline(value, label_of, column)]


def _inline(value: Any, label_of: LabelOf, column: str = "") -> str:
    """Render a value on one line; ids, recognised by their column or field, are followed by the label."""
    match value:
        case None | [] | "":
            return "-"
        case {"h": str(h), "r": str(r), "t": str(t)}:
            return _arrow(label_of(h) or h, relation_label(label_of, r) or r, label_of(t) or t)
        case dict():
            text = ", ".join(f"{key} {_inline(inner, label_of, key)}" for key, inner in value.items())
        case list():
            text = "; ".join(_inline(item, label_of, column) for item in value)
        case str() if column in _RELATIONS and (label := relation_label(label_of, value)):
            text = f"{value} ({label})"
        case str() if column in _IDS and (label := label_of(value)):
            text = f"{value} ({label})"
        case float():
            text = f"{value:.4g}"
        case _:
            text = str(value)
    return visible(_cut(text))


def _arrow(head: str, relation: str, tail: str) -> str:
    return visible(f"{head} —{relation}→ {tail}")


def _trelm_mention(text: str, mention: Row, label_of: LabelOf) -> list[str]:
    """The mention with its numbers, then one indented line for each fact."""
    numbers = {name: mention[name] for name in ("cos", "si", "frequency")}
    kind = ", long tail" if mention["long_tail"] else ""
    surface = visible(text[mention["start"] : mention["end"]])
    lines = [f"{surface}|{visible(mention['qid'])}: {_inline(numbers, label_of)}{kind}"]
    own = label_of(mention["qid"]) or mention["qid"]
    for fact in mention["triples"]:
        ends = (own, fact["label"] or fact["other"])
        head, tail = ends if fact["direction"] == "tail" else ends[::-1]
        lines.append("  " + _arrow(head, relation_label(label_of, fact["r"]) or fact["r"], tail))
    return lines


def _marked(text: str, spans: Sequence[Span]) -> list[str]:
    """The text's lines with `[surface|tag]` for each span, and the number of spans that were not marked."""
    pieces, at, unmarked = [], 0, 0
    for start, end, _, _, tag in sorted(spans):
        if at <= start <= end <= min(len(text), MAX_TEXT):
            pieces += [text[at:start], f"[{text[start:end]}|{tag}]"]
            at = end
        else:
            unmarked += 1
    lines = _lines("".join([*pieces, _cut(text)[at:]]), cut=False)
    if unmarked:
        lines.append(f"(spans not marked, as cut off, overlapping or outside the text: {unmarked:,})")
    return lines


def _lines(text: str, *, cut: bool = True) -> list[str]:
    return [visible(line) for line in (_cut(text) if cut else text).split("\n")]


def _cut(text: str) -> str:
    more = len(text) - MAX_TEXT
    return f"{text[:MAX_TEXT]}… (+{more:,} characters)" if more > 0 else text


def _items(items: Sequence[str]) -> list[str]:
    more = len(items) - MAX_ITEMS
    return [*items[:MAX_ITEMS], f"… (+{more:,} more)"] if more > 0 else list(items)
