"""How likely a mention is right: a logistic model of what is known of it.

The weights are those that `benchmarks/linking_weights.py` learned from ELEVANT's oke-2015-train, spotlight
and derczynski, once with the links of 24 articles and once with names alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgcorpus.linking.tagme import Choices, Senses

Ints = NDArray[np.integer]
WEIGHTS = {
    "constant": -0.72,
    "log link probability": 0.35,
    "coherence": 2.33,
    "log commonness": 1.9,
    "log number of senses": 0.72,
    "capital before": -1.12,
    "capital after": -1.27,
    "lower case": -0.67,
    "several words": 1.66,
}


def confidence(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """[m] probabilities from [m, len(WEIGHTS)] features."""
    return 1 / (1 + np.exp(-features @ np.array([*WEIGHTS.values()])))


def features_of(
    text: str, starts: Ints, ends: Ints, names: Ints, *, choices: Choices, senses: Senses
) -> NDArray[np.float64]:
    """[m, len(WEIGHTS)] what is known of each mention.

    A capitalised neighbour tells that the name is a part of a longer one that the dictionary lacks.
    """
    spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
    numbers = np.stack(
        [
            np.ones(len(spans)),
            np.log(senses.probability[names] + 1e-3),
            choices.coherence,
            np.log(np.maximum(choices.commonness, 1e-3)),
            np.log(np.maximum(senses.offsets[names + 1] - senses.offsets[names], 1)),
        ],
        axis=1,
    )
    return np.concatenate([numbers, _typography(text, spans)], axis=1)


def _typography(text: str, spans: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    rows = [
        (
            _capital_before(text, start),
            text[end : end + 1] == " " and text[end + 1 : end + 2].isupper(),
            text[start].islower(),
            " " in text[start:end],
        )
        for start, end in spans
    ]
    return np.array(rows, np.float64).reshape(-1, 4)


def _capital_before(text: str, start: int) -> bool:
    """Whether a word with a capital stands before, that does not begin its line or sentence."""
    if text[start - 1 : start] != " ":
        return False
    word = text.rfind(" ", 0, start - 1) + 1
    return text[word : word + 1].isupper() and text[start - 2].isalnum()
