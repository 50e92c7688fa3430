"""Texts and pairs of texts with one label each: the part that all such benchmarks share."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.summary import over_seeds
from trainer.evaluate.tuned.examples import Example
from trainer.evaluate.tuned.finetune import open_base, scores_by_seed
from trainer.evaluate.tuned.heads import SequenceHead
from trainer.evaluate.tuned.inputs import Sampler, rows_of_texts
from trainer.evaluate.tuned.selection import Dev, Scores, with_dev

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
