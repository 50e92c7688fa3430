"""RELX (Köksal and Özgür 2020): relations in five languages, learnt from the English of KBP-37."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files, only_file, read_optional, required, text_lines
from trainer.evaluate.fine_tuning.inputs import MARKERS
from trainer.evaluate.fine_tuning.sequences import Labelled, classify
from trainer.evaluate.metrics import accuracy, directed_macro_scores

_NONE = "no_relation"
_LABEL = re.compile(r"no_relation|\S+\((?:e1,e2|e2,e1)\)")


def evaluate_relx(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on KBP-37's `train.txt`, select the epoch on its `dev.txt`, score every `RELX_<lang>.txt`.

    The files may be anywhere under `data`.

    Returns:
        What `classify` gives, with `accuracy` and macro precision, recall and F1 (without no_relation; a
        wrong direction is wrong); `macro_f1` selects the epoch.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    tests = {path.stem.removeprefix("RELX_"): path for path in matching_files(data, "RELX_??.txt")}
    chosen = [lang for lang in tests if config.languages is None or lang in config.languages]
    training = read_relx(only_file(data, "train.txt"))
    asked = {lang: read_relx(tests[lang]) for lang in chosen}
    return classify(
        model,
        training,
        asked,
        config,
        metrics=metrics,
        select="macro_f1",
        dev=read_optional(read_relx, data, "dev.txt"),
        dev_source="dev.txt",
        markers=MARKERS,
    )


def metrics(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy over all labels, and macro P, R and F1 with directions."""
    return {
        "accuracy": accuracy(gold, predicted),
        **directed_macro_scores(gold, predicted, without=_NONE),
    }


def read_relx(path: Path) -> list[Labelled]:
    """The sentences of a file in KBP-37's format: `number TAB "sentence"`, relation, comment, empty line.

    Raises:
        InputError: it is not of this format.
    """
    lines = [line for _, line in text_lines(path)]
    found = []
    for first in range(0, len(lines), 4):
        number, tab, quoted = lines[first].partition("\t")
        if not any(line.strip() for line in lines[first:]):
            break
        label = lines[first + 1].strip() if first + 1 < len(lines) else ""
        if not tab or not number.strip().isdecimal() or not _LABEL.fullmatch(label):
            raise InputError("is no numbered sentence with its relation", where=f"{path}, line {first + 1}")
        found.append(Labelled(quoted.strip().removeprefix('"').removesuffix('"').strip(), label))
    return required(found, path)
