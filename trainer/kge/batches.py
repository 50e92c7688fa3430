"""Which facts and which negatives a step reads: functions of the seed and the step alone."""

import numpy as np
import torch
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from trainer.kge.transe import Batch


class Batches:
    """Facts in a new order every epoch, and negatives drawn anew every step, uniformly over the entities.

    An epoch's order takes 8 bytes a fact, and 16 more while it is drawn.

    Args:
        facts: [T, 3] head, relation and tail; may be mapped from a file.
        entities: how many there are.
        size: facts of a step; the last one of an epoch has the rest.
        negatives: heads, and as many tails, of a step.
        seed: of the draws.
    """

    def __init__(
        self, facts: NDArray[np.int32], *, entities: int, size: int, negatives: int, seed: int
    ) -> None:
        self._facts, self._entities, self._size, self._negatives = facts, entities, size, negatives
        self._seed = seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    @property
    def an_epoch(self) -> int:
        """Steps of an epoch."""
        return -(-len(self._facts) // self._size)

    def at(self, step: int, device: torch.device) -> Batch:
        """What the step after `step` steps reads."""
        epoch, place = divmod(step, self.an_epoch)
        if epoch != self._epoch:
            salt = np.uint64(hash64(self._seed, "transe-order", epoch))
            keys = mix64_array(np.arange(len(self._facts), dtype=np.uint64) ^ salt)
            self._epoch, self._order = epoch, np.argsort(keys, kind="stable")
        facts = self._facts[self._order[place * self._size : (place + 1) * self._size]].astype(np.int64)
        others = self._draw(step)
        columns = (*facts.T, others[: self._negatives], others[self._negatives :])
        return Batch(*(torch.from_numpy(np.ascontiguousarray(column)).to(device) for column in columns))

    def _draw(self, step: int) -> NDArray[np.int64]:
        salt = np.uint64(hash64(self._seed, "transe-negatives", step))
        bits = mix64_array(np.arange(2 * self._negatives, dtype=np.uint64) ^ salt)
        # The upper half of the bits, scaled: entities are fewer than 2^32.
        drawn: NDArray[np.uint64] = (bits >> np.uint64(32)) * np.uint64(self._entities) >> np.uint64(32)
        return drawn.astype(np.int64)
