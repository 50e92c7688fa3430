"""How well and how fast a build's tables link text: one table.

    python benchmarks/linking.py --corpus OUT [--summaries VITAL] [--places PLACES.tsv]
        [--gold GOLD.jsonl[.xz]...] [--learned GOLD.jsonl[.xz]...] [--exclude-names FILE] [--rounds 3]

Hidden links of held-out pages of OUT by stratum, with 95 % intervals over pages. With the tables of VITAL, a
build of conf/vital.yaml (default: OUT): labelled places by group; strict F1 on gold texts, without those that
are also in a file of `--learned`, and the names in `--exclude-names` left out of the dictionary; and the
characters of its English pages that are linked a CPU second. All by `kgcorpus evaluate linking`. Writes
benchmarks/results/linking.{json,md}.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.inputs import raw_lines
from kgcorpus.linking.evaluate import evaluate_linking
from kgcorpus.linking.linker import Linker

RESULTS = Path(__file__).parent / "results"
LANG = "en"
# Characters a CPU second of ReFinED: a rate from the literature, not measured here.
PUBLISHED = 8.3e3
COLUMNS = ("linker", "prior", "over_prior", "commonest", "over_commonest", "reachable")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--summaries", type=Path)
    parser.add_argument("--places", type=Path)
    parser.add_argument("--gold", type=Path, nargs="*", default=[])
    parser.add_argument("--learned", type=Path, nargs="*", default=[], help="gold of learned weights")
    parser.add_argument("--exclude-names", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    hidden = evaluated(arguments.corpus)
    summaries = arguments.summaries or arguments.corpus
    own = evaluated(summaries)
    places = evaluated(summaries, data=arguments.places) if arguments.places else None
    learned = {text for path in arguments.learned for text, _ in gold_lines(path)}
    gold = {}
    for path in arguments.gold:
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as held_out:
            held_out.writelines(line for text, line in gold_lines(path) if text not in learned)
            held_out.flush()
            options = {"data": Path(held_out.name), "exclude_names": arguments.exclude_names}
            gold[path.name.partition(".")[0]] = evaluated(summaries, **options)
    rates = [rate_of(summaries) for _ in range(arguments.rounds)]
    report(hidden, own, mentions_of(summaries), places, gold, rates)


def gold_lines(path: Path) -> list[tuple[str, bytes]]:
    """The texts of a gold file, each with its line."""
    return [(json.loads(line)["text"], line.rstrip(b"\n") + b"\n") for line in raw_lines(str(path))]


def evaluated(corpus: Path, **options: Any) -> dict[str, Any]:
    """The result of one evaluation."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        evaluate_linking(corpus, out=out, lang=LANG, **options)
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def mentions_of(corpus: Path) -> dict[str, dict[str, int]]:
    """Source -> language -> mentions of entities of the graph in the build's sentences."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for file in load_manifest(corpus, required=True).files(corpus, "linked_sentences"):
        for row in pq.read_table(file, columns=["lang", "mentions"]).to_pylist():
            for mention in row["mentions"]:
                found[mention["source"]][row["lang"]] += 1
    return {source: dict(sorted(found[source].items())) for source in sorted(found)}


def rate_of(corpus: Path) -> float:
    """Characters of the build's pages a CPU second: spots, votes and confidence."""
    linker = Linker.open(corpus, LANG)
    files = load_manifest(corpus, required=True).files(corpus, "pages")
    own = [("lang", "=", LANG)]
    texts = [text for file in files for text in pq.read_table(file, filters=own)["text"].to_pylist() if text]
    linker.link(texts[0])
    started = time.process_time()
    for text in texts:
        linker.link(text)
    return sum(map(len, texts)) / (time.process_time() - started)


def report(
    hidden: dict[str, Any],
    own: dict[str, Any],
    mentions: dict[str, dict[str, int]],
    places: dict[str, Any] | None,
    gold: dict[str, dict[str, Any]],
    rates: list[float],
) -> None:
    """All as JSON, and as Markdown tables."""
    rate = statistics.median(rates)
    lines = [
        "# Linking",
        "",
        f"{hidden['links']:,} hidden links of {hidden['pages']} held-out pages: the share whose target is"
        " found, and its 95 % interval over pages. The prior is the target most linked from the same text on"
        " training pages; the commonest is the first meaning by the whole dictionary; reachable are the links"
        " whose target is a meaning of the dictionary at all.",
        "",
        "| stratum | n | " + " | ".join(name.replace("_", " ") for name in COLUMNS) + " |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for name, row in hidden["strata"].items():
        cells = " | ".join(shown(row[column]) for column in COLUMNS)
        lines.append(f"| {name.replace('_', ' ')} | {row['linker']['n']:,} | {cells} |")
    recall = shown(hidden["recall_at_precision_0.9"])
    lines += ["", f"The highest recall at a precision of .9, of all links: {recall}.", ""]
    known = own["strata"]["known"]
    lines += [
        f"{own['links']} hidden links of the summaries' {own['pages']} held-out pages: the linker finds"
        f" {shown(known['linker'])} and the commonest meaning {shown(known['commonest'])} of the"
        f" {known['linker']['n']} whose target is a meaning of the dictionary.",
        "",
        "| mentions of the summaries | " + " | ".join(next(iter(mentions.values()))) + " |",
        "|---" * (1 + len(next(iter(mentions.values())))) + "|",
        *(
            f"| {source} | " + " | ".join(f"{n:,}" for n in counts.values()) + " |"
            for source, counts in mentions.items()
        ),
        "",
    ]
    if places:
        lines += of_places(places)
    if gold:
        lines += of_texts(gold)
    times = rate / PUBLISHED
    slowest, fastest = min(rates) / 1e6, max(rates) / 1e6
    lines.append(
        f"Speed: {rate / 1e6:.2f} Mchar a CPU second (median of {len(rates)} rounds, {slowest:.2f} to"
        f" {fastest:.2f}), {times:.0f} times ReFinED's published rate."
    )
    whole = {
        "python": platform.python_version(),
        "hidden": hidden,
        "summaries": {"hidden": own, "mentions": mentions},
        "places": places,
        "gold": gold,
        "rates": rates,
    }
    (RESULTS / "linking.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "linking.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def of_places(places: dict[str, Any]) -> list[str]:
    """Tables of labelled places: by group, by threshold, and the reliability of the confidence."""
    floor = places["config"]["min_confidence"]
    lines = [
        f"{places['places']} labelled places, {places['named']} of which name an entity of the graph, at a"
        f" confidence of {floor}. Intervals are 95 %, over resampled places.",
        "",
        "| labelled places | n | precision | n | recall |",
        "|---" * 5 + "|",
    ]
    for band, row in places["at_min_confidence"].items():
        lines.append(f"| {band} | {precision_and_recall(row)} |")
    lines += ["", "| confidence of at least | n | precision | n | recall |", "|---" * 5 + "|"]
    for row in places["thresholds"]:
        lines.append(f"| {row['min_confidence']:.2f} | {precision_and_recall(row)} |")
    fit = places["reliability"]
    low, high = fit["ece_interval"]
    lines += [
        "",
        f"The highest recall at a precision of .9: {shown(places['recall_at_precision_0.9'])}. Expected"
        f" calibration error {fit['ece']:.3f} [{low:.3f}, {high:.3f}], {fit['ece_by_chance']:.3f} on average"
        " if the confidence is calibrated.",
        "",
        "| n | mean confidence | right |",
        "|---|---|---|",
    ]
    for row in fit["curve"]:
        right = shown({"mean": row["right"], "interval": row["interval"]})
        lines.append(f"| {row['n']} | {row['confidence']:.3f} | {right} |")
    return [*lines, ""]


def of_texts(gold: dict[str, dict[str, Any]]) -> list[str]:
    """Tables of gold texts: strict scores, those of the first file by threshold, and its wrong mentions."""
    columns = ("precision", "recall", "f1")
    lines = [
        "Gold texts, strict: span and entity. Intervals are 95 %, over resampled texts.",
        "",
        "| gold texts | texts | labels | precision | recall | F1 | of labels with a name | F1 of those |",
        "|---" * 8 + "|",
    ]
    for name, row in gold.items():
        strict, known = row["strict"], row["known"]
        cells = " | ".join(scored(strict, column) for column in columns)
        known_f1 = scored(known, "f1")
        lines.append(
            f"| {name} | {row['texts']} | {strict['gold']:,} | {cells} | {known['gold']:,} | {known_f1} |"
        )
    name, row = next(iter(gold.items()))
    lines += ["", f"| {name}: confidence of at least | " + " | ".join(columns) + " |", "|---" * 4 + "|"]
    for at in row["thresholds"]:
        cells = " | ".join(scored(at, column) for column in columns)
        lines.append(f"| {at['min_confidence']:.2f} | {cells} |")
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in row["wrong"].items())
    precision = scored(row["without_common_nouns"], "precision")
    lines += [
        "",
        f"Wrong mentions of {name}: {kinds}. Precision without the last kind: {precision}.",
        "",
    ]
    return lines


def precision_and_recall(row: dict[str, Any]) -> str:
    """Cells of both, each with the number of mentions or labels that it is of."""
    return " | ".join(f"{row[name]['n']} | {shown(row[name])}" for name in ("precision", "recall"))


def scored(row: dict[str, Any], column: str) -> str:
    """A score of gold texts with its interval."""
    return shown({"mean": row[column], "interval": row["intervals"][column]})


def shown(share: dict[str, Any]) -> str:
    """A share with its interval."""
    if share["mean"] is None or share["interval"] is None:
        return ""
    low, high = share["interval"]
    return f"{share['mean']:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
