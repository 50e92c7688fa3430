"""Fine-tuning on texts and pairs of texts: one label each (classification) or a number (STS-B)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.fine_tuning.finetune import Dev, Scores, open_base, scores_by_seed, with_dev
from trainer.evaluate.fine_tuning.heads import SequenceHead
from trainer.evaluate.fine_tuning.inputs import Example, Sampler, rows_of_texts
from trainer.evaluate.metrics import pearson, spearman
from trainer.evaluate.statistics import over_seeds

# (gold, predicted) -> name -> score.
Metrics = Callable[[Sequence[str], Sequence[str]], dict[str, float]]


class Labelled(NamedTuple):
    """A text, or two, and its label."""

    text: str
    label: str
    pair: str | None = None


def classify(
    model: str | Path,
    training: Sequence[Labelled],
    tests: Mapping[str, Sequence[Labelled]],
    config: EvaluationConfig,
    *,
    metrics: Metrics,
    select: str,
    dev: Sequence[Labelled] | None,
    dev_source: str = "dev",
    markers: Sequence[str] = (),
) -> dict[str, Any]:
    """Fine-tune a softmax over the training labels, select the epoch on `dev`, score the test sets.

    Args:
        model: a folder or hub id.
        training: what is learnt from; at most `config.limit` of them, drawn.
        tests: name -> what is asked, likewise.
        config: how to fine-tune.
        metrics: of gold and predicted labels.
        select: the metric that selects the epoch.
        dev, dev_source: as `with_dev` takes them.
        markers: of entities in the texts: tokens of their own.

    Returns:
        `n_train`, `selection` (as `Dev.report` has it), `sampled` (as `Sampler` has it), `classes`, `cut`
        (texts beyond `max_length`) and `tests`: for each its `n`, what uniformly drawn labels score
        (`chance`), what the most frequent training label scores (`majority`), and the model's scores as
        `over_seeds` gives them.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: nothing to learn from or to ask.
    """
    if not training or not any(tests.values()):
        raise InputError("there are no labelled texts to learn from or to test on")
    sample = Sampler(config.limit)
    training, dev, source = with_dev(training, dev, source=dev_source)
    training, dev = sample("train", training), sample("selection", dev)
    asked = {name: sample(name, items) for name, items in tests.items()}
    base = open_base(model, markers=markers)
    counts = Counter(item.label for item in training)
    classes = sorted(counts)
    number = {label: i for i, label in enumerate(classes)}
    cut: Counter[str] = Counter()

    def examples(items: Sequence[Labelled]) -> list[Example]:
        texts = [item.text for item in items]
        # A set holds pairs throughout or not at all.
        pairs = None if not items or items[0].pair is None else [item.pair or "" for item in items]
        rows = rows_of_texts(base.tokenizer, texts, pairs, max_length=config.max_length, cut=cut)
        return [Example((row,), number.get(item.label, 0)) for row, item in zip(rows, items, strict=True)]

    def predicted(scores: Scores) -> list[str]:
        return [classes[int(s.argmax())] for s in scores]

    dev_gold = [item.label for item in dev]
    chosen_on = Dev(
        select, source, examples(dev), lambda scores: metrics(dev_gold, predicted(scores))[select]
    )
    runs = scores_by_seed(
        base,
        partial(SequenceHead, outputs=len(classes)),
        examples(training),
        {name: examples(items) for name, items in asked.items()},
        config,
        chosen_on,
    )
    most = min(classes, key=lambda label: (-counts[label], label))
    found = {}
    for name, items in asked.items():
        gold = [item.label for item in items]
        draw = Draw("chance", name)
        found[name] = {
            "n": len(items),
            "chance": metrics(gold, [draw.choice(classes) for _ in items]),
            "majority": metrics(gold, [most] * len(items)),
            **over_seeds([metrics(gold, predicted(run.scores[name])) for run in runs]),
        }
    return {
        "n_train": len(training),
        "selection": chosen_on.report(runs),
        "sampled": sample.sampled,
        "classes": len(classes),
        "cut": cut["texts"],
        "tests": found,
    }


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
