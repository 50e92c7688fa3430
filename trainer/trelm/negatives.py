"""The wrong tokens that a true one is told from: half of them hard, none of them true (eq. 2).

Every draw is keyed by the step and by what is asked, never by the batch: the same question has the same
negatives on any rank and beside any neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from trainer.trelm.facts import Facts
from trainer.trelm.labels import LabelTokens
from trainer.trelm.targets import Fact

_POWER = 0.75
# Drawn for each one that is needed: some are drawn twice, and some are true.
_SPARE = 4
_REMEMBERED = 1 << 16


@dataclass(frozen=True)
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
            that stand at the same place in the labels of entities of the same range.
        labels: entity -> tokens of its label.
        unigrams: [vocabulary] how often each token stands in the corpus; those never seen, like special
            tokens, are never drawn.
        count: K, negatives a token; fewer where the vocabulary has fewer.
        seed: of the draws.
    """

    def __init__(
        self, facts: Facts, labels: LabelTokens, unigrams: NDArray[np.int64], *, count: int, seed: int
    ) -> None:
        self._facts, self._labels, self._count, self._seed = facts, labels, count, seed
        self._cumulative = np.cumsum(unigrams.astype(np.float64) ** _POWER)
        self._other_ends = lru_cache(_REMEMBERED)(self._tokens_of_other_ends)
        self._hard = lru_cache(_REMEMBERED >> 4)(self._draw_hard)

    def draw(self, asked: Sequence[Asked], *, step: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The batch's pool [P], and which of it are each token's own negatives [tokens, P]."""
        frequent = self._frequent(step)
        own = [self._choose(token, self._hard_ones(token, step), frequent) for token in asked]
        pool, places = np.unique(np.concatenate([np.empty(0, np.int64), *own]), return_inverse=True)
        allowed = np.zeros((len(asked), len(pool)), bool)
        allowed[np.repeat(np.arange(len(asked)), [len(tokens) for tokens in own]), places] = True
        return pool, allowed

    def log_expected(
        self, asked: Sequence[Asked], pool: NDArray[np.int64], *, step: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logarithms of how often each token of the pool, and each true one, is drawn for a question.

        These are expected counts, as if no draw skipped what is true.

        Returns:
            [tokens, P] and [tokens].
        """
        half = self._count / 2
        share = np.diff(self._cumulative, prepend=0.0) / self._cumulative[-1]
        expected = np.empty((len(asked), len(pool) + 1))
        for row, token in zip(expected, asked, strict=True):
            hard, drawn = self._hard_ones(token, step), np.append(pool, token.label)
            row[:] = half * share[drawn] + np.isin(drawn, hard) * min(1.0, half / max(1, len(hard)))
        # A true token that no text has would never be drawn.
        logarithms = np.log(np.maximum(expected, 1e-9)).astype(np.float32)
        return logarithms[:, :-1], logarithms[:, -1]

    def other_truths(self, token: Asked) -> NDArray[np.int64]:
        """The tokens of the labels of the question's other true ends, ascending: neither right nor wrong."""
        fact = token.fact
        return self._other_ends(token.qid, fact["r"], fact["direction"], fact["other"])

    def _choose(
        self, token: Asked, hard: NDArray[np.int64], frequent: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The first half of K that are not true from the hard ones, the rest from the frequent ones."""
        forbidden = np.append(self.other_truths(token), token.label)
        first = hard[~np.isin(hard, forbidden)][: self._count // 2]
        rest = frequent[~np.isin(frequent, np.append(forbidden, first))][: self._count - len(first)]
        return np.concatenate([first, rest])

    def _tokens_of_other_ends(self, qid: str, relation: str, direction: str, other: str) -> NDArray[np.int64]:
        """The tokens of the labels of all true ends but `other`."""
        ends = [end for end in self._facts.true_ends(qid, relation, direction) if end != other]
        return np.unique([t for label in self._labels.of_all(ends) for t in label]).astype(np.int64)

    def _hard_ones(self, token: Asked, step: int) -> NDArray[np.int64]:
        return self._hard(token.fact["r"], token.fact["direction"], token.place, step)

    def _draw_hard(self, relation: str, direction: str, place: int, step: int) -> NDArray[np.int64]:
        """Distinct `place`-th tokens of entities at the relation's other end, in drawn order."""
        entities = self._facts.range_of(relation, direction)
        bits = self._bits(_SPARE * self._count, "hard", relation, direction, place, step)
        if len(entities) <= len(bits):
            places = np.argsort(bits[: len(entities)], kind="stable")
        else:
            places = (_uniform(bits) * len(entities)).astype(np.int64)
        labels = self._labels.of_all(list(dict.fromkeys(entities.take(places))))
        return _distinct([label[place] for label in labels if len(label) > place])

    def _frequent(self, step: int) -> NDArray[np.int64]:
        """Distinct tokens drawn by their frequency^.75 (Mikolov et al. 2013), in drawn order."""
        uniform = _uniform(self._bits(_SPARE * self._count, "frequent", step))
        drawn = np.searchsorted(self._cumulative, uniform * self._cumulative[-1], side="right")
        return _distinct(drawn.tolist())

    def _bits(self, count: int, *key: int | str) -> NDArray[np.uint64]:
        start = np.uint64(hash64(self._seed, "negatives", *key))
        return mix64_array(np.arange(count, dtype=np.uint64) + start)


def _distinct(tokens: Sequence[int]) -> NDArray[np.int64]:
    return np.array(list(dict.fromkeys(tokens)), np.int64)


def _uniform(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
