"""Universal parts of speech from CoNLL-U files, learnt in one language and scored in all."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files, required, text_lines
from trainer.evaluate.fine_tuning.tagging import Tagged, Tags, averages, tag

_COLUMNS, _FORM, _UPOS = 10, 1, 3


def evaluate_pos(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on one language's training treebanks and score all languages' test treebanks.

    The epoch is selected on the language's development treebanks.

    Args:
        model: a folder or hub id.
        data: a folder with files named as Universal Dependencies does, `<lang>_<treebank>-ud-<split>.conllu`;
            several of a language are read as one.
        config: how to fine-tune, `train_language` included.

    Returns:
        What `tag` gives, with the metric `accuracy` of words, and their `average` over languages.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    trainable = {path.name.partition("_")[0] for path in matching_files(data, "*_*-train.conllu")}
    own = config.training_language(trainable, where=data)
    training, dev = (
        [s for path in matching_files(data, f"{own}_*-{split}.conllu") for s in read_conllu(path)]
        for split in ("train", "dev")
    )
    tests: dict[str, list[Tagged]] = defaultdict(list)
    for path in matching_files(data, "*_*-test.conllu"):
        lang = path.name.partition("_")[0]
        if config.languages is None or lang in config.languages:
            tests[lang] += read_conllu(path)
    found = tag(
        model,
        training,
        tests,
        config,
        metrics=lambda gold, predicted: {"accuracy": word_accuracy(gold, predicted)},
        select="accuracy",
        dev=dev,
        dev_source=f"{own}_*-dev.conllu",
        fallback="X",
    )
    return {"average": averages(found), **found}


def word_accuracy(gold: Tags, predicted: Tags) -> float:
    """Share of the words whose tag is right."""
    pairs = [pair for g, p in zip(gold, predicted, strict=True) for pair in zip(g, p, strict=True)]
    return sum(g == p for g, p in pairs) / len(pairs)


def read_conllu(path: Path) -> list[Tagged]:
    """Sentences of a CoNLL-U file: its words, without multiword tokens (1-2) and empty nodes (1.1).

    Raises:
        InputError: a line has not ten columns.
    """
    return required([Tagged(*zip(*sentence, strict=True)) for sentence in _sentences(path) if sentence], path)


def _sentences(path: Path) -> Iterator[list[tuple[str, str]]]:
    sentence: list[tuple[str, str]] = []
    for number, line in text_lines(path):
        fields = line.split("\t")
        if not line.strip():
            yield sentence
            sentence = []
        elif not line.startswith("#"):
            if len(fields) != _COLUMNS:
                raise InputError(f"has {len(fields)} columns, not 10", where=f"{path}, line {number}")
            if fields[0].isdecimal():
                sentence.append((fields[_FORM], fields[_UPOS]))
    yield sentence
