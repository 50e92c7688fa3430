"""The sizes that the three papers print for their corpora, beside a build's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Printed:
    """A number that a paper prints.

    Attributes:
        paper, what: the paper, and what is counted.
        number: as printed.
        table: the table of a build that has the like.
        path: keys within the table's entry of report.json that lead to a number.
        note: how the counts differ.
    """

    paper: str
    what: str
    number: int
    table: str
    path: tuple[str, ...]
    note: str = ""


_CYCLES = "the public code follows out-links and keeps one triple a pair, this count does not"
PRINTED = (
    Printed("TRELM", "entities of the graph", 3_085_345, "entities", ("rows",)),
    Printed("TRELM", "relations of the graph", 822, "relations", ("rows",)),
    Printed("TRELM", "sequences", 26_000_000, "trelm", ("rows",), "about 26 million in print"),
    Printed("KMLM", "cycles of length 3", 24_100_000, "cycles", ("counts", "length3"), _CYCLES),
    Printed("KMLM", "cycles of length 4", 73_900_000, "cycles", ("counts", "length4_diamonds"), _CYCLES),
    Printed("KMLM", "XLR: questions for training", 3_000, "xlr", ("counts", "questions.train")),
    Printed("KMLM", "XLR: questions for selection", 1_000, "xlr", ("counts", "questions.validation")),
    Printed(
        "KMLM",
        "XLR: questions of the test",
        1_050,
        "xlr",
        ("counts", "questions.test"),
        "annotated by hand in the paper, made from the graph here",
    ),
    Printed("JAKET", "entities", 3_657_658, "jaket_entities", ("rows",)),
    Printed("JAKET", "relations of the graph", 799, "relations", ("rows",)),
    Printed("JAKET", "triples", 20_113_978, "jaket_edges", ("rows",), "without the categories' edges here"),
    Printed("JAKET", "categories", 19_901, "jaket_entities", ("distributions", "distinct_categories")),
)


def beside_print(tables: Tables) -> Iterator[tuple[Printed, int]]:
    """Yield the printed numbers whose counterpart the build has, with it.

    Args:
        tables: `tables` of report.json.
    """
    for printed in PRINTED:
        found: Any = tables.get(printed.table)
        for key in printed.path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, int):
            yield printed, found
