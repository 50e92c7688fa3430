"""The tokens of a question's other true ends, which are no negatives (eq. 2)."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.trelm.facts import Facts
from trainer.trelm.labels import LabelTokens, ranges

# From so many ends on the counts of their tokens are kept: of a country's inhabitants, say.
_MANY = 2_000
_KEPT_BYTES = 64 << 20
Int64s = NDArray[np.int64]
Question = tuple[str, str, str, str]


class Truths:
    """Looks up the tokens of the labels of all true ends of a question but the one that is asked for.

    Memory: a table of one byte a question and token of the vocabulary, which is used again, and at most
    64 MB of counts.

    Args:
        facts: of the graph.
        labels: entity -> tokens of its label.
        row_of: [entities of the facts] their rows among the labels, -1 without one.
        vocabulary: number of token ids.
    """

    def __init__(self, facts: Facts, labels: LabelTokens, row_of: Int64s, *, vocabulary: int) -> None:
        self._facts, self._labels, self._row_of, self._vocabulary = facts, labels, row_of, vocabulary
        self._table = np.zeros((0, vocabulary), bool)
        self._written: Int64s = np.empty(0, np.int64)
        self._kept: OrderedDict[tuple[str, str, str], tuple[Int64s, NDArray[np.int32]]] = OrderedDict()
        self._kept_bytes = 0

    def of(self, question: Question) -> Int64s:
        """The tokens, ascending; those of the asked end are among them only if another end has them too."""
        return np.flatnonzero(self.table([question])[0])

    def table(self, questions: Sequence[Question]) -> NDArray[np.bool_]:
        """[questions, vocabulary] whether another true end has the token; valid until the next call."""
        if len(self._table) < len(questions):
            self._table = np.zeros((len(questions), self._vocabulary), bool)
        else:
            self._table.reshape(-1)[self._written] = False
        parts = [np.empty(0, np.int64)]
        for direction in ("tail", "head"):
            own = [i for i, question in enumerate(questions) if question[2] == direction]
            if own:
                parts += self._places([questions[i] for i in own], np.array(own), direction)
        self._written = np.concatenate(parts)
        self._table.reshape(-1)[self._written] = True
        return self._table[: len(questions)]

    def _places(self, questions: Sequence[Question], rows: Int64s, direction: str) -> Iterator[Int64s]:
        """Places in the flattened table of these rows' tokens; all questions with few ends at once."""
        bounds = self._facts.bounds([(qid, relation) for qid, relation, *_ in questions], direction)
        numbers = np.array([self._facts.number(other) for *_, other in questions], np.int64)
        sizes, others = bounds[:, 1] - bounds[:, 0], self._facts.others(direction)
        few = np.flatnonzero(sizes <= _MANY)
        ends = others[ranges(bounds[few, 0], sizes[few])]
        owner = np.repeat(few, sizes[few])
        kept = ends != numbers[owner]
        tokens, of = self._tokens(ends[kept])
        yield rows[owner[kept][of]] * self._vocabulary + tokens
        for i in np.flatnonzero(sizes > _MANY).tolist():
            ends = others[bounds[i, 0] : bounds[i, 1]]
            found = self._without((questions[i][0], questions[i][1], direction), ends, int(numbers[i]))
            yield rows[i] * self._vocabulary + found

    def _without(self, key: tuple[str, str, str], ends: Int64s, number: int) -> Int64s:
        """The tokens of many ends but those that one of them alone has."""
        tokens, counts = self._counts(key, ends)
        own, times = np.unique(self._tokens(ends[ends == number])[0], return_counts=True)
        left = counts.copy()
        left[np.searchsorted(tokens, own)] -= times.astype(np.int32)
        return tokens[left > 0]

    def _tokens(self, ends: Int64s) -> tuple[Int64s, Int64s]:
        """The tokens of the ends' labels, one after the other, and which end each belongs to."""
        rows = self._row_of[ends]
        sizes = self._labels.lengths(rows)
        at = ranges(self._labels.starts[rows], sizes)
        return self._labels.ids[at].astype(np.int64), np.repeat(np.arange(len(ends)), sizes)

    def _counts(self, key: tuple[str, str, str], ends: Int64s) -> tuple[Int64s, NDArray[np.int32]]:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        tokens, counts = np.unique(self._tokens(ends)[0], return_counts=True)
        found = self._kept[key] = tokens, counts.astype(np.int32)
        self._kept_bytes += found[0].nbytes + found[1].nbytes
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= oldest[0].nbytes + oldest[1].nbytes
        return found
