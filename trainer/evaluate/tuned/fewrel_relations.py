"""FewRel (Han et al. 2018) as plain relation classification, as ERNIE and TRELM use it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import read_json
from trainer.evaluate.metrics import accuracy, macro_f1
from trainer.evaluate.tuned.classification import Labelled, classify
from trainer.evaluate.tuned.entities import MARKERS, marked


class Sentence(NamedTuple):
    """A sentence and its first mentions of both entities.

    Attributes:
        head, tail: [start, end) in tokens.
        qids: of head and tail.
    """

    tokens: list[str]
    head: tuple[int, int]
    tail: tuple[int, int]
    qids: tuple[str, str]


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
    parts: dict[bool, list[Labelled]] = {False: [], True: []}
    for pair, item in read(data):
        parts[hash64("fewrel", *pair) % _TEST == 0].append(item)
    return classify(model, parts[False], {"test": parts[True]}, config, metrics=metrics, markers=MARKERS)


def metrics(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy (which micro F1 equals here) and macro F1."""
    return {"accuracy": accuracy(gold, predicted), "macro_f1": macro_f1(gold, predicted)}


def read(data: str | Path) -> list[tuple[tuple[str, str], Labelled]]:
    """The entities' ids and the sentence with both marked, labelled by the relation.

    Raises:
        InputError: as `read_sentences`.
    """
    return [
        (sentence.qids, Labelled(marked(sentence.tokens, sentence.head, sentence.tail), relation))
        for relation, sentences in read_sentences(data).items()
        for sentence in sentences
    ]


def read_sentences(data: str | Path) -> dict[str, list[Sentence]]:
    """Relation -> its sentences, of a file in FewRel's format or of all `*_wiki.json` in a folder.

    Raises:
        InputError: there is none, or one is not of this format.
    """
    paths = [Path(data)] if Path(data).is_file() else sorted(Path(data).rglob("*_wiki.json"))
    if not paths:
        raise InputError("holds no *_wiki.json", where=str(data))
    found: dict[str, list[Sentence]] = {}
    for path in paths:
        try:
            for relation, items in sorted(read_json(path).items()):
                found.setdefault(relation, []).extend(map(_sentence, items))
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            raise InputError(f"is not in FewRel's format ({error!r})", where=str(path)) from None
    return found


def _sentence(item: dict[str, Any]) -> Sentence:
    head, tail = ((item[end][2][0][0], item[end][2][0][-1] + 1) for end in "ht")
    return Sentence(item["tokens"], head, tail, (item["h"][1], item["t"][1]))
