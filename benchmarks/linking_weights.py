"""The weights of a mention's confidence, learned from gold texts and tried on others.

    python benchmarks/linking_weights.py --corpus OUT... --learn GOLD... --try GOLD... [--exclude-names FILE]

Several builds, e.g. one with links and one of names alone, give weights that serve both. Prints the weights
for `kgcorpus/linking/confidence.py`, and F1 by the confidence that a mention needs.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgcorpus.inputs import raw_lines
from kgcorpus.linking.confidence import WEIGHTS, features_of
from kgcorpus.linking.gold import read_gold
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.tagme import disambiguate
from kgcorpus.linking.targets import page_title

RIDGE = 1.0
STEPS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--learn", type=Path, nargs="+", required=True)
    parser.add_argument("--try", type=Path, nargs="+", required=True, dest="tried")
    parser.add_argument("--exclude-names", type=Path)
    arguments = parser.parse_args()
    lines = raw_lines(str(arguments.exclude_names)) if arguments.exclude_names else ()
    without = frozenset(line.split()[0].decode() for line in lines if line.strip())
    linkers = [Linker.open(corpus, "en", without=without) for corpus in arguments.corpus]

    parts = [examples(linker, path) for linker in linkers for path in arguments.learn]
    features, right = (np.concatenate([part[k] for part in parts]) for k in range(2))
    weights = fit(features, right)
    print(json.dumps(dict(zip(WEIGHTS, weights.round(2).tolist(), strict=True)), indent=1))
    for corpus, linker in zip(arguments.corpus, linkers, strict=True):
        for path in arguments.tried:
            features, right, gold = examples(linker, path)
            sure = 1 / (1 + np.exp(-features @ weights.round(2)))
            for floor in np.arange(0.1, 0.6, 0.05):
                found, hits = (sure >= floor).sum(), right[sure >= floor].sum()
                shown = f"precision {hits / found:.3f} F1 {2 * hits / (found + gold):.3f}"
                print(f"{corpus} {path.name} {floor:.2f} {shown}")


def examples(linker: Linker, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Features of all spots that are given a QID, whether each is right, and the number of gold mentions."""
    senses, rows, right, gold = linker.lexicon.senses, [], [], 0
    for item in read_gold(path):
        gold += len(item.mentions)
        starts, ends, names = linker._spots(item.text)
        choices = disambiguate(names, senses, linker._rules)
        features = features_of(item.text, starts, ends, names, choices=choices, senses=senses)
        spots = zip(starts.tolist(), ends.tolist(), choices.entities.tolist(), features, strict=True)
        for start, end, entity, row in spots:
            answer = (start, end, linker.lexicon.entity(entity)) if entity >= 0 else (0, 0, ":")
            inside = item.span[0] <= start and end <= item.span[1]
            if inside and page_title(answer[2]) is None and answer not in item.allowed - item.mentions:
                rows.append(row)
                right.append(answer in item.mentions)
    return np.array(rows), np.array(right, np.float64), gold


def fit(features: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic regression by Newton's method."""
    weights = np.zeros(features.shape[1])
    for _ in range(STEPS):
        sure = 1 / (1 + np.exp(-features @ weights))
        curvature = (features * (sure * (1 - sure))[:, None]).T @ features + RIDGE * np.eye(len(weights))
        weights -= np.linalg.solve(curvature, features.T @ (sure - right) + RIDGE * weights)
    return weights


if __name__ == "__main__":
    main()
