"""Confidence of a mention: the probability that it is right, by logistic regression on its features.

`benchmarks/linking_weights.py` learns the weights from places of running text that are labelled by hand, and
from gold texts. docs/linking.md has the reliability on held-out places, and names the gold texts that are not
held out.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgcorpus.linking.tagme import Choices, Senses

Ints = NDArray[np.integer]
WEIGHTS = {
    "constant": -0.43,
    "log link probability": 0.44,
    "coherence": 1.61,
    "vote": 1.57,
    "log commonness": 0.28,
    "share": 0.77,
    "label or title": 1.35,
    "log neighbours": 0.18,
    "no letter": -0.91,
    "long name": 1.13,
    "capital before": -1.05,
    "capital after": -1.88,
    "raised": -1.29,
    "in a compound": -1.46,
}
_LONG = 10  # characters of a long name, spaces left out
_HYPHENS = frozenset("-\u2010\u2011\u2013")


def confidence(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """[m] probabilities from [m, len(WEIGHTS)] features."""
    return 1 / (1 + np.exp(-features @ np.array([*WEIGHTS.values()])))


def features_of(
    text: str, starts: Ints, ends: Ints, names: Ints, *, choices: Choices, senses: Senses
) -> NDArray[np.float64]:
    """[m, len(WEIGHTS)] what is known of each mention.

    A capitalised neighbour or a hyphen indicates that the name is part of a longer one that the dictionary
    lacks. A `raised` name, which the dictionary has in lower case only, is suspect where no sentence begins.
    """
    spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
    entities = np.maximum(choices.entities, 0)
    numbers = np.stack(
        [
            np.ones(len(spans)),
            np.log(senses.probability[names] + 1e-3),
            choices.coherence,
            choices.vote,
            np.log(np.maximum(choices.commonness, 1e-3)),
            choices.share,
            choices.main,
            np.log1p(senses.graph.offsets[entities + 1] - senses.graph.offsets[entities]),
        ],
        axis=1,
    )
    return np.concatenate([numbers, _typography(text, spans, senses.raised[names])], axis=1)


def _typography(
    text: str, spans: Sequence[tuple[int, int]], raised: NDArray[np.bool_]
) -> NDArray[np.float64]:
    rows = []
    for (start, end), is_raised in zip(spans, raised.tolist(), strict=True):
        name, before, after = text[start:end], text[start - 1 : start], text[end : end + 2]
        rows.append(
            (
                not (name[0].isalpha() or any(map(str.isalpha, name))),
                len(name) - name.count(" ") >= _LONG,
                before == " " and _capital_before(text, start),
                after[:1] == " " and after[1:].isupper(),
                is_raised and not _begins_sentence(text, start),
                before in _HYPHENS or after[:1] in _HYPHENS,
            )
        )
    return np.array(rows, np.float64).reshape(-1, 6)


def _begins_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 2) : start].rstrip(" ")[-1:]
    return not before or before in ".!?\u3002\n"


def _capital_before(text: str, start: int) -> bool:
    """Whether the word before the space before has a capital and does not begin its line or sentence."""
    word = text.rfind(" ", 0, start - 1) + 1
    return text[word : word + 1].isupper() and text[start - 2].isalnum()
