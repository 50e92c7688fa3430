"""GLUE (Wang et al. 2019) with its official metrics, on the development sets: the test labels are hidden."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import only_file, read_table, read_tsv, required
from trainer.evaluate.fine_tuning.sequences import Labelled, Metrics, Rated, classify, regress
from trainer.evaluate.metrics import accuracy, f1_of, matthews

_STSB = "STS-B"
_COLA_COLUMNS = 4


def _accuracy(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    return {"accuracy": accuracy(gold, predicted)}


def _accuracy_and_f1(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    return {"f1": f1_of("1", gold, predicted), "accuracy": accuracy(gold, predicted)}


def _matthews(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    return {"matthews": matthews(gold, predicted)}


@dataclass(frozen=True)
class _Task:
    """A task: its columns (text, pair, label) in files with a header, its metrics, the one that selects."""

    columns: tuple[str, ...]
    metrics: Metrics = _accuracy
    select: str = "accuracy"
    tests: tuple[str, ...] = ("dev",)
    # QQP as published has lines without their last columns; they are left out and counted.
    broken_lines: bool = False


_TASKS = {
    "CoLA": _Task(("sentence", "label"), _matthews, "matthews"),
    "SST-2": _Task(("sentence", "label")),
    "MRPC": _Task(("#1 String", "#2 String", "Quality"), _accuracy_and_f1, "f1"),
    "QQP": _Task(("question1", "question2", "is_duplicate"), _accuracy_and_f1, "f1", broken_lines=True),
    "MNLI": _Task(("sentence1", "sentence2", "gold_label"), tests=("dev_matched", "dev_mismatched")),
    "QNLI": _Task(("question", "sentence", "label")),
    "RTE": _Task(("sentence1", "sentence2", "label")),
}


def evaluate_glue(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on and score every task that has a folder under `data`.

    The development sets are scored, so the epoch is selected on a part of the training examples (`with_dev`).

    Args:
        model: a folder or hub id.
        data: GLUE's folder: `CoLA/`, `SST-2/` (or `SST2/`), `MRPC/`, `QQP/`, `STS-B/`, `MNLI/`, `QNLI/`,
            `RTE/`, each with train.tsv and dev.tsv.
        config: how to fine-tune.

    Returns:
        Task -> what `classify` (of STS-B `regress`) gives, and `broken_lines` left out (QQP only):
        Matthews correlation for CoLA, Pearson's and Spearman's for STS-B, F1 and accuracy for MRPC and QQP,
        accuracy for the others.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: no task, or a file is missing or malformed.
    """
    folders = {path.name: path for path in sorted(Path(data).rglob("*")) if path.is_dir()}
    found: dict[str, Any] = {}
    for name, task in _TASKS.items():
        folder = folders.get(name, folders.get(name.replace("-", "")))
        if folder:
            broken: list[int] = []
            note = broken.append if task.broken_lines else None
            training, *tests_of = (
                read_task(only_file(folder, f"{split}.tsv"), task.columns, on_short=note)
                for split in ("train", *task.tests)
            )
            tests = dict(zip(task.tests, tests_of, strict=True))
            found[name] = classify(
                model, training, tests, config, metrics=task.metrics, select=task.select, dev=None
            )
            found[name]["broken_lines"] = len(broken)
    if _STSB in folders:
        train, dev = (_read_rated(only_file(folders[_STSB], f"{split}.tsv")) for split in ("train", "dev"))
        found[_STSB] = regress(model, train, dev, config)
    if not found:
        raise InputError(f"holds none of {', '.join([*_TASKS, _STSB])}", where=str(data))
    return {"tasks": found}


def read_task(
    path: Path, columns: Sequence[str], *, on_short: Callable[[int], None] | None = None
) -> list[Labelled]:
    """A task's examples; what has no gold label (`-`, as some of MNLI) is left out.

    Without a header it is CoLA's official file (source, label, mark, sentence) or one of two columns, one of
    which contains only labels.

    Raises:
        InputError: a column is missing.
    """
    _, first = next(read_tsv(path), (1, []))
    named = set(columns) <= set(first)
    rows = read_table(path, *columns, on_short=on_short) if named else _headless(path, len(first))
    found = [
        Labelled(texts[0], label, texts[1] if len(texts) > 1 else None)
        for *texts, label in rows
        if label != "-"
    ]
    return required(found, path)


def _headless(path: Path, width: int) -> list[tuple[str, ...]]:
    rows = list(read_tsv(path))
    if short := next((number for number, row in rows if len(row) != width), None):
        raise InputError(f"the line has not {width} columns", where=f"{path}, line {short}")
    if width == _COLA_COLUMNS:
        return [(row[3], row[1]) for _, row in rows]
    for label, text in ((0, 1), (1, 0)):
        if width == 2 and all(row[label] in ("0", "1") for _, row in rows):
            return [(row[text], row[label]) for _, row in rows]
    raise InputError("has neither a header nor a column of labels", where=str(path))


def _read_rated(path: Path) -> list[Rated]:
    """STS-B; line by line, as its columns are not quoted."""
    found = []
    for number, (one, other, score) in enumerate(read_table(path, "sentence1", "sentence2", "score"), 2):
        try:
            found.append(Rated(one, other, float(score)))
        except ValueError:
            raise InputError(f"the score is {score!r}", where=f"{path}, line {number}") from None
    return required(found, path)
