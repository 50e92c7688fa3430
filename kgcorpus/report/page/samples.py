"""Sampled rows of every table for report.html: marked texts, drawn cycles, and TRELM's facts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.tables import TABLES
from kgcorpus.report.charts import cut
from kgcorpus.report.elements import Element
from kgcorpus.report.html import marked_text, row_element, table_element
from kgcorpus.report.inspect import Row, ids_in, sample_rows, spans_of
from kgcorpus.report.labels import LabelOf, relation_label
from kgcorpus.report.page.cycles import draw_cycle

_ROWS, _GROUPS = 3, 4
# Rows that the ends of the importance are looked for in, and mentions shown at each end.
_TRELM_ROWS, _ENDS = 200, 6
_CYCLE_ROWS, _CYCLES_SHOWN = 60, 6
_AROUND = 70
_FACTS = 6
# Characters of all samples together; the page stays under 3 MB.
_BUDGET = 2_000_000


@dataclass(frozen=True)
class Samples:
    """Rows by table, and rows of `trelm` among which mentions are ranked."""

    rows: Mapping[str, Sequence[Row]]
    trelm: Sequence[Row]

    def ids(self) -> set[str]:
        """All ids of the graph in the rows."""
        return {ident for rows in (*self.rows.values(), self.trelm) for row in rows for ident in ids_in(row)}


def take_samples(manifest: Manifest, out: str | Path) -> Samples:
    """Sample rows of each table of a build; reads at most four row groups of each."""
    built = [name for name in TABLES if name in manifest.tables and manifest.tables[name].rows]
    many = {"cycles": _CYCLE_ROWS, "trelm": _TRELM_ROWS}
    rows = {
        name: sample_rows(manifest.files(out, name), many.get(name, _ROWS), most_groups=_GROUPS)
        for name in built
    }
    trelm = rows.get("trelm", [])
    if trelm:
        rows["trelm"] = trelm[:: max(1, len(trelm) // _ROWS)][:_ROWS]
    return Samples(rows, trelm)


def browser(samples: Samples, *, label_of: LabelOf) -> Iterator[Element]:
    """Yield a section that can be opened for each table, until the budget of characters is spent."""
    left = _BUDGET
    for name, rows in samples.rows.items():
        records: list[Element] = []
        if name == "cycles":
            shown = [Element("div", *_cycles(rows, label_of), class_="cycles")]
        else:
            shown = [_record(name, row, label_of) for row in rows]
        for record in shown:
            left -= len(str(record))
            if left > 0:
                records.append(record)
        if len(records) < len(shown):
            records.append(Element("p", "Further samples would make this page too large.", class_="empty"))
        title = Element("summary", name, Element("span", f" {TABLES[name].meaning}", class_="soft"))
        yield Element("details", title, *records, open=name in ("cycles", "trelm"))


def ends_of_importance(samples: Samples, *, label_of: LabelOf) -> Element | None:
    """Mentions with the highest and the lowest importance among the sampled records, one for each entity."""
    mentions = [
        (mention["si"], number, mention["start"], mention)
        for number, row in enumerate(samples.trelm)
        for mention in row["mentions"]
        if mention["si"] is not None
    ]
    if not mentions:
        return None
    ranked = sorted(mentions, key=lambda entry: entry[:3])

    def listed(entries: Sequence[tuple[float, int, int, Row]]) -> Element:
        first = {entry[3]["qid"]: entry for entry in reversed(entries)}
        best = [entry for entry in entries if first[entry[3]["qid"]] is entry][:_ENDS]
        rows: list[list[str | Element]] = [
            [f"{si:.4f}", Element("span", *_around(samples.trelm[number]["text"], mention, label_of))]
            for si, number, _, mention in best
        ]
        return table_element(("SI", "text"), rows)

    return Element(
        "div",
        Element("div", Element("h3", "Most important"), listed(ranked[::-1])),
        Element("div", Element("h3", "Least important"), listed(ranked)),
        class_="columns",
    )


def _around(text: str, mention: Row, label_of: LabelOf) -> list[Element | str]:
    """The text around a mention, with it marked."""
    low, high = max(0, mention["start"] - _AROUND), mention["end"] + _AROUND
    span = (mention["start"] - low, mention["end"] - low, mention["qid"], False, mention["qid"])
    pieces = marked_text(text[low:high], [span], label_of)
    return [*(["…"] if low else []), *pieces, *(["…"] if high < len(text) else [])]


def _record(table: str, row: Row, label_of: LabelOf) -> Element:
    shown = _trelm_record(row, label_of) if table == "trelm" else [row_element(table, row, label_of=label_of)]
    return Element("div", *shown, class_="record")


def _trelm_record(row: Row, label_of: LabelOf) -> list[Element]:
    text = marked_text(row["text"], spans_of("trelm", row) or [], label_of)
    lines: list[list[str | Element]] = [
        [
            Element("bdi", cut(row["text"][mention["start"] : mention["end"]], 80)),
            "-" if mention["si"] is None else f"{mention['si']:.4f}",
            f"{mention['frequency']:,}",
            Element("span", "long tail", class_="badge") if mention["long_tail"] else "",
            Element("span", *_facts(mention, label_of)),
        ]
        for mention in row["mentions"]
    ]
    header = ("mention", "SI", "frequency", "", "facts")
    return [
        Element("p", f"{row['id']} ({row['lang']})", class_="soft"),
        Element("p", *text, style="max-width:none;white-space:pre-wrap"),
        table_element(header, lines),
    ]


def _facts(mention: Row, label_of: LabelOf) -> list[Element]:
    own = label_of(mention["qid"]) or mention["qid"]
    facts: list[dict[str, Any]] = mention["triples"]
    shown = []
    for fact in facts[:_FACTS]:
        ends = (own, fact["label"] or fact["other"])
        head, tail = ends if fact["direction"] == "tail" else ends[::-1]
        relation = relation_label(label_of, fact["r"]) or fact["r"]
        arrow = [Element("bdi", cut(part, 80)) for part in (head, relation, tail)]
        shown.append(Element("span", arrow[0], " —", arrow[1], "→ ", arrow[2], class_="fact"))
    if len(facts) > _FACTS:
        shown.append(Element("span", f"… and {len(facts) - _FACTS} more", class_="fact"))
    return shown


def _cycles(rows: Sequence[Row], label_of: LabelOf) -> Iterator[Element]:
    for length in (3, 4):
        for row in [row for row in rows if row["length"] == length][:_CYCLES_SHOWN]:
            yield Element("div", draw_cycle(row, label_of=label_of), class_="cycle")
