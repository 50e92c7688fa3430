"""Selection of the epoch on development examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64
from trainer.evaluate.summary import selection
from trainer.evaluate.tuned.examples import Example

T = TypeVar("T")
Scores = Sequence[NDArray[np.float32]]
# Without development examples: one in so many training examples, and at most so many.
_ONE_IN, _MOST = 10, 2000


@dataclass(frozen=True)
class Dev:
    """Development examples and their metric.

    Attributes:
        metric: name of the metric.
        source: where the examples are from, as the result names it.
        examples: as the encoder reads them; empty: the last epoch is kept.
        score: what `predict` returns for the examples -> the metric, higher is better.
    """

    metric: str
    source: str
    examples: Sequence[Example]
    score: Callable[[Scores], float]

    def report(self, runs: Sequence["Run"]) -> dict[str, Any]:
        """The `selection` of a result, as `trainer.evaluate.summary.selection` gives it."""
        return selection(
            self.metric, self.source, len(self.examples), [(run.epoch, run.dev_score) for run in runs]
        )


class Run(NamedTuple):
    """One fine-tuning: its test sets' scores, the epoch kept (from 1), and the metric on `Dev` there."""

    scores: dict[str, list[NDArray[np.float32]]]
    epoch: int
    dev_score: float | None


def with_dev(training: Sequence[T], dev: Sequence[T] | None, *, source: str) -> tuple[list[T], list[T], str]:
    """The training examples, the development examples, and where these are from.

    Args:
        training: the training examples.
        dev: the development examples, or None where the data set has none: then a tenth of the training
            examples, at most 2,000, is taken from them by the hash of the place.
        source: the name of the development file.
    """
    if dev:
        return list(training), list(dev), source
    size = min(max(1, len(training) // _ONE_IN), _MOST)
    if len(training) <= size:
        return list(training), [], "no development examples: the last epoch"
    places = sorted(range(len(training)), key=lambda i: hash64("evaluate-dev", i))
    held = set(places[:size])
    kept = [item for i, item in enumerate(training) if i not in held]
    return kept, [training[i] for i in sorted(held)], f"{size} of {len(training)} training examples, by hash"
