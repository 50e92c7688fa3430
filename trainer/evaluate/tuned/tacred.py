"""TACRED (Zhang et al. 2017) and whatever shares its format; the licensed files are the user's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import only_file, read_json, read_optional
from trainer.evaluate.metrics import macro_scores, micro_scores
from trainer.evaluate.tuned.classification import Labelled, classify
from trainer.evaluate.tuned.entities import MARKERS, marked

_NONE = "no_relation"
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}


def evaluate(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on `train.json`, select the epoch on `dev.json`, score `test.json`, anywhere under `data`.

    Returns:
        What `classify` gives, with micro and macro precision, recall and F1 without no_relation; `micro_f1`
        selects the epoch.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    training, test = (read(only_file(data, f"{split}.json")) for split in ("train", "test"))
    return classify(
        model,
        training,
        {"test": test},
        config,
        metrics=metrics,
        select="micro_f1",
        dev=read_optional(read, data, "dev.json"),
        dev_source="dev.json",
        markers=MARKERS,
    )


def metrics(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Micro P, R and F1 as the official scorer has them, and macro P, R and F1."""
    return {
        **micro_scores(gold, predicted, without=_NONE),
        **macro_scores(gold, predicted, without=[_NONE]),
    }


def read(path: Path) -> list[Labelled]:
    """The sentences of a file, subject and object marked.

    Raises:
        InputError: it is not of this format.
    """
    try:
        return [_labelled(item) for item in read_json(path)]
    except (KeyError, TypeError) as error:
        raise InputError(f"is not in TACRED's format ({error!r})", where=str(path)) from None


def _labelled(item: dict[str, Any]) -> Labelled:
    tokens = [_BRACKETS.get(token, token) for token in item["token"]]
    # The last token of a span belongs to it.
    head, tail = ((item[f"{role}_start"], item[f"{role}_end"] + 1) for role in ("subj", "obj"))
    return Labelled(marked(tokens, head, tail), item["relation"])
