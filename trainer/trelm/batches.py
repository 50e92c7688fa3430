"""Examples packed into rows: the arrays of one forward pass."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.objectives import Batch
from trainer.packing import pack
from trainer.trelm.examples import Example, Question, Spot
from trainer.trelm.injection import Knowledge, signs
from trainer.trelm.memory import MemoryBank, printed_terms, window
from trainer.trelm.negatives import NegativeSampler

Arrays = dict[str, NDArray[Any]]


class _Remembered(NamedTuple):
    """What the memory has for an example's spots that are read [spots, hidden], and whether it has any."""

    rows: NDArray[np.float32]
    readable: NDArray[np.bool_]


class Packer:
    """Packs examples into forward passes.

    Args:
        knowledge: where the facts' vectors come from.
        negatives: what the true tokens are told from.
        memory: read here, before the forward pass; None without one.
        window: k, of eq. 4.
        literal: divide the states of eq. 4 as it prints.
        length: tokens of a row.
        rows: of a forward pass.
        logq: correct the scores by how often their tokens are drawn.
        pad: id of the padding token.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        negatives: NegativeSampler,
        memory: MemoryBank | None,
        *,
        window: int,
        literal: bool,
        length: int,
        rows: int,
        pad: int,
        logq: bool,
    ) -> None:
        self._knowledge, self._negatives, self._memory, self._window = knowledge, negatives, memory, window
        self._length, self._rows, self._pad, self._logq = length, rows, pad, logq
        self._literal = literal

    def batches(
        self, examples: Sequence[Example], *, step: int, memory_weight: float, injected_share: float = 1.0
    ) -> list[Batch]:
        """The batches of a step.

        Args:
            examples: of the step.
            step: keys the negatives.
            memory_weight: lambda; 0: nothing is read.
            injected_share: of an injected embedding; the word's own has the rest.
        """
        sizes = np.array([len(example.ids) for example in examples], np.int64)
        packed = pack(
            np.concatenate([example.ids for example in examples]), sizes, length=self._length, pad=self._pad
        )
        firsts = packed.flat[np.cumsum(sizes) - sizes]
        memories = self._read(examples, memory_weight)
        batches = []
        for first in range(0, len(packed.ids), self._rows):
            rows = slice(first, first + self._rows)
            offsets = firsts - first * self._length
            here = np.flatnonzero((offsets >= 0) & (offsets < self._rows * self._length)).tolist()
            members = [(examples[i], int(offsets[i])) for i in here]
            inputs: Arrays = {
                "ids": packed.ids[rows],
                "segments": packed.segments[rows],
                "positions": packed.positions[rows],
                **_predicted(members),
                **self._injected(members, injected_share),
                **self._asked(members, step),
                **self._memory_arrays(members, [memories[i] for i in here], memory_weight),
            }
            batches.append(
                Batch(
                    inputs=inputs,
                    counts=np.array([len(inputs["labels"]), len(inputs["asked_labels"])]),
                    records=[example.name for example, _ in members],
                    tokens=int(sizes[here].sum()),
                )
            )
        return batches

    def _injected(self, members: Sequence[tuple[Example, int]], share: float) -> Arrays:
        """The facts injected, and where: at every token of the mention that is not closed."""
        found = [
            (question.target, question.target.injected, example, offset)
            for example, offset in members
            for question in example.questions
        ]
        facts = [fact for _, fact, _, _ in found if fact is not None]
        spans = [
            (offset, _open(example, target.start, target.end))
            for target, fact, example, offset in found
            if fact is not None
        ]
        at, row = _once(*_spread(spans))
        return {
            **({"injected_share": np.array([share], np.float32)} if share < 1 else {}),
            "injected_at": at,
            "injected_row": row,
            "injected_sign": signs(facts),
            **self._knowledge.others("injected_other", facts),
            **self._knowledge.relations("injected_relation", facts),
        }

    def _asked(self, members: Sequence[tuple[Example, int]], step: int) -> Arrays:
        """The questions, the tokens they ask for and their negatives."""
        questions = [(question, offset) for example, offset in members for question in example.questions]
        facts = [question.target.asked for question, _ in questions]
        tokens = [token for question, _ in questions for token in question.tokens]
        pool, allowed = self._negatives.draw(tokens, step=step)
        correction = {}
        if self._logq:
            log_expected, of_labels = self._negatives.log_expected(tokens, pool, step=step)
            correction = {"log_expected": log_expected, "log_expected_labels": of_labels}
        spans = [
            (offset, np.arange(question.target.start, question.target.end)) for question, offset in questions
        ]
        return {
            "query_at": _spread(spans)[0],
            "query_starts": _starts(spans),
            # The head is asked for where the other end is the fact's head.
            "asked_sign": -signs(facts),
            **self._knowledge.relations("asked_relation", facts),
            "asked_query": np.repeat(np.arange(len(questions)), [len(q.tokens) for q, _ in questions]),
            "asked_place": np.array([token.place for token in tokens], np.int64),
            "asked_at": _answer_places(questions),
            "asked_labels": np.array([token.label for token in tokens], np.int64),
            "pool": pool,
            "allowed": allowed,
            **correction,
        }

    def _read(self, examples: Sequence[Example], weight: float) -> list[_Remembered]:
        """What the memory has for the spots of each example that are read: one question for all of them.

        Ranks may have different numbers of batches, but meet once a step.
        """
        if self._memory is None or weight <= 0:
            return [_Remembered(np.empty((0, 0), np.float32), np.empty(0, bool))] * len(examples)
        slots = [[spot.slot for spot in example.spots if spot.read] for example in examples]
        rows, readable = self._memory.read(np.array([slot for own in slots for slot in own], np.int64))
        ends = np.cumsum([len(own) for own in slots])[:-1]
        return [
            _Remembered(*parts) for parts in zip(np.split(rows, ends), np.split(readable, ends), strict=True)
        ]

    def _memory_arrays(
        self, members: Sequence[tuple[Example, int]], memories: Sequence[_Remembered], weight: float
    ) -> Arrays:
        """What is read, and of which states what is written is made; nothing without a memory."""
        if self._memory is None:
            return {}
        spots = [(spot, example, offset) for example, offset in members for spot in example.spots]
        around = [(offset, np.arange(*self._around(spot, example))) for spot, example, offset in spots]
        arrays: Arrays = {
            "write_at": _spread(around)[0],
            "write_starts": _starts(around),
            "write_first": np.array([offset for _, _, offset in spots], np.int64),
            "write_slots": np.array([spot.slot for spot, _, _ in spots], np.int64),
            "write_new_text": _first_of_each([(offset, spot.slot) for spot, _, offset in spots]),
        }
        if self._literal:
            divisors = [printed_terms(spot.start, spot.end, k=self._window) for spot, _, _ in spots]
            arrays["write_divisor"] = np.array(divisors, np.float32)
        if weight > 0:
            reading = [(spot, example, offset) for spot, example, offset in spots if spot.read]
            readable = np.concatenate([memory.readable for memory in memories])
            spans = [
                (offset, _open(example, spot.start, spot.end))
                for (spot, example, offset), chosen in zip(reading, readable, strict=True)
                if chosen
            ]
            at, row = _once(*_spread(spans))
            read = np.concatenate([memory.rows for memory in memories])[readable]
            arrays |= {"read_at": at, "read_row": row, "read": read}
            arrays["read_weight"] = np.full(len(spans), weight, np.float32)
        return arrays

    def _around(self, spot: Spot, example: Example) -> tuple[int, int]:
        return window(spot.start, spot.end, k=self._window, tokens=len(example.ids))


def _first_of_each(pairs: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """[pairs] whether no equal pair comes before."""
    first = np.zeros(len(pairs), np.bool_)
    first[np.unique(np.array(pairs, np.int64).reshape(-1, 2), axis=0, return_index=True)[1]] = True
    return first


def _predicted(members: Sequence[tuple[Example, int]]) -> Arrays:
    spans = [(offset, np.flatnonzero(example.predicted)) for example, offset in members]
    labels = [example.labels[example.predicted] for example, _ in members]
    return {"where": _spread(spans)[0], "labels": np.concatenate(labels).astype(np.int64)}


def _open(example: Example, start: int, end: int) -> NDArray[np.int64]:
    """The tokens of a span where knowledge and memory may enter."""
    return start + np.flatnonzero(~example.closed[start:end])


def _answer_places(questions: Sequence[tuple[Question, int]]) -> NDArray[np.int64]:
    return np.array([offset + place for question, offset in questions for place in question.places], np.int64)


def _spread(spans: Sequence[tuple[int, NDArray[np.int64]]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The spans' places one after the other, and which span each belongs to."""
    places = [offset + within for offset, within in spans]
    rows = np.repeat(np.arange(len(spans)), [len(within) for _, within in spans])
    return np.concatenate([np.empty(0, np.int64), *places]), rows


def _once(at: NDArray[np.int64], row: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A token that two adjoining mentions share belongs to the first."""
    at, first = np.unique(at, return_index=True)
    return at, row[first]


def _starts(spans: Sequence[tuple[int, NDArray[np.int64]]]) -> NDArray[np.int64]:
    """Where each span starts among all the places."""
    sizes = np.array([len(within) for _, within in spans], np.int64)
    return np.cumsum(sizes) - sizes
