"""What a build read, what became of it, and what it dropped and why, as bars."""

from collections.abc import Iterator, Mapping
from typing import Any

from kgcorpus.contracts.tables import TABLES
from kgcorpus.report.charts import Bar, bars
from kgcorpus.report.elements import Element

Tables = Mapping[str, Mapping[str, Any]]

# The steps of each way through a build: what is counted, the table, and its counts to be summed; none: rows.
_CHAINS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "From pages to records": (
        ("pages read", "pages", ("good_input", "bad_input")),
        ("articles", "pages", ("articles",)),
        ("sentences", "linked_sentences", ()),
        (
            "mentions in sentences",
            "linked_sentences",
            ("anchor_mention", "same_page_mention", "dictionary_mention"),
        ),
        ("passages", "passages", ()),
        ("TRELM records", "trelm", ()),
        ("JAKET passages", "jaket_text", ()),
        ("plain-text passages", "plain_text", ()),
    ),
    "From triples to cycles": (
        ("triples", "triples", ()),
        ("triangles", "cycles", ("length3",)),
        ("pairs of triangles that share an edge", "cycles", ("length4_diamonds",)),
        ("cycles kept, length 3", "cycles", ("kept3",)),
        ("cycles kept, length 4", "cycles", ("kept4",)),
        ("reasoning records, all languages", "reasoning", ()),
        ("code-switched records, all languages", "code_switched", ()),
        ("XLR questions, all languages", "xlr", ()),
    ),
}


def chains(tables: Tables) -> Iterator[Element]:
    """Yield for each way through the build a heading with its steps; steps that the build lacks are left out.

    Args:
        tables: `tables` of report.json.
    """
    for title, steps in _CHAINS.items():
        rows = []
        for label, table, counts in steps:
            entry = tables.get(table)
            if entry is None:
                continue
            found = [entry["counts"][count] for count in counts if count in entry["counts"]]
            if found or not counts:
                rows.append(Bar(label, sum(found) if counts else entry["rows"]))
        if rows:
            yield Element("div", Element("h3", title), bars(rows, log=True))


def drops(tables: Tables) -> Element:
    """Each table's rows, with what its stage dropped by reason, the most frequent first."""
    rows = []
    for name in TABLES:
        if name not in tables or not tables[name]["drops"]:
            continue
        rows.append(Bar(name, tables[name]["rows"], kind="head"))
        ranked = sorted(tables[name]["drops"].items(), key=lambda item: (-item[1], item[0]))
        rows += [Bar(reason.replace("_", " ").replace(".", ": "), n, kind="drop") for reason, n in ranked]
    return bars(rows, log=True) if rows else Element("p", "Nothing was dropped.", class_="empty")
