"""Write the tables of docs/scale.md from `pipelines/costs.json`: `python benchmarks/scale.py`."""

from pathlib import Path

from tables import BEGIN, END

from pipelines.estimate import CORES, Estimate, Sizes, estimate
from pipelines.stages import STAGES

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
# Unpacked sizes, rounded and assumed (docs/scale.md); 20.6 million and 800 million triples of 16 bytes.
CORPORA = {
    "The English Wikipedia and Wikidata5M": Sizes(
        triples=0.33e9, labels=0.37e9, relations=0.1e6, articles=105e9, languages=1
    ),
    "Ten Wikipedias and all of Wikidata": Sizes(
        triples=12.8e9, labels=15e9, relations=30e6, articles=260e9, wikidata=1.7e12, languages=10
    ),
}


def tables() -> str:
    """A section a corpus."""
    sections = []
    for name, sizes in CORPORA.items():
        stages = [stage.table for stage in STAGES if stage.table != "wikidata" or sizes.wikidata]
        sections.append(f"\n## {name}\n\n{table(estimate(stages, sizes))}")
    return "".join(sections)


def table(found: Estimate) -> str:
    """The estimate as Markdown."""
    lines = [
        "| stage | rows | CPU hours | hours on 1 machine | on 8 | on 64 | table, GB | shuffled, GB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found.stages:
        hours = (row.cpu_seconds / 3600 / (n * CORES) for n in found.hours)
        sizes = (row.table_bytes, row.shuffled_bytes)
        cells = [
            row.stage,
            f"{row.rows:,}" if row.rows else "",
            f"{row.cpu_seconds / 3600:,.1f}",
            *(f"{value:,.2f}" for value in hours),
            *(f"{size / 1e9:,.1f}" for size in sizes),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    cpu = sum(row.cpu_seconds for row in found.stages) / 3600
    totals = [f"{value:,.2f}" for value in found.hours.values()]
    cells = [f"{cpu:,.1f}", *totals, *(f"{n / 1e9:,.1f}" for n in (found.table_bytes, found.shuffled_bytes))]
    lines.append(f"| all, with Spark's start | | {' | '.join(cells)} |")
    memory = f"Memory of a machine: {found.memory_bytes / 1e9:,.0f} GB."
    if found.unmeasured:
        memory += f" Not measured, and not in the sums: {', '.join(found.unmeasured)}."
    return "\n".join([*lines, "", memory, ""])


def filled(page: str) -> str:
    """The page with the tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "".join([before, BEGIN, tables(), "\n", END, after])


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
