"""Open Entity (Choi et al. 2018) with its nine general types, as ERNIE and TRELM are scored on it."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import only_file, read_json, read_json_lines, read_optional, required
from trainer.evaluate.fine_tuning.finetune import Dev, Scores, open_base, scores_by_seed, with_dev
from trainer.evaluate.fine_tuning.heads import SequenceHead
from trainer.evaluate.fine_tuning.inputs import HEAD, Example, Sampler, rows_of_texts
from trainer.evaluate.metrics import label_sets
from trainer.evaluate.statistics import over_seeds

_SELECT = "loose_micro_f1"
_GENERAL = frozenset(
    ("entity", "event", "group", "location", "object", "organization", "person", "place", "time")
)


class _Item(TypedDict):
    sent: str
    start: int
    end: int
    labels: list[str]


class _Original(TypedDict):
    left_context_token: list[str]
    mention_span: str
    right_context_token: list[str]
    y_str: list[str]


class Typed(NamedTuple):
    """A text with the mention marked, and the mention's types."""

    text: str
    types: Sequence[str]


def evaluate_open_entity(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on `train.json`, select the epoch on `dev.json`, score `test.json`, anywhere under `data`.

    A type is predicted where its probability is above one half. The epoch is selected by `loose_micro_f1`.

    Returns:
        `n_train`, `selection` (as `Dev.report` has it), `n`, `sampled` (as `Sampler` has it), `types`, `cut`;
        the scores of `label_sets` of predicting every type (`chance`), of the most frequent set of types
        (`majority`), and of the model as `over_seeds` gives them.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    sample = Sampler(config.limit)
    whole = read_open_entity(only_file(data, "train.json"))
    training, dev, source = with_dev(
        whole, read_optional(read_open_entity, data, "dev.json"), source="dev.json"
    )
    training, dev = sample("train", training), sample("selection", dev)
    test = sample("test", read_open_entity(only_file(data, "test.json")))
    base = open_base(model, markers=HEAD)
    known = sorted({name for item in training for name in item.types})
    cut: Counter[str] = Counter()

    def examples(items: Sequence[Typed]) -> list[Example]:
        texts = [item.text for item in items]
        rows = rows_of_texts(base.tokenizer, texts, max_length=config.max_length, cut=cut)
        targets = [[float(name in item.types) for name in known] for item in items]
        return [Example((row,), target) for row, target in zip(rows, targets, strict=True)]

    make_head = partial(SequenceHead, outputs=len(known), kind="labels")

    def predicted(scores: Scores) -> list[list[str]]:
        return [[name for name, s in zip(known, row, strict=True) if s > 0] for row in scores]

    dev_gold, gold = ([item.types for item in items] for items in (dev, test))
    chosen_on = Dev(_SELECT, source, examples(dev), lambda s: label_sets(dev_gold, predicted(s))[_SELECT])
    tests = {"test": examples(test)}
    runs = scores_by_seed(base, make_head, examples(training), tests, config, chosen_on)
    counts = Counter(tuple(sorted(item.types)) for item in training)
    most = min(counts, key=lambda types: (-counts[types], types))
    return {
        "n_train": len(training),
        "n": len(test),
        "selection": chosen_on.report(runs),
        "sampled": sample.sampled,
        "types": len(known),
        "cut": cut["texts"],
        "chance": label_sets(gold, [known] * len(test)),
        "majority": label_sets(gold, [most] * len(test)),
        **over_seeds([label_sets(gold, predicted(run.scores["test"])) for run in runs]),
    }


def read_open_entity(path: Path) -> list[Typed]:
    """The mentions of a file.

    Either a list of `sent`, `start`, `end` (in characters) and `labels` (ERNIE's), or lines of
    `left_context_token`, `mention_span`, `right_context_token` and `y_str` (as published), of which the nine
    general types are kept.

    Raises:
        InputError: it is not of this format.
    """
    # ERNIE's file is one JSON list; the original has a JSON object a line.
    if path.read_bytes().lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        items = required(read_json(path, list[_Item], form="Open Entity"), path)
        for number, item in enumerate(items):
            if not 0 <= item["start"] <= item["end"] <= len(item["sent"]):
                raise InputError("the mention is not within the sentence", where=f"{path}, example {number}")
        return [_typed(item) for item in items]
    return required([_original(item) for item in read_json_lines(path, _Original, form="Open Entity")], path)


def _original(item: dict[str, Any]) -> Typed:
    left, right = (" ".join(item[f"{side}_context_token"]) for side in ("left", "right"))
    mention = f"{HEAD[0]} {item['mention_span']} {HEAD[1]}"
    text = " ".join(part for part in (left, mention, right) if part)
    return Typed(text, [name for name in item["y_str"] if name in _GENERAL])


def _typed(item: dict[str, Any]) -> Typed:
    text, start, end = item["sent"], item["start"], item["end"]
    return Typed(f"{text[:start]}{HEAD[0]} {text[start:end]} {HEAD[1]}{text[end:]}", item["labels"])
