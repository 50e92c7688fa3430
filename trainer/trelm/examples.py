"""Examples from passages: hidden tokens, questions, and the places that injection and memory replace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.masking import Vocabulary, mask_share
from trainer.shards import MentionRecord
from trainer.trelm.graph import LabelTokens
from trainer.trelm.inventory import WordFinder
from trainer.trelm.negatives import Asked
from trainer.trelm.targets import Chosen, Target, TargetChooser


@dataclass(frozen=True)
class Spot:
    """A mention or word [start, end) that has a slot in the memory; `read`: before the forward pass too."""

    start: int
    end: int
    slot: int
    read: bool


@dataclass(frozen=True)
class Question:
    """A target with the tokens it asks for.

    Attributes:
        tokens: one a token of the answer.
        places: [tokens] positions of the answer in the passage; empty if it is not there.
    """

    target: Target
    tokens: list[Asked]
    places: list[int]


@dataclass(frozen=True)
class Example:
    """A passage as the model reads it.

    Attributes:
        ids: [tokens] after masking.
        labels: [tokens] what stood there.
        predicted: [tokens] whether masked-language modelling asks for it.
        closed: [tokens] whether a token is predicted or hidden: no knowledge and no memory enters there.
        counts: of `Chosen`.
    """

    name: str
    ids: NDArray[np.int32]
    labels: NDArray[np.int32]
    predicted: NDArray[np.bool_]
    closed: NDArray[np.bool_]
    questions: list[Question]
    spots: list[Spot]
    counts: dict[str, int]

    @property
    def asked(self) -> list[Asked]:
        """The tokens that the questions ask for, in order."""
        return [token for question in self.questions for token in question.tokens]


def without_injection(example: Example) -> Example:
    """The same example with nothing injected."""
    plain = [replace(q, target=replace(q.target, injected=None)) for q in example.questions]
    return replace(example, questions=plain)


class Slots:
    """Which entities and words have a slot: the entities first, then the words.

    Args:
        entities: in slot order.
        hashes: [words] ascending, of `WordFinder`.
        finder: finds the words.
    """

    def __init__(self, entities: Sequence[str], hashes: NDArray[np.uint64], finder: WordFinder) -> None:
        self._entities = {qid: slot for slot, qid in enumerate(entities)}
        self._hashes, self._finder = hashes, finder

    def __len__(self) -> int:
        return len(self._entities) + len(self._hashes)

    def find(self, records: Sequence[MentionRecord], targets: Sequence[Sequence[Target]]) -> list[list[Spot]]:
        """The spots of each passage; no word of a mention is one by itself."""
        found = [self._mentions(record, own) for record, own in zip(records, targets, strict=True)]
        ids = np.concatenate([record.ids for record in records])
        ends = np.cumsum([len(record.ids) for record in records])
        words = self._finder.find(ids, records=np.concatenate([[0], ends[:-1]]))
        places = np.searchsorted(self._hashes, words.hashes)
        known = words.content & (places < len(self._hashes))
        known[known] = self._hashes[places[known]] == words.hashes[known]
        chosen = np.flatnonzero(known)
        owners = np.searchsorted(ends, words.starts[chosen], side="right")
        for i, owner in zip(chosen.tolist(), owners.tolist(), strict=True):
            before = int(ends[owner]) - len(records[owner].ids)
            start, end = int(words.starts[i]) - before, int(words.ends[i]) - before
            spans = ((mention["start"], mention["end"]) for mention in records[owner].mentions)
            if not any(first < end and start < last for first, last in spans):
                found[owner].append(Spot(start, end, len(self._entities) + int(places[i]), read=True))
        return found

    def _mentions(self, record: MentionRecord, targets: Sequence[Target]) -> list[Spot]:
        read = {(target.start, target.end) for target in targets}
        spans = ((mention["start"], mention["end"], mention["qid"]) for mention in record.mentions)
        return [
            Spot(start, end, self._entities[qid], (start, end) in read)
            for start, end, qid in spans
            if qid in self._entities
        ]


class ExampleMaker:
    """Makes the examples of a step.

    Args:
        vocabulary: of the tokenizer.
        chooser: of the targets.
        labels: entity -> tokens of its label.
        share: of the tokens predicted by masked-language modelling.
        label_tokens: tokens of a label that are asked for.
        in_text: ask for the other end's mention in the passage, hidden there, instead of its label.
        slots: of the memory, or None.
        seed: of the masks.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        chooser: TargetChooser,
        labels: LabelTokens,
        *,
        share: float,
        label_tokens: int,
        in_text: bool,
        slots: Slots | None,
        seed: int,
    ) -> None:
        self._vocabulary, self._chooser, self._labels = vocabulary, chooser, labels
        self._share, self._label_tokens, self._in_text = share, label_tokens, in_text
        self._slots, self._seed = slots, seed

    def make(self, records: Sequence[MentionRecord]) -> list[Example]:
        """One example a record."""
        masked = mask_share(
            records,
            self._vocabulary,
            share=self._share,
            slots_only=False,
            seed=self._seed,
            stream="trelm",
        )
        chosen = [self._chooser.choose(record) for record in records]
        spots: list[list[Spot]] = [[] for _ in records]
        if self._slots:
            spots = self._slots.find(records, [own.targets for own in chosen])
        cuts = np.cumsum([len(record.ids) for record in records])[:-1]
        ids, predicted = np.split(masked.ids, cuts), np.split(masked.predicted, cuts)
        return [self._example(*part) for part in zip(records, ids, predicted, chosen, spots, strict=True)]

    def _example(
        self,
        record: MentionRecord,
        ids: NDArray[np.int32],
        predicted: NDArray[np.bool_],
        chosen: Chosen,
        spots: list[Spot],
    ) -> Example:
        hidden = np.zeros_like(predicted)
        if self._in_text:
            for target in chosen.targets:
                hidden |= _occurrences(record, target.asked["other"])
        return Example(
            name=record.id,
            ids=np.where(hidden, np.int32(self._vocabulary.mask), ids),
            labels=record.ids,
            predicted=predicted,
            closed=predicted | hidden,
            questions=[self._question(record, target) for target in chosen.targets],
            spots=spots,
            counts=chosen.counts,
        )

    def _question(self, record: MentionRecord, target: Target) -> Question:
        places: list[int] = []
        answer: Sequence[int] = self._labels.of(target.asked["other"])
        if self._in_text:
            mention = _mentions_of(record, target.asked["other"])[0]
            places = list(range(mention["start"], mention["end"]))[: self._label_tokens]
            answer = record.ids[places].tolist()
        tokens = [
            Asked(target.qid, target.asked, i, token) for i, token in enumerate(answer[: self._label_tokens])
        ]
        return Question(target, tokens, places)


def _mentions_of(record: MentionRecord, qid: str) -> list[Mapping[str, Any]]:
    return [mention for mention in record.mentions if mention["qid"] == qid]


def _occurrences(record: MentionRecord, qid: str) -> NDArray[np.bool_]:
    """[tokens] mask of the entity's mentions and of unlinked repetitions of them, which would give it."""
    found = np.zeros(len(record.ids), bool)
    for mention in _mentions_of(record, qid):
        name = record.ids[mention["start"] : mention["end"]]
        windows = np.lib.stride_tricks.sliding_window_view(record.ids, len(name))
        for start in np.flatnonzero((windows == name).all(axis=1)):
            found[start : start + len(name)] = True
    return found
