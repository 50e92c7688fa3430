"""Pairs of texts with a number (STS-B)."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.metrics import pearson, spearman
from trainer.evaluate.summary import over_seeds
from trainer.evaluate.tuned.examples import Example
from trainer.evaluate.tuned.finetune import open_base, scores_by_seed
from trainer.evaluate.tuned.heads import SequenceHead
from trainer.evaluate.tuned.inputs import Sampler, rows_of_texts
from trainer.evaluate.tuned.selection import Dev, with_dev


class Rated(NamedTuple):
    """Two texts and their score."""

    text: str
    pair: str
    score: float


def regress(
    model: str | Path, training: Sequence[Rated], test: Sequence[Rated], config: EvaluationConfig
) -> dict[str, Any]:
    """Fine-tune a regression and score it by its correlations.

    The epoch is selected by Pearson's correlation on a part of the training examples (`with_dev`).

    Returns:
        `n_train`, `n`, `selection` (as `Dev.report` has it), `sampled` (as `Sampler` has it), `cut` (texts
        beyond `max_length`), `chance` and `majority`, which no correlation exceeds in expectation (0), and
        `pearson` and `spearman` as `over_seeds` gives them.

    Raises:
        UsageError: the model cannot be loaded.
    """
    sample = Sampler(config.limit)
    training, dev, source = with_dev(training, None, source="")
    training, dev, test = sample("train", training), sample("selection", dev), sample("test", test)
    base = open_base(model)
    # The head learns the training scores' deviations, so that its first outputs, near 0, are no outliers.
    centre = float(np.mean([item.score for item in training]))
    cut: Counter[str] = Counter()

    def examples(items: Sequence[Rated]) -> list[Example]:
        texts, pairs = [item.text for item in items], [item.pair for item in items]
        rows = rows_of_texts(base.tokenizer, texts, pairs, max_length=config.max_length, cut=cut)
        return [Example((row,), item.score - centre) for row, item in zip(rows, items, strict=True)]

    make_head = partial(SequenceHead, outputs=1, kind="number")
    dev_gold, gold = ([item.score for item in items] for items in (dev, test))
    chosen_on = Dev(
        "pearson", source, examples(dev), lambda scores: pearson(dev_gold, np.array(scores, np.float64))
    )
    tests = {"test": examples(test)}
    runs = scores_by_seed(base, make_head, examples(training), tests, config, chosen_on)
    scored = [np.array(run.scores["test"], np.float64) for run in runs]
    return {
        "n_train": len(training),
        "n": len(test),
        "selection": chosen_on.report(runs),
        "sampled": sample.sampled,
        "cut": cut["texts"],
        "chance": 0.0,
        "majority": 0.0,
        **over_seeds([{"pearson": pearson(gold, s), "spearman": spearman(gold, s)} for s in scored]),
    }
