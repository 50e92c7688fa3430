"""XNLI (Conneau et al. 2018) and PAWS-X (Yang et al. 2019): pairs of sentences in many languages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files, only_file, read_optional, read_table, required
from trainer.evaluate.fine_tuning.sequences import Labelled, classify
from trainer.evaluate.metrics import accuracy
from trainer.evaluate.statistics import over_seeds


def xnli(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on `multinli.train.<lang>.tsv` (of XNLI-MT 1.0), score all languages of `xnli.test.tsv`.

    The epoch is selected on the training language's part of `xnli.dev.tsv`. The files may be anywhere under
    `data`. Returns what `classify` gives, with the metric `accuracy` and its
    `average` over languages.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    found = {path.name.split(".")[2] for path in matching_files(data, "multinli.train.*.tsv")}
    lang = config.training_language(found, where=data)
    source = only_file(data, f"multinli.train.{lang}.tsv")
    rows = read_table(source, "premise", "hypo", "label")
    # The translated files call it so.
    training = [
        Labelled(premise, label.replace("contradictory", "contradiction"), hypothesis)
        for premise, hypothesis, label in rows
    ]
    tests = _read_xnli(only_file(data, "xnli.test.tsv"))
    dev = read_optional(_read_xnli, data, "xnli.dev.tsv") or {}
    return _scored(model, training, dev.get(lang), tests, config, dev_source=f"xnli.dev.tsv, {lang}")


def _read_xnli(path: Path) -> dict[str, list[Labelled]]:
    """Language -> pairs."""
    found: dict[str, list[Labelled]] = {}
    columns = "language", "sentence1", "sentence2", "gold_label"
    for lang, premise, hypothesis, label in read_table(path, *columns):
        found.setdefault(lang, []).append(Labelled(premise, label, hypothesis))
    return found


def paws_x(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on one language's `train.tsv` or `translated_train.tsv`, score every `<lang>/test_2k.tsv`.

    The epoch is selected on that language's `dev_2k.tsv`.
    `data` holds a folder for each language, as the official archive does. Returns what `classify` gives, with
    the metric `accuracy` and its `average` over languages.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    tests = {path.parent.name: _read_pairs(path) for path in matching_files(data, "test_2k.tsv")}
    files = (path for name in ("train.tsv", "translated_train.tsv") for path in matching_files(data, name))
    lang = config.training_language({path.parent.name for path in files}, where=data)
    source = only_file(data, f"{lang}/train.tsv", f"{lang}/translated_train.tsv")
    dev = read_optional(_read_pairs, data, f"{lang}/dev_2k.tsv")
    return _scored(model, _read_pairs(source), dev, tests, config, dev_source=f"{lang}/dev_2k.tsv")


def _read_pairs(path: Path) -> list[Labelled]:
    rows = read_table(path, "sentence1", "sentence2", "label")
    return required([Labelled(one, label, other) for one, other, label in rows], path)


def _scored(
    model: str | Path,
    training: Sequence[Labelled],
    dev: Sequence[Labelled] | None,
    tests: dict[str, list[Labelled]],
    config: EvaluationConfig,
    *,
    dev_source: str,
) -> dict[str, Any]:
    chosen = {
        lang: tests[lang] for lang in sorted(tests) if config.languages is None or lang in config.languages
    }
    found = classify(
        model,
        training,
        chosen,
        config,
        metrics=_metrics,
        select="accuracy",
        dev=dev,
        dev_source=dev_source,
    )
    by_seed = zip(*(test["accuracy"]["values"] for test in found["tests"].values()), strict=True)
    return {"average": over_seeds([{"accuracy": sum(run) / len(run)} for run in by_seed]), **found}


def _metrics(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    return {"accuracy": accuracy(gold, predicted)}
