"""A brute-force negative sampler: the definition in loops over Python sets, a question at a time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from trainer.trelm.negatives import Asked


class BruteForce:
    """Of triples (h, r, t) in the table's order, and tokens of each entity's label."""

    def __init__(
        self,
        triples: list[tuple[str, str, str]],
        tokens: Callable[[str], list[int]],
        unigrams: NDArray[np.int64],
        *,
        count: int,
        seed: int,
    ) -> None:
        self.tokens, self.count, self.seed = tokens, count, seed
        ends = [h for h, _, _ in triples] + [t for _, _, t in triples]
        number = {qid: i for i, qid in enumerate(dict.fromkeys(ends))}
        self.ranges: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for direction in ("tail", "head"):
            facts = [(r, h, t) if direction == "tail" else (r, t, h) for h, r, t in triples]
            for relation, given, other in sorted(facts, key=lambda f: (f[0], number[f[1]], number[f[2]])):
                self.ranges.setdefault((relation, direction), []).append((given, other))
        self.cumulative = np.cumsum(unigrams.astype(np.float64) ** 0.75)

    def bits(self, *key: str | int) -> NDArray[np.uint64]:
        start = np.uint64(hash64(self.seed, "negatives", *key))
        return mix64_array(np.arange(4 * self.count, dtype=np.uint64) + start)

    def uniform(self, bits: NDArray[np.uint64]) -> NDArray[np.float64]:
        return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def own(self, token: Asked, step: int) -> set[int]:
        """The negatives of one token."""
        relation, direction, other = (token.fact[name] for name in ("r", "direction", "other"))
        within = self.ranges.get((relation, direction), [])
        true = {end for given, end in within if given == token.qid and end != other}
        forbidden = {t for end in true for t in self.tokens(end)} | {token.label}
        bits = self.bits("hard", relation, direction, token.place, step)
        if len(within) <= len(bits):
            places = np.argsort(bits[: len(within)], kind="stable").tolist()
        else:
            places = (self.uniform(bits) * len(within)).astype(np.int64).tolist()
        labels = [self.tokens(within[place][1]) for place in places]
        hard = [label[token.place] for label in labels if len(label) > token.place]
        chosen = [t for t in dict.fromkeys(hard) if t not in forbidden][: self.count // 2]
        drawn = self.uniform(self.bits("frequent", step)) * self.cumulative[-1]
        for t in dict.fromkeys(np.searchsorted(self.cumulative, drawn, side="right").tolist()):
            if len(chosen) < self.count and t not in forbidden and t not in chosen:
                chosen.append(t)
        return set(chosen)
