"""RELX (Köksal and Özgür 2020): relations in five languages, learnt from the English of KBP-37."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import only_file
from trainer.evaluate.metrics import accuracy, directed_macro_f1
from trainer.evaluate.tuned.classification import Labelled, classify
from trainer.evaluate.tuned.entities import MARKERS

_NONE = "no_relation"


def evaluate(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on KBP-37's `train.txt`, score every `RELX_<lang>.txt`, both anywhere under `data`.

    Returns:
        What `classify` gives, with the metrics `accuracy` and `macro_f1` (without no_relation; a wrong
        direction is wrong).

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    tests = {path.stem.removeprefix("RELX_"): path for path in sorted(Path(data).rglob("RELX_??.txt"))}
    chosen = [lang for lang in tests if config.languages is None or lang in config.languages]
    training = read(only_file(data, "train.txt"))
    asked = {lang: read(tests[lang]) for lang in chosen}
    return classify(model, training, asked, config, metrics=metrics, markers=MARKERS)


def metrics(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy over all labels, and macro F1 with directions."""
    return {
        "accuracy": accuracy(gold, predicted),
        "macro_f1": directed_macro_f1(gold, predicted, without=_NONE),
    }


def read(path: Path) -> list[Labelled]:
    """The sentences of a file in KBP-37's format: `number TAB "sentence"`, relation, comment, empty line.

    Raises:
        InputError: it is not of this format.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for first in range(0, len(lines) - 1, 4):
        _, tab, quoted = lines[first].partition("\t")
        label = lines[first + 1].strip()
        if not tab or not label:
            raise InputError("is no numbered sentence with its relation", where=f"{path}, line {first + 1}")
        found.append(Labelled(quoted.strip().removeprefix('"').removesuffix('"').strip(), label))
    return found
