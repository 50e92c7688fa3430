"""The highest recall that a dictionary allows on gold texts, by where its names come from.

    python benchmarks/linking_ceiling.py --data GOLD.jsonl.xz... --triples triples.txt.gz \
        --labels labels_10lang.tsv.gz --exclude-names en_label_from_elevant_only.txt.gz

The first row counts the labels of entities of the graph, whatever their names. In the others a label counts
if its text, its first letter in either case, is a name of its entity; each source contains the one above it.
Intervals are over resampled texts. Writes benchmarks/results/linking-ceiling.{json,md}.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_lines, read_records, refuse
from kgcorpus.kg.readers import parse_names
from kgcorpus.linking.characters import normalise
from kgcorpus.linking.gold import read_gold
from kgcorpus.linking.metrics import numbers_of, resampled_pages, share

RESULTS = Path(__file__).parent / "results"
# Languages of kg-real whose names an English text can have as they are.
LATIN = ("en", "de", "es", "fr", "it", "nl", "vi")
Names = dict[str, dict[str, set[str]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--triples", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--exclude-names", type=Path, required=True)
    arguments = parser.parse_args()
    excluded = {line.decode().split("\t")[0].strip() for _, line in read_lines(str(arguments.exclude_names))}
    names = read_names(arguments.labels, excluded)
    graph = read_graph(arguments.triples)
    report({path.name.partition(".")[0]: limits(path, names, graph) for path in arguments.data})


def limits(path: Path, names: Names, graph: set[str]) -> dict[str, Any]:
    """Source of names -> the share of a file's labels that it reaches, with its interval."""
    sources: dict[str, list[float]] = defaultdict(list)
    pages: list[str] = []
    for text in read_gold(path):
        for start, end, entity in sorted(text.mentions):
            pages.append(text.text)
            sources["entities of the graph"].append(entity in graph)
            for source, known in reachable(text.text[start:end], names[entity]).items():
                sources[source].append(known)
    texts = numbers_of(pages)
    draws = resampled_pages(texts, seed=0)
    return {source: share(np.array(values), texts, draws) for source, values in sources.items()}


def read_graph(path: Path) -> set[str]:
    """The entities of a file of triples `h r t`."""
    return {end.decode() for _, line in read_lines(str(path)) for end in line.split()[::2]}


def read_names(labels: Path, excluded: set[str]) -> Names:
    """Entity -> language -> names; no English name of an excluded entity."""
    names: Names = defaultdict(lambda: defaultdict(set))
    for row in read_records(str(labels), parse_names, tally=Tally(), on_bad=refuse):
        if row.lang != "en" or row.id not in excluded:
            names[row.id][row.lang].update(normalise(name) for name in (row.label, *row.aliases) if name)
    return names


def reachable(mention: str, names: dict[str, set[str]]) -> dict[str, bool]:
    """Source of names -> whether the mention is one of them."""
    english = names.get("en", set())
    latin = english.union(*(names.get(lang, set()) for lang in LATIN))
    parts = latin | {word for name in latin for word in (name.split()[:1] + name.split()[-1:])}
    text = normalise(mention)
    plural = {text, text.removesuffix("s"), f"{text}s"}
    return {
        "English labels and aliases": is_name([text], english),
        "and of six other languages in Latin script": is_name([text], latin),
        "and the first and the last word of each": is_name([text], parts),
        "and these with or without a final s": is_name(plural, parts),
    }


def is_name(texts: Iterable[str], names: set[str]) -> bool:
    """Whether one of the texts is a name, its first letter in either case."""
    return any(
        {text, text[:1].lower() + text[1:], text[:1].upper() + text[1:]} & names for text in texts if text
    )


def report(result: dict[str, dict[str, Any]]) -> None:
    """As JSON, and as a Markdown table."""
    lines = ["# Linking: the dictionary's limit on gold texts", ""]
    lines += [f"| names | {' | '.join(result)} |", "|---" * (len(result) + 1) + "|"]
    labels = (f"{next(iter(rows.values()))['n']:,}" for rows in result.values())
    lines.append(f"| labels | {' | '.join(labels)} |")
    for source in next(iter(result.values())):
        cells = []
        for rows in result.values():
            (low, high), row = rows[source]["interval"], rows[source]
            cells.append(f"{row['mean']:.3f} [{low:.3f}, {high:.3f}]")
        lines.append(f"| {source} | {' | '.join(cells)} |")
    (RESULTS / "linking-ceiling.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "linking-ceiling.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
