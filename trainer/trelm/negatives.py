"""Negative sampling for the CKA loss (eq. 2): half hard negatives, half by token frequency, none true.

Every draw is keyed by the step and by what is asked, never by the batch: the same question has the same
negatives on any rank and beside any neighbours. A batch is drawn by array operations over all its tokens.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int64s
from kgcorpus.contracts.columns import ranges
from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.rows import Direction, Fact
from trainer.trelm.graph import Facts, LabelTokens

# From so many ends on the counts of their tokens are kept: of a country's inhabitants, say.
_MANY = 2_000
_KEPT_BYTES = 64 << 20
Question = tuple[str, str, Direction, str]
POWER = 0.75
# Drawn for each one that is needed: some are drawn twice, and some are true.
SPARE = 4
# Bytes of the truths' table, of one byte a question and token of the vocabulary.
_TABLE = 32 << 20
Group = tuple[str, Direction, int]
KeyT = TypeVar("KeyT")


class Truths:
    """Looks up the label tokens of the other true answers to a question.

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

    def _places(self, questions: Sequence[Question], rows: Int64s, direction: Direction) -> Iterator[Int64s]:
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
        """The tokens of many ends without those that only one of them has."""
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


@dataclass(frozen=True, slots=True)
class Asked:
    """A token that is asked for: the `place`-th of the label of `fact`'s other end, given entity `qid`."""

    qid: str
    fact: Fact
    place: int
    label: int


class NegativeSampler:
    """Draws the negatives of a batch.

    Args:
        facts: whose true ends are no negatives, and whose relations' ranges give the hard ones: the tokens
            at the same place in the labels of entities of the same range.
        labels: entity -> tokens of its label.
        unigrams: [vocabulary] how often each token occurs in the corpus; those never seen, like special
            tokens, are never drawn.
        count: K, negatives a token; fewer where the vocabulary has fewer.
        seed: of the draws.
    """

    def __init__(
        self, facts: Facts, labels: LabelTokens, unigrams: NDArray[np.int64], *, count: int, seed: int
    ) -> None:
        self._facts, self._labels, self._count, self._seed = facts, labels, count, seed
        self._cumulative = np.cumsum(unigrams.astype(np.float64) ** POWER)
        # The entities' rows among the labels, by their number among the facts.
        self._row_of = labels.rows(facts.entities)
        last = int(labels.ids.max(initial=0))
        self._vocabulary = max(len(unigrams), last + 1)
        self._truths = Truths(facts, labels, self._row_of, vocabulary=self._vocabulary)

    def draw(self, asked: Sequence[Asked], *, step: int) -> tuple[Int64s, NDArray[np.bool_]]:
        """The batch's pool [P], and which of it are each token's own negatives [tokens, P]."""
        frequent = self._frequent(step)
        groups, group_of = _numbered([_group(token) for token in asked])
        hard = self._hard(groups, step)
        size = max(1, _TABLE // self._vocabulary)
        rows, tokens = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for first in range(0, len(asked), size):
            part = slice(first, first + size)
            of, found = self._choose(asked[part], group_of[part], hard, frequent)
            rows.append(of + first)
            tokens.append(found)
        return self._pooled(len(asked), np.concatenate(rows), np.concatenate(tokens))

    def _pooled(self, asked: int, rows: Int64s, tokens: Int64s) -> tuple[Int64s, NDArray[np.bool_]]:
        taken = np.zeros(self._vocabulary, bool)
        taken[tokens] = True
        pool = np.flatnonzero(taken)
        place = np.empty(self._vocabulary, np.int32)
        place[pool] = np.arange(len(pool))
        allowed = np.zeros((asked, len(pool)), bool)
        allowed[rows, place[tokens]] = True
        return pool, allowed

    def log_expected(
        self, asked: Sequence[Asked], pool: Int64s, *, step: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logarithms of how often each token of the pool, and each true one, is drawn for a question.

        These are expected counts, as if no draw skipped what is true.

        Returns:
            [tokens, P] and [tokens].
        """
        half = self._count / 2
        share = np.diff(self._cumulative, prepend=0.0) / self._cumulative[-1]
        groups, group_of = _numbered([_group(token) for token in asked])
        hard = self._hard(groups, step)
        # What the hard half adds to a token of a group: [groups, vocabulary], one byte each and its number.
        sizes = (hard >= 0).sum(axis=1)
        member = np.zeros((len(groups), self._vocabulary), bool)
        member[np.repeat(np.arange(len(groups)), sizes), hard[hard >= 0]] = True
        added = np.minimum(1.0, half / np.maximum(1, sizes))[:, None]
        by_group = half * share[pool] + member[:, pool] * added
        labels = np.array([token.label for token in asked], np.int64)
        of_labels = half * share[labels] + member[group_of, labels] * added[group_of, 0]
        # A true token that no text has would never be drawn.
        logarithms = [np.log(np.maximum(n, 1e-9)).astype(np.float32) for n in (by_group, of_labels)]
        return logarithms[0][group_of], logarithms[1]

    def other_truths(self, token: Asked) -> Int64s:
        """The tokens of the labels of the question's other true ends, ascending: neither right nor wrong."""
        return self._truths.of(_question(token))

    def _choose(
        self, asked: Sequence[Asked], group_of: Int64s, hard: Int64s, frequent: Int64s
    ) -> tuple[Int64s, Int64s]:
        """The first half of K that are not true from the hard ones, the rest from the frequent ones.

        Args:
            asked: tokens of a chunk.
            group_of: [tokens], rows of `hard`.
            hard: [groups, H] tokens in drawn order, -1 behind the last.
            frequent: [F] tokens in drawn order.

        Returns:
            [negatives] which token of the chunk each belongs to, and the negative.
        """
        questions, question_of = _numbered([_question(token) for token in asked])
        labels = np.array([token.label for token in asked], np.int64)[:, None]
        true = self._truths.table(questions)
        own = hard[group_of]
        free = (own >= 0) & (own != labels)
        free &= ~true[question_of[:, None], own]
        rank = np.cumsum(free, axis=1, dtype=np.int32)
        half = self._count // 2
        first = free & (rank <= half)
        missing = self._count - np.minimum(rank[:, -1:], half) if own.shape[1] else self._count
        # Index of each hard negative among the frequent ones; the last column takes those that are not there.
        at = np.full(self._vocabulary, len(frequent), np.int64)
        at[frequent] = np.arange(len(frequent))
        rows, columns = np.nonzero(first)
        again = np.zeros((len(asked), len(frequent) + 1), bool)
        again[rows, at[own[rows, columns]]] = True
        free = ~again[:, :-1] & (frequent != labels) & ~true[question_of[:, None], frequent]
        rest = free & (np.cumsum(free, axis=1, dtype=np.int32) <= missing)
        more, places = np.nonzero(rest)
        return np.concatenate([rows, more]), np.concatenate([own[rows, columns], frequent[places]])

    def _hard(self, groups: Sequence[Group], step: int) -> Int64s:
        """[groups, H] distinct `place`-th tokens of entities at the relation's other end, in drawn order.

        Behind the last one of a group follow -1.
        """
        width = SPARE * self._count
        entities = np.full((len(groups), width), -1, np.int64)
        bits = self._bits(width, [("hard", *group, step) for group in groups])
        uniform = _uniform(bits)
        for i, (relation, direction, _) in enumerate(groups):
            rows = self._facts.range_of(relation, direction).rows
            if len(rows) <= width:
                entities[i, : len(rows)] = rows[np.argsort(bits[i, : len(rows)], kind="stable")]
            else:
                entities[i] = rows[(uniform[i] * len(rows)).astype(np.int64)]
        labels = np.where(entities >= 0, self._row_of[entities], -1)
        places = np.array([place for _, _, place in groups], np.int64).reshape(-1, 1)
        inside = self._labels.lengths(labels) > places
        at = np.where(inside, self._labels.starts[labels] + places, 0)
        tokens = self._labels.ids[at] if len(self._labels.ids) else np.zeros_like(at)
        return _distinct_in_rows(np.where(inside, tokens, -1).astype(np.int64))

    def _frequent(self, step: int) -> Int64s:
        """Distinct tokens drawn by their frequency^.75 (Mikolov et al. 2013), in drawn order."""
        uniform = _uniform(self._bits(SPARE * self._count, [("frequent", step)]))
        drawn = np.searchsorted(self._cumulative, uniform * self._cumulative[-1], side="right")
        return _distinct_in_rows(drawn)[0]

    def _bits(self, count: int, keys: Sequence[tuple[int | str, ...]]) -> NDArray[np.uint64]:
        """[keys, count] random bits."""
        starts = np.array([hash64(self._seed, "negatives", *key) for key in keys], np.uint64)
        return mix64_array(np.arange(count, dtype=np.uint64) + starts[:, None])


def _group(token: Asked) -> Group:
    return token.fact["r"], token.fact["direction"], token.place


def _question(token: Asked) -> Question:
    fact = token.fact
    return token.qid, fact["r"], fact["direction"], fact["other"]


def _numbered(keys: Sequence[KeyT]) -> tuple[list[KeyT], Int64s]:
    """The distinct keys in order, and [keys] the number of each."""
    numbers: dict[KeyT, int] = {}
    of = [numbers.setdefault(key, len(numbers)) for key in keys]
    return list(numbers), np.array(of, np.int64)


def _distinct_in_rows(values: Int64s) -> Int64s:
    """Each row's distinct values >= 0 in the order of their first places, then -1 up to the longest row."""
    rows, width = values.shape
    owner, column = np.nonzero(values >= 0)
    tokens = values[owner, column]
    # Sorted by row, value and place: the first of each run is the value's first place.
    keys = (owner * (values.max(initial=0) + 1) + tokens) * width + column
    keys.sort()
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] // width != keys[:-1] // width
    keys = keys[first]
    mask = np.zeros((rows, width), bool)
    mask[keys // width // (values.max(initial=0) + 1), keys % width] = True
    sizes = mask.sum(axis=1)
    packed = np.full((rows, int(sizes.max(initial=0))), -1, np.int64)
    packed[np.arange(packed.shape[1]) < sizes[:, None]] = values[mask]
    return packed


def _uniform(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
