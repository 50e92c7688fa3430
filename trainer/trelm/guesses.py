"""CKA over the whole vocabulary: answer counts of a relation, the sampler's log q, and the best answer."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.rows import Direction
from trainer.trelm.graph import Facts, LabelTokens
from trainer.trelm.negatives import POWER, SPARE, Asked, NegativeSampler

_ITERATIONS = 200


class Guesses:
    """Of each question, how often each token answers others like it, and how often training draws it.

    The asked fact itself never counts: its own answer would tell.

    Args:
        facts: of the graph.
        labels: entity -> tokens of its label.
        negatives: of the questions; gives the tokens of their other true ends.
        unigrams: [vocabulary] occurrences of each token in the training passages.
        count: K, negatives a token.
    """

    def __init__(
        self,
        facts: Facts,
        labels: LabelTokens,
        negatives: NegativeSampler,
        unigrams: NDArray[np.int64],
        *,
        count: int,
    ) -> None:
        self._facts, self._labels, self._negatives, self._count = facts, labels, negatives, count
        self._weights = unigrams.astype(np.float64) ** POWER
        self._of_place = lru_cache(256)(self._count_place)
        self._times = lru_cache(4096)(self._solve)

    def counts(self, token: Asked) -> NDArray[np.int64]:
        """[vocabulary] facts of the relation whose end has the token at this place, without the asked one."""
        counts, _ = self._of_place(token.fact["r"], token.fact["direction"], token.place)
        counts, own = counts.copy(), self._labels.of(token.fact["other"])
        # In a passage the other end may be called by another name than its label.
        if len(own) > token.place:
            counts[own[token.place]] -= 1
        return counts

    def log_q(self, token: Asked) -> NDArray[np.float64]:
        """log q [vocabulary]: the chance that a token is among the question's K negatives.

        The loss of eq. 2 is least where exp(score) is proportional to p(answer) / q(answer): a token competes
        in the share q of the questions that it does not answer, and always in those that it does. So score +
        log q ranks by p. A token that is never drawn has q = 0: its score was never trained.

        The sampler takes distinct tokens in drawn order, none of another true end: up to K/2 from facts of
        the relation, each as likely as the other, then the rest by frequency^.75 from those not taken yet. Of
        weight w, a token is among the first m distinct ones with the chance 1 - exp(-w x), where x makes the
        chances' sum m (exponential clocks, exact as the vocabulary grows). At most 4 K tokens are drawn,
        which bounds x.
        """
        others = np.setdiff1d(self._negatives.other_truths(token), [token.label])
        x, y = self._times(token.fact["r"], token.fact["direction"], token.place, others.tobytes())
        weights = self._weights.copy()
        weights[others] = 0
        own = self.counts(token).astype(np.float64)
        own[others] = 0
        with np.errstate(divide="ignore"):
            chances = 1 - (1 - _chances(own, x)) * (1 - _chances(weights, y))
            logarithms: NDArray[np.float64] = np.log(chances)
        return logarithms

    def _solve(self, relation: str, direction: Direction, place: int, others: bytes) -> tuple[float, float]:
        """x of the hard and of the frequent tokens; `others`: int64 ids that are never drawn."""
        excluded = np.frombuffer(others, np.int64)
        counts, facts = self._of_place(relation, direction, place)
        allowed = counts.astype(np.float64)
        allowed[excluded] = 0
        drawn = SPARE * self._count
        # Few facts are all looked at, in drawn order.
        x = _arrivals(allowed, self._count // 2, most=drawn / facts if facts > drawn else np.inf)
        competing = _chances(allowed, x)
        weights = self._weights.copy()
        weights[excluded] = 0
        rest = self._count - competing.sum()
        y = _arrivals(weights, rest, most=drawn / self._weights.sum(), shares=1 - competing)
        return x, y

    def _count_place(self, relation: str, direction: Direction, place: int) -> tuple[NDArray[np.int64], int]:
        """[vocabulary] facts by the token at the place, and how many facts there are."""
        ends = self._facts.range_of(relation, direction)
        counts = np.zeros(len(self._weights), np.int64)
        found = ends.counts()
        for label, times in zip(self._labels.of_all(list(found)), found.values(), strict=True):
            if len(label) > place:
                counts[label[place]] += times
        return counts, len(ends)


def is_best(scores: NDArray[Any], token: Asked, negatives: NegativeSampler, guesses: Guesses | None) -> bool:
    """Whether the true token has the best score of the vocabulary; of equals the first by id is chosen.

    Args:
        scores: [vocabulary].
        token: asked for; the tokens of the question's other true ends do not compete.
        negatives: of the question.
        guesses: their log q is added to the scores; None: nothing is, as training corrected them.
    """
    others = np.setdiff1d(negatives.other_truths(token), [token.label])
    possible = np.setdiff1d(np.arange(len(scores)), others, assume_unique=True)
    whole = scores if guesses is None else scores + guesses.log_q(token)
    return bool(possible[whole[possible].argmax()] == token.label)


def _chances(weights: NDArray[np.float64], x: float) -> NDArray[np.float64]:
    """1 - exp(-weight x) [n]; 0 for a weight of 0, whatever x is."""
    chances = np.zeros(len(weights))
    positive = weights > 0
    chances[positive] = -np.expm1(-weights[positive] * x)
    return chances


def _arrivals(
    weights: NDArray[np.float64], wanted: float, *, most: float, shares: NDArray[np.float64] | None = None
) -> float:
    """The x up to `most` at which the sum of `_chances`, each times its share, is `wanted`; else `most`.

    By Newton's method from 0: the sum is concave, so every step stays below the solution.
    """
    positive = weights > 0
    weights = weights[positive]
    shares = np.ones(len(weights)) if shares is None else shares[positive]
    if (shares * -np.expm1(-weights * most)).sum() <= wanted:
        return most
    x = 0.0
    for _ in range(_ITERATIONS):
        left = shares * np.exp(-weights * x)
        step = (wanted - (shares - left).sum()) / (weights * left).sum()
        x += step
        if step <= 1e-9 * x:
            break
    return x
