"""TACRED (Zhang et al. 2017) and whatever shares its format; the licensed files are the user's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import only_file, read_json, read_optional, required
from trainer.evaluate.fine_tuning.inputs import MARKERS, marked
from trainer.evaluate.fine_tuning.sequences import Labelled, classify
from trainer.evaluate.metrics import macro_scores, micro_scores

_NONE = "no_relation"
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}


class _Item(TypedDict):
    token: list[str]
    subj_start: int
    subj_end: int
    obj_start: int
    obj_end: int
    relation: str


def evaluate_tacred(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on `train.json`, select the epoch on `dev.json`, score `test.json`, anywhere under `data`.

    Returns:
        What `classify` gives, with micro and macro precision, recall and F1 without no_relation; `micro_f1`
        selects the epoch.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    training, test = (read_tacred(only_file(data, f"{split}.json")) for split in ("train", "test"))
    return classify(
        model,
        training,
        {"test": test},
        config,
        metrics=metrics,
        select="micro_f1",
        dev=read_optional(read_tacred, data, "dev.json"),
        dev_source="dev.json",
        markers=MARKERS,
    )


def metrics(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Micro P, R and F1 as the official scorer has them, and macro P, R and F1."""
    return {
        **micro_scores(gold, predicted, without=_NONE),
        **macro_scores(gold, predicted, without=[_NONE]),
    }


def read_tacred(path: Path) -> list[Labelled]:
    """The sentences of a file, subject and object marked.

    Raises:
        InputError: it is not of this format.
    """
    items = required(read_json(path, list[_Item], form="TACRED"), path)
    for number, item in enumerate(items):
        for role in ("subj", "obj"):
            if not 0 <= item[f"{role}_start"] <= item[f"{role}_end"] < len(item["token"]):
                raise InputError(f"{role} is not within the tokens", where=f"{path}, example {number}")
    return [_labelled(item) for item in items]


def _labelled(item: dict[str, Any]) -> Labelled:
    tokens = [_BRACKETS.get(token, token) for token in item["token"]]
    # The last token of a span belongs to it.
    head, tail = ((item[f"{role}_start"], item[f"{role}_end"] + 1) for role in ("subj", "obj"))
    return Labelled(marked(tokens, head, tail), item["relation"])
