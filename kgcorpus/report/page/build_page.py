"""Writes OUT/report.html: the numbers of report.json as charts, and samples of every table."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.languages import base_language_of
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.store import write_text
from kgcorpus.contracts.tables import TABLES
from kgcorpus.report.charts import Bar, bars
from kgcorpus.report.elements import Element, document
from kgcorpus.report.html import table_element
from kgcorpus.report.labels import LabelOf, labels_of, relation_label
from kgcorpus.report.page.cycles import arrow_head
from kgcorpus.report.page.funnel import Tables, chains, drops
from kgcorpus.report.page.papers import beside_print
from kgcorpus.report.page.samples import Samples, browser, ends_of_importance, take_samples
from kgcorpus.report.progress.text import amount, duration

PAGE = "report.html"
_RELATIONS, _CATEGORIES, _TEMPLATES = 25, 15, 25

Section = tuple[str, str, list[Element]]


def write_page(out: Path, manifest: Manifest, report: Mapping[str, Any], *, place: str | Path = "") -> None:
    """Write OUT/report.html.

    Args:
        out: a finished build's folder; times are read from its run.json.
        report: the contents of report.json.
        place: the path or URL below which the tables are; default: OUT.

    Raises:
        InputError: a file of a table is missing or damaged.
    """
    samples = take_samples(manifest, place or out)
    ids = samples.ids()
    for name, column in (("triples", "relations"), ("jaket_entities", "categories")):
        ids.update(_distributions(report["tables"], name).get(column, {}))
    page = render_page(report, _stage_seconds(out), samples, label_of=_labels(manifest, out, ids, place))
    write_text(out / PAGE, page)


def render_page(
    report: Mapping[str, Any], times: Mapping[str, float], samples: Samples, *, label_of: LabelOf
) -> str:
    """Render the page.

    Args:
        report: the contents of report.json.
        times: seconds by stage, of the last time that each stage ran.
        samples: rows to show.
        label_of: returns the label of an id, or None to show the id.
    """
    tables: Tables = report["tables"]
    sections = [section for section in _sections(tables, report, times, samples, label_of) if section[2]]
    links = [Element("a", heading, href=f"#{place}") for place, heading, _ in sections]
    main = [
        Element("section", Element("h2", heading), *parts, id=place) for place, heading, parts in sections
    ]
    return document(
        "kgcorpus: report of a build",
        Element(
            "header",
            Element("h1", "Pretraining corpus of text and knowledge graph"),
            _tiles(tables, times),
        ),
        Element("nav", Element("div", *links)),
        arrow_head(),
        Element("main", *main),
        Element("footer", "Written by kgcorpus. Numbers are in report.json, all rows in data/ and tables/."),
    )


def _sections(
    tables: Tables,
    report: Mapping[str, Any],
    times: Mapping[str, float],
    samples: Samples,
    label_of: LabelOf,
) -> Iterator[Section]:
    flow = Element("div", *chains(tables), class_="columns")
    note = "Lengths are logarithmic. A stage counts what it drops in its own unit, which need not be a row."
    yield "flow", "Kept", [_soft("Lengths are logarithmic."), flow]
    yield "dropped", "Dropped", [_soft(note), drops(tables)]
    yield "stages", "Size and time", _sizes(tables, times)
    yield "languages", "Languages", _languages(tables)
    yield "relations", "Relations", _relations(tables, label_of)
    yield "entities", "Long tail", _entities(tables)
    yield "importance", "Importance", _importance(tables, samples, label_of)
    yield "templates", "Templates", _templates(tables)
    yield "papers", "Papers", _papers(tables)
    yield "samples", "Samples", list(browser(samples, label_of=label_of))
    yield "sources", "Inputs", _inputs(report)


def _tiles(tables: Tables, times: Mapping[str, float]) -> Element:
    shown = [
        (name, f"{tables[table]['rows']:,}")
        for name, table in (
            ("entities", "entities"),
            ("relations", "relations"),
            ("triples", "triples"),
            ("cycles", "cycles"),
            ("sentences", "linked_sentences"),
        )
        if table in tables
    ]
    published = [entry for name, entry in tables.items() if name in TABLES and TABLES[name].published]
    shown.append(("published records", f"{sum(entry['rows'] for entry in published):,}"))
    shown.append(("on disk", amount(sum(entry["bytes"] for entry in tables.values()), "B")))
    if times:
        shown.append(("of build time", duration(sum(times.values()))))
    tiles = (
        Element("div", Element("b", value), Element("span", name), class_="tile") for name, value in shown
    )
    return Element("div", *tiles, class_="tiles")


def _sizes(tables: Tables, times: Mapping[str, float]) -> list[Element]:
    names = [name for name in TABLES if name in tables]
    sizes = [Bar(name, tables[name]["bytes"], amount(tables[name]["bytes"], "B")) for name in names]
    columns = [Element("div", Element("h3", "Bytes by table"), bars(sizes))]
    if times:
        seconds = [Bar(name, times[name], f"{times[name]:,.1f} s") for name in names if name in times]
        columns.append(Element("div", Element("h3", "Seconds by stage, when it last ran"), bars(seconds)))
    return [Element("div", *columns, class_="columns")]


def _languages(tables: Tables) -> list[Element]:
    counted = {name: tables[name]["languages"] for name in TABLES if "languages" in tables.get(name, {})}
    languages = sorted({lang for counts in counted.values() for lang in counts})
    if not languages:
        return []
    rows = [
        [name, *(f"{counts[lang]:,}" if lang in counts else "-" for lang in languages)]
        for name, counts in counted.items()
    ]
    grid = Element("div", table_element(("table", *languages), rows), class_="scroll")
    return [_soft("Rows of each table by language."), grid]


def _relations(tables: Tables, label_of: LabelOf) -> list[Element]:
    relations = _distributions(tables, "triples").get("relations", {})
    categories = _distributions(tables, "jaket_entities").get("categories", {})
    columns = []
    if relations:
        first = list(relations.items())[:_RELATIONS]
        share = sum(n for _, n in first) / max(1, tables["triples"]["rows"])
        named = [Bar(_named(ident, relation_label(label_of, ident)), n) for ident, n in first]
        title = f"Triples by relation: the {len(first)} most frequent, {share:.0%} of all"
        columns.append(Element("div", Element("h3", title), bars(named)))
    if categories:
        named = [
            Bar(_named(ident, label_of(ident)), n) for ident, n in list(categories.items())[:_CATEGORIES]
        ]
        columns.append(Element("div", Element("h3", "JAKET's entities by category"), bars(named)))
    return [Element("div", *columns, class_="columns")] if columns else []


def _entities(tables: Tables) -> list[Element]:
    found = _distributions(tables, "entity_statistics")
    columns = []
    if degrees := found.get("by_neighbours"):
        rows = [Bar(label, degrees[bound]) for bound, label in _powers(degrees)]
        columns.append(Element("div", Element("h3", "Entities by number of neighbours"), bars(rows)))
    if frequency := found.get("by_frequency"):
        rows = [Bar(label, frequency[bound]["entities"]) for bound, label in _powers(frequency)]
        tail = f"Entities by number of mentions; {found['long_tail_entities']:,} are in the long tail"
        columns.append(Element("div", Element("h3", tail), bars(rows)))
    return [Element("div", *columns, class_="columns")] if columns else []


def _importance(tables: Tables, samples: Samples, label_of: LabelOf) -> list[Element]:
    found = _distributions(tables, "importance")
    if not found:
        return []
    histogram, lengths = found["si_histogram"], found["si_by_characters"]
    means = [
        Bar(label, max(0.0, entry["mean"] - 1), f"{entry['mean']:.4f}")
        for bound, label in _ranges(lengths)
        if (entry := lengths[bound])["mean"] is not None
    ]
    correlation = found["correlation_with_characters"]
    about = (
        "SI = 1 / cos (TRELM, eq. 1): 1 if replacing the mention leaves the sentence's embedding as it is."
    )
    if correlation is not None:
        about += f" Its correlation with the mention's length in characters is {correlation:.2f}."
    by_si = bars([Bar(label, histogram[bound]) for bound, label in _ranges(histogram)])
    columns = Element(
        "div",
        Element("div", Element("h3", "Mentions by SI"), by_si),
        Element("div", Element("h3", "Mean SI by the mention's characters"), bars(means)),
        class_="columns",
    )
    ends = ends_of_importance(samples, label_of=label_of)
    sampled = _soft(f"Mentions at both ends, from {len(samples.trelm):,} sampled records of trelm.")
    return [_soft(about), columns, *([sampled, ends] if ends is not None else [])]


def _templates(tables: Tables) -> list[Element]:
    dropped = tables.get("pages", {}).get("dropped_templates", {})
    columns = []
    for lang, names in dropped.items():
        listed = [Bar(name, n) for name, n in names.items() if name][:_TEMPLATES]
        if rest := sum(names.values()) - int(sum(bar.value for bar in listed)):
            listed.append(Bar("(all others)", rest, kind="drop"))
        columns.append(Element("div", Element("h3", lang), bars(listed)))
    about = (
        "Templates that stand within lines of other text and have no rendering. The option"
        " wikipedia[].templates gives them one."
    )
    return [_soft(about), Element("div", *columns, class_="columns")] if columns else []


def _papers(tables: Tables) -> list[Element]:
    rows = [
        [printed.paper, printed.what, f"{printed.number:,}", f"{ours:,}", printed.note]
        for printed, ours in beside_print(tables)
    ]
    header = ("paper", "count", "printed", "yours", "difference in what is counted")
    return [Element("div", table_element(header, rows), class_="scroll")] if rows else []


def _inputs(report: Mapping[str, Any]) -> list[Element]:
    rows = [
        [str(entry.get("role", "")), str(entry.get("file", "")), f"{entry.get('bytes', 0):,}"]
        for entry in report["sources"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items()))
    grid = Element("div", table_element(("role", "file", "bytes"), rows), class_="scroll")
    return [grid, _soft(f"Versions that can change a result: {versions or 'none'}.")]


def _soft(text: str) -> Element:
    return Element("p", text, class_="soft")


def _named(ident: str, label: str | None) -> str:
    return f"{label} ({ident})" if label else ident


def _distributions(tables: Tables, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = tables.get(name, {}).get("distributions", {})
    return found


def _powers(counts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lower bounds that are powers of two, with the label of each range."""
    bounds = sorted(counts, key=int)
    return [(b, b if int(b) < 2 else f"{int(b):,} to {2 * int(b) - 1:,}") for b in bounds]


def _ranges(counts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lower bounds with the label of each range, which ends below the next bound."""
    bounds: Sequence[str] = list(counts)
    labels = [f"{low} to {high}" for low, high in itertools.pairwise(bounds)]
    return list(zip(bounds, [*labels, f"from {bounds[-1]}"], strict=True))


def _labels(manifest: Manifest, out: Path, ids: Collection[str], place: str | Path) -> LabelOf:
    """Labels in the base language; none if a configuration from elsewhere names no language."""
    try:
        base_language_of(out)
    except InputError:
        return lambda _: None
    return labels_of(manifest, out, ids=ids, place=place)


def _stage_seconds(out: Path) -> dict[str, float]:
    """Seconds by stage from OUT/run.json; empty if there is none, or it is damaged."""
    try:
        require_regular_file(out / "run.json")
        times = parse_json((out / "run.json").read_bytes())["times"]
        return {str(name): float(entry["seconds"]) for name, entry in times.items()}
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
