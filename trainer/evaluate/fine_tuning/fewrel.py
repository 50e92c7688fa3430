"""FewRel (Han et al. 2018) as plain relation classification, as ERNIE and TRELM use it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.files import matching_files, read_json
from trainer.evaluate.fine_tuning.inputs import MARKERS, marked
from trainer.evaluate.fine_tuning.sequences import Labelled, classify
from trainer.evaluate.metrics import accuracy, macro_scores

# One in so many pairs of entities is asked about; of the others, one in so many selects the epoch.
_TEST, _DEV = 5, 8


class _Item(TypedDict):
    tokens: list[str]
    h: tuple[str, str, list[list[int]]]
    t: tuple[str, str, list[list[int]]]


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


def evaluate_fewrel(model: str | Path, data: str | Path, config: EvaluationConfig) -> dict[str, Any]:
    """Fine-tune on 70 % of the sentences, select the epoch on 10 %, score 20 %.

    The official test set is hidden and its splits share no relation, so sentences are split by the hash of
    their pair of entities: no pair is in two parts.

    Args:
        model: a folder or hub id.
        data: a file in FewRel's format, or a folder with several `*_wiki.json`.
        config: how to fine-tune.

    Returns:
        What `classify` gives, with `accuracy` and macro precision, recall and F1; `accuracy` selects the
        epoch.

    Raises:
        UsageError: the model cannot be loaded.
        InputError: a file is missing or malformed.
    """
    parts: dict[str, list[Labelled]] = {"train": [], "dev": [], "test": []}
    for pair, item in read_fewrel(data):
        test, rest = hash64("fewrel", *pair) % _TEST == 0, hash64("fewrel-dev", *pair) % _DEV == 0
        parts["test" if test else "dev" if rest else "train"].append(item)
    return classify(
        model,
        parts["train"],
        {"test": parts["test"]},
        config,
        metrics=metrics,
        select="accuracy",
        dev=parts["dev"],
        dev_source="one in ten pairs of entities, by hash",
        markers=MARKERS,
    )


def metrics(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy (which micro P, R and F1 equal here) and macro P, R and F1."""
    return {"accuracy": accuracy(gold, predicted), **macro_scores(gold, predicted)}


def read_fewrel(data: str | Path) -> list[tuple[tuple[str, str], Labelled]]:
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
    paths = [Path(data)] if Path(data).is_file() else matching_files(data, "*_wiki.json")
    if not paths:
        raise InputError("holds no *_wiki.json", where=str(data))
    found: dict[str, list[Sentence]] = {}
    for path in paths:
        for relation, items in sorted(read_json(path, dict[str, list[_Item]], form="FewRel").items()):
            of_file = [
                _sentence(item, where=f"{path}, {relation}.{number}") for number, item in enumerate(items)
            ]
            found.setdefault(relation, []).extend(of_file)
    return found


def _sentence(item: dict[str, Any], *, where: str) -> Sentence:
    for end in "ht":
        places = item[end][2][0] if item[end][2] else []
        if not places or not 0 <= places[0] <= places[-1] < len(item["tokens"]):
            raise InputError(f"the mention {end} is not within the tokens", where=where)
    head, tail = ((item[end][2][0][0], item[end][2][0][-1] + 1) for end in "ht")
    return Sentence(item["tokens"], head, tail, (item["h"][1], item["t"][1]))
