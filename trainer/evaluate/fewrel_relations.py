"""FewRel (Han et al. 2018) as plain relation classification, as ERNIE and TRELM use it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.classification import Labelled, classify
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.entities import MARKERS, marked
from trainer.evaluate.files import read_json
from trainer.evaluate.metrics import accuracy, macro_f1

# One in so many pairs of entities is asked about.
_TEST = 5


def evaluate(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on four fifths of the sentences and score the rest.

    The official test set is hidden and its splits share no relation, so sentences are split by their pair of
    entities: no pair is in both parts.

    Args:
        model: a folder or hub id.
        data: a file in FewRel's format, or a folder with several `*_wiki.json`.
        config: how to fine-tune.

    Returns:
        What `classify` gives, with the metrics `accuracy` and `macro_f1`.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    paths = [Path(data)] if Path(data).is_file() else sorted(Path(data).rglob("*_wiki.json"))
    if not paths:
        raise InputError("holds no *_wiki.json", where=str(data))
    parts: dict[bool, list[Labelled]] = {False: [], True: []}
    for path in paths:
        for pair, item in read(path):
            parts[hash64("fewrel", *pair) % _TEST == 0].append(item)
    return classify(model, parts[False], {"test": parts[True]}, config, metrics=metrics, markers=MARKERS)


def metrics(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy (which micro F1 equals here) and macro F1."""
    return {"accuracy": accuracy(gold, predicted), "macro_f1": macro_f1(gold, predicted)}


def read(path: Path) -> list[tuple[tuple[str, str], Labelled]]:
    """The entities' ids and the sentence with its first mentions of both marked, labelled by the relation.

    Raises:
        InputError: it is not of this format.
    """
    try:
        return [
            ((item["h"][1], item["t"][1]), Labelled(_text(item), relation))
            for relation, items in sorted(read_json(path).items())
            for item in items
        ]
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"is not in FewRel's format ({error!r})", where=str(path)) from None


def _text(item: dict[str, Any]) -> str:
    head, tail = ((item[end][2][0][0], item[end][2][0][-1] + 1) for end in "ht")
    return marked(item["tokens"], head, tail)
