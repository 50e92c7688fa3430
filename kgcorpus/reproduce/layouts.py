"""Tables of the papers, from a build's report.json and a sweep's sweep.json."""

import statistics
from typing import Any

from kgcorpus.report.markdown import markdown_table
from kgcorpus.report.page.papers import beside_print

# In the order of KMLM's tables.
_LANGUAGES = ("en", "vi", "nl", "de", "fr", "it", "es", "ja", "ko", "zh")
_CHANCE = 100 / 6


def kmlm_sizes(report: dict[str, Any], sweep: list[dict[str, Any]]) -> str:
    """Printed sizes beside those of the build, then its records by language and kind."""
    tables = report["tables"]
    sizes = [
        [printed.what, f"{printed.number:,}", f"{ours:,}", printed.note]
        for printed, ours in beside_print(tables)
        if printed.paper == "KMLM"
    ]
    found = {name: tables[name]["distributions"] for name in ("code_switched", "reasoning") if name in tables}
    kinds = [(name, kind) for name, one in found.items() for kind in _kinds(one["records"])]
    counts = [found[name]["records"] for name, _ in kinds]
    of_kind = [kind for _, kind in kinds]
    rows = [
        [lang, *(f"{one.get(lang, {}).get(kind, 0):,}" for one, kind in zip(counts, of_kind, strict=True))]
        for lang in _LANGUAGES
    ]
    sums = [
        sum(of_lang.get(kind, 0) for of_lang in one.values())
        for one, kind in zip(counts, of_kind, strict=True)
    ]
    rows.append(["all", *(f"{n:,}" for n in sums)])
    graph = [[name, f"{one['entities']:,}", f"{one['relations']:,}"] for name, one in found.items()]
    return "\n\n".join(
        (
            markdown_table(("count", "printed", "ours", "difference in what is counted"), sizes),
            "Records of ours, by language and kind:\n\n"
            + markdown_table(("language", *of_kind), rows, numbers=len(kinds)),
            "Distinct entities and relations in them:\n\n"
            + markdown_table(("table", "entities", "relations"), graph, numbers=2),
        )
    )


def _kinds(records: dict[str, dict[str, int]]) -> list[str]:
    return sorted({kind for counts in records.values() for kind in counts})


def kmlm_xlr(report: dict[str, Any], sweep: list[dict[str, Any]]) -> str:
    """Accuracies by language and their average, with deviations, in percent.

    With one run of an arm, the deviation is that of the fine-tuning seeds, else that of the runs.
    """
    arms = list(dict.fromkeys(cell["name"] for cell in sweep))
    languages = [lang for lang in _LANGUAGES if _key(lang) in sweep[0]["scores"]]
    rows = [
        [arm, *(_cell([cell["scores"] for cell in sweep if cell["name"] == arm], lang) for lang in languages)]
        for arm in arms
    ]
    for row, arm in zip(rows, arms, strict=True):
        cells = [cell["scores"] for cell in sweep if cell["name"] == arm]
        row.append(_cell(cells, None))
        row.append(f"{100 * statistics.fmean(cell[f'{_XLR}.question_only.mean'] for cell in cells):.1f}")
    rows.append(["chance, one of six", *(f"{_CHANCE:.1f}" for _ in range(len(languages) + 2))])
    head = ("model", *languages, "average", "question only")
    return markdown_table(head, rows, numbers=len(head) - 1)


def runs(report: dict[str, Any], sweep: list[dict[str, Any]]) -> str:
    """A line for each arm: means and deviations over seeds; then scores over time, if the grid has any."""
    from trainer.sweep import tables

    return "\n\n".join(tables(sweep))


_XLR = "xlr fine_tuned"


def _key(lang: str | None, of: str = "mean") -> str:
    return f"{_XLR}.overall.{of}" if lang is None else f"{_XLR}.by_language.{lang}.{of}"


def _cell(cells: list[dict[str, float]], lang: str | None) -> str:
    means = [100 * cell[_key(lang)] for cell in cells]
    deviation = statistics.stdev(means) if len(means) > 1 else 100 * cells[0][_key(lang, "deviation")]
    return f"{statistics.fmean(means):.1f} ± {deviation:.1f}"
