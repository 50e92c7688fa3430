"""Packing of examples into rows: makes the arrays of one forward pass."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.columns import ranges
from trainer.objectives import Batch
from trainer.packing import pack
from trainer.trelm.examples import Example, Question, Spot
from trainer.trelm.injection import Knowledge, signs
from trainer.trelm.inputs import Read, TrelmInputs, Write
from trainer.trelm.memory import MemoryBank, printed_terms, window
from trainer.trelm.negatives import Asked, NegativeSampler

Arrays = dict[str, NDArray[Any]]


class Pending(NamedTuple):
    """A batch before the memory is read.

    Attributes:
        inputs: everything but `read`.
        counts, records, tokens, questions: of the batch.
        slots: [spots] of the memory, of the spots that are read.
        at: [tokens] places in the flattened rows where they are read.
        spot: [tokens] which spot each of them belongs to.
    """

    inputs: TrelmInputs[NDArray[Any]]
    counts: NDArray[np.int64]
    records: list[str]
    tokens: int
    questions: Sequence[Asked]
    slots: NDArray[np.int64]
    at: NDArray[np.int64]
    spot: NDArray[np.int64]

    def batch(self, read: Read[NDArray[Any]] | None) -> Batch:
        """The batch with what was read from the memory."""
        inputs = dataclasses.replace(self.inputs, read=read)
        return Batch(inputs.as_dict(), self.counts, self.records, self.tokens, self.questions)


class Packer:
    """Packs examples into forward passes.

    Args:
        knowledge: where the facts' vectors come from.
        negatives: sampler of the wrong tokens (eq. 2).
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
        """The batches of a step: `pending`, then `read`."""
        return self.read(self.pending(examples, step=step, share=injected_share), weight=memory_weight)

    def pending(
        self, examples: Sequence[Example], *, step: int, share: float = 1.0, writes: bool = True
    ) -> list[Pending]:
        """The batches of a step before the memory is read, which the step before may still write.

        Args:
            examples: of the step.
            step: keys the negatives.
            share: of an injected embedding; the word's own has the rest.
            writes: whether the forward passes write to the memory.
        """
        sizes = np.array([len(example.ids) for example in examples], np.int64)
        packed = pack(
            np.concatenate([example.ids for example in examples]), sizes, length=self._length, pad=self._pad
        )
        firsts = packed.flat[np.cumsum(sizes) - sizes]
        found = []
        for first in range(0, len(packed.ids), self._rows):
            rows = slice(first, first + self._rows)
            offsets = firsts - first * self._length
            here = np.flatnonzero((offsets >= 0) & (offsets < self._rows * self._length)).tolist()
            members = [(examples[i], int(offsets[i])) for i in here]
            closed = np.ones(packed.ids[rows].size, bool)
            for example, offset in members:
                closed[offset : offset + len(example.ids)] = example.closed
            asked = self._asked(members, step)
            written = self._written(members) if writes else None
            arrays, write = _numbered({**_predicted(members), **asked}, written, tokens=packed.ids[rows].size)
            inputs: TrelmInputs[NDArray[Any]] = TrelmInputs(
                ids=packed.ids[rows],
                segments=packed.segments[rows],
                positions=packed.positions[rows],
                **arrays,
                **self._injected(members, closed, share),
                write=write,
                read=None,
            )
            read = [(spot, offset) for example, offset in members for spot in example.spots if spot.read]
            at, spot = _spread([(offset + spot.start, offset + spot.end) for spot, offset in read])
            open_ = ~closed[at]
            slots = np.array([spot.slot for spot, _ in read], np.int64)
            found.append(
                Pending(
                    inputs=inputs,
                    counts=np.array([len(inputs.labels), len(inputs.asked_labels)]),
                    records=[example.name for example, _ in members],
                    tokens=int(sizes[here].sum()),
                    questions=[token for example, _ in members for token in example.asked],
                    slots=slots,
                    at=at[open_],
                    spot=spot[open_],
                )
            )
        return found

    def read(self, pending: Sequence[Pending], *, weight: float) -> list[Batch]:
        """The batches with what the memory holds; ranks may have different numbers, but meet once a step.

        Args:
            pending: of `pending`.
            weight: lambda; 0: nothing is read.
        """
        if self._memory is None or weight <= 0:
            return [part.batch(None) for part in pending]
        rows, readable = self._memory.read(np.concatenate([part.slots for part in pending]))
        ends = np.cumsum([len(part.slots) for part in pending])[:-1]
        batches = []
        for part, own, has in zip(pending, np.split(rows, ends), np.split(readable, ends), strict=True):
            kept = has[part.spot]
            at, row = _once(part.at[kept], (np.cumsum(has) - 1)[part.spot[kept]])
            weights = np.full(int(has.sum()), weight, np.float32)
            batches.append(part.batch(Read(at=at, row=row, rows=own[has], weight=weights)))
        return batches

    def _injected(
        self, members: Sequence[tuple[Example, int]], closed: NDArray[np.bool_], share: float
    ) -> Arrays:
        """The facts injected, and where: at every token of the mention that is not closed."""
        found = [
            (question.target.injected, offset + question.target.start, offset + question.target.end)
            for example, offset in members
            for question in example.questions
        ]
        facts = [fact for fact, _, _ in found if fact is not None]
        at, row = _spread([(start, end) for fact, start, end in found if fact is not None])
        open_ = ~closed[at]
        at, row = _once(at[open_], row[open_])
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
        tokens = [token for example, _ in members for token in example.asked]
        pool, allowed = self._negatives.draw(tokens, step=step)
        correction = {}
        if self._logq:
            log_expected, of_labels = self._negatives.log_expected(tokens, pool, step=step)
            correction = {"log_expected": log_expected, "log_expected_labels": of_labels}
        spans = [
            (offset + question.target.start, offset + question.target.end) for question, offset in questions
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

    def _written(self, members: Sequence[tuple[Example, int]]) -> Write[NDArray[Any]] | None:
        """The indices of the states that each memory write averages; None without a memory."""
        if self._memory is None:
            return None
        spots = [(spot, example, offset) for example, offset in members for spot in example.spots]
        around = [self._around(spot, example, offset) for spot, example, offset in spots]
        divisors = [printed_terms(spot.start, spot.end, k=self._window) for spot, _, _ in spots]
        return Write(
            at=_spread(around)[0],
            starts=_starts(around),
            first=np.array([offset for _, _, offset in spots], np.int64),
            slots=np.array([spot.slot for spot, _, _ in spots], np.int64),
            new_text=_first_of_each([(offset, spot.slot) for spot, _, offset in spots]),
            divisor=np.array(divisors, np.float32) if self._literal else None,
        )

    def _around(self, spot: Spot, example: Example, offset: int) -> tuple[int, int]:
        first, last = window(spot.start, spot.end, k=self._window, tokens=len(example.ids))
        return offset + first, offset + last


def _first_of_each(pairs: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """[pairs] whether no equal pair comes before."""
    first = dict(zip(reversed(pairs), reversed(range(len(pairs))), strict=True))
    return np.array([first[pair] == i for i, pair in enumerate(pairs)], np.bool_)


def _predicted(members: Sequence[tuple[Example, int]]) -> Arrays:
    where = [offset + np.flatnonzero(example.predicted) for example, offset in members]
    labels = [example.labels[example.predicted] for example, _ in members]
    return {"where": np.concatenate(where), "labels": np.concatenate(labels).astype(np.int64)}


def _numbered(
    places: Arrays, write: Write[NDArray[Any]] | None, *, tokens: int
) -> tuple[Arrays, Write[NDArray[Any]] | None]:
    """The arrays with `states_at`, and with numbers of states instead of places.

    Args:
        places: the arrays of what is predicted and asked for.
        write: with places.
        tokens: of the rows.
    """
    names = ("where", "query_at", "asked_at")
    written = () if write is None else (write.at, write.first)
    needed = np.zeros(tokens, bool)
    needed[np.concatenate([*(places[name] for name in names), *written])] = True
    number = np.cumsum(needed) - 1
    arrays = {**places, **{name: number[places[name]] for name in names}}
    if write is not None:
        write = dataclasses.replace(write, at=number[write.at], first=number[write.first])
    return {"states_at": np.flatnonzero(needed), **arrays}, write


def _answer_places(questions: Sequence[tuple[Question, int]]) -> NDArray[np.int64]:
    return np.array([offset + place for question, offset in questions for place in question.places], np.int64)


def _spread(spans: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places in the spans [start, end), one span after the other, and which span each belongs to."""
    bounds = np.array(spans, np.int64).reshape(-1, 2)
    sizes = bounds[:, 1] - bounds[:, 0]
    return ranges(bounds[:, 0], sizes), np.repeat(np.arange(len(spans)), sizes)


def _once(at: NDArray[np.int64], row: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A token that two adjoining mentions share belongs to the first."""
    at, first = np.unique(at, return_index=True)
    return at, row[first]


def _starts(spans: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Where each span starts among all the places."""
    sizes = np.array([end - start for start, end in spans], np.int64)
    return np.cumsum(sizes) - sizes
