"""The weights of a mention's confidence, learned from labelled places and gold texts.

    python benchmarks/linking_weights.py --corpus OUT --places FILE [--learn GOLD...] [--exclude-names FILE]

OUT is a build of conf/vital.yaml, FILE is benchmarks/gold/linking/vital-calibration.tsv, GOLD are ELEVANT's
oke-2015-train, spotlight and derczynski. Gold texts leave most common nouns unlabelled, so only their names
with a capital are read, with a tenth of a place's weight. A slope and a constant, fitted on predictions of
ten-fold cross-validation, correct the confidence. Prints the weights for `kgcorpus/linking/confidence.py` and
writes benchmarks/results/linking-weights.{json,md}: by cross-validation, the reliability, and the recall at a
precision of .9 with all features, and without the votes and the coherence, which come from the entities
around. Recall is over the places where the linker's entity is right. Intervals are over resampled places.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Float64s
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.inputs import raw_lines
from kgcorpus.linking.confidence import WEIGHTS, features_of
from kgcorpus.linking.gold import read_gold
from kgcorpus.linking.labelled import page_texts, read_labelled
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.metrics import precision_recall, reliability, resampled_pages, share
from kgcorpus.linking.tagme import disambiguate

RIDGE, STEPS, FOLDS = 2.0, 50, 10
GOLD_WEIGHT = 0.1
CONTEXT = ("vote", "coherence")
RESULTS = Path(__file__).parent / "results"
Examples = tuple[Float64s, Float64s]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--places", type=Path, required=True)
    parser.add_argument("--learn", type=Path, nargs="*", default=[])
    parser.add_argument("--exclude-names", type=Path)
    arguments = parser.parse_args()
    lines = raw_lines(str(arguments.exclude_names)) if arguments.exclude_names else ()
    without = frozenset(line.split()[0].decode() for line in lines if line.strip())
    features, right = of_places(arguments.corpus, arguments.places)
    linker = Linker.open(arguments.corpus, "en", without=without)
    gold = [of_texts(linker, path) for path in arguments.learn]
    more = (np.concatenate([x for x, _ in gold]), np.concatenate([y for _, y in gold])) if gold else None
    weights, sure = cross_validated(features, right, more)
    print(json.dumps(dict(zip(WEIGHTS, weights.round(2).tolist(), strict=True)), indent=1))
    kept = [column for column, name in enumerate(WEIGHTS) if name not in CONTEXT]
    fewer = (more[0][:, kept], more[1]) if more else None
    _, alone = cross_validated(features[:, kept], right, fewer)
    report(right > 0, {"all features": sure, "without votes and coherence": alone})


def cross_validated(features: Float64s, right: Float64s, more: Examples | None) -> tuple[Float64s, Float64s]:
    """The corrected weights, and [n] confidences by folds that do not contain the place."""
    folds = np.random.default_rng(0).permutation(len(right)) % FOLDS
    raw = np.empty(len(right))
    for fold in range(FOLDS):
        rest = folds != fold
        raw[~rest] = features[~rest] @ fit(features[rest], right[rest], more)
    corrected = np.stack([np.ones(len(raw)), raw], axis=1)
    constant, slope = fit(corrected, right, ridge=0.0)
    weights = slope * fit(features, right, more)
    weights[0] += constant
    return weights, 1 / (1 + np.exp(-corrected @ np.array([constant, slope])))


def report(right: NDArray[np.bool_], found: dict[str, Float64s]) -> None:
    """As JSON, and as Markdown tables."""
    places = np.arange(len(right))
    draws = resampled_pages(places, seed=0)
    rows: dict[str, Any] = {}
    for name, sure in found.items():
        recall = precision_recall(right, sure, places, totals=right.astype(np.int64), draws=draws)
        fit_of = reliability(right, sure)
        loss = -np.log(np.where(right, sure, 1 - sure))
        rows[name] = {**recall, "reliability": fit_of, "log_loss": share(loss, places, draws)}
    first, second = (np.where(right, sure, 1 - sure) for sure in found.values())
    gain = share(np.log(first / second), places, draws)
    result = {"places": len(right), "right": int(right.sum()), "rows": rows, "log_likelihood_gain": gain}
    lines = [
        "# Linking: the confidence by cross-validation",
        "",
        f"{len(right)} labelled places where the linker has an entity, {right.sum()} of them right. Intervals"
        " are 95 %, over resampled places. By chance: the average error of a calibrated confidence.",
        "",
        "| features | highest recall at precision .9 | expected calibration error | by chance | log loss |",
        "|---" * 5 + "|",
    ]
    for name, row in rows.items():
        fit_of, ece = row["reliability"], {"mean": row["reliability"]["ece"]}
        error = shown({**ece, "interval": fit_of["ece_interval"]})
        cells = (shown(row["recall_at_precision_0.9"]), error, f"{fit_of['ece_by_chance']:.3f}")
        lines.append(f"| {name} | {' | '.join(cells)} | {shown(row['log_loss'])} |")
    lines += ["", f"Log-likelihood that votes and coherence add, a place: {shown(gain)}."]
    (RESULTS / "linking-weights.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "linking-weights.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def shown(value: dict[str, Any]) -> str:
    """A mean with its interval."""
    low, high = value["interval"]
    return f"{value['mean']:.3f} [{low:.3f}, {high:.3f}]"


def of_places(corpus: Path, path: Path) -> Examples:
    """Features of all labelled places where the linker finds an entity of the graph, and which are right."""
    places = list(read_labelled(path))
    texts = page_texts(places, load_manifest(corpus).files(corpus, "pages"), where=str(path))
    linkers = {lang: Linker.open(corpus, lang) for lang in {place.lang for place in places}}
    by_page = defaultdict(list)
    for place in places:
        by_page[place.lang, place.page_id].append(place)
    rows, right = [], []
    for key, labelled in by_page.items():
        found = {span: (entity, row) for span, entity, row in examples(linkers[key[0]], texts[key])}
        for place in labelled:
            if (place.start, place.end) in found:
                entity, row = found[place.start, place.end]
                rows.append(row)
                right.append(entity == place.qid)
    return np.array(rows), np.array(right, np.float64)


def of_texts(linker: Linker, path: Path) -> Examples:
    """The same of the names with a capital in gold texts."""
    rows, right = [], []
    for item in read_gold(path):
        for (start, end), entity, row in examples(linker, item.text):
            answer = (start, end, entity)
            inside = item.span[0] <= start and end <= item.span[1]
            if inside and answer not in item.allowed - item.mentions and not item.text[start].islower():
                rows.append(row)
                right.append(answer in item.mentions)
    return np.array(rows), np.array(right, np.float64)


def examples(linker: Linker, text: str) -> Iterator[tuple[tuple[int, int], str, Float64s]]:
    """Span, entity of the graph and features of each place in a text."""
    senses = linker.lexicon.senses
    starts, ends, names = linker._spots(text)
    around = linker.lexicon.words_around(text, starts, ends, names)
    choices = disambiguate(names, around, senses, linker._rules, False)
    features = features_of(text, starts, ends, names, choices=choices, senses=senses)
    for start, end, number, row in zip(starts, ends, choices.entities.tolist(), features, strict=True):
        if number >= 0 and senses.graph.offsets[number + 1] > senses.graph.offsets[number]:
            yield (int(start), int(end)), linker.lexicon.entity(number), row


def fit(
    features: Float64s, right: Float64s, more: Examples | None = None, *, ridge: float = RIDGE
) -> Float64s:
    """Logistic regression by Newton's method; `more` are examples of weight `GOLD_WEIGHT`."""
    share = np.ones(len(right))
    if more is not None:
        share = np.append(share, np.full(len(more[1]), GOLD_WEIGHT))
        features, right = np.concatenate([features, more[0]]), np.append(right, more[1])
    weights = np.zeros(features.shape[1])
    for _ in range(STEPS):
        sure = 1 / (1 + np.exp(-features @ weights))
        slopes = features * (share * sure * (1 - sure))[:, None]
        curvature = slopes.T @ features + ridge * np.eye(len(weights))
        weights -= np.linalg.solve(curvature, features.T @ (share * (sure - right)) + ridge * weights)
    return weights


if __name__ == "__main__":
    main()
