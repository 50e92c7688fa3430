"""The memory bank (eq. 4-8): what the contexts of rare entities and words looked like, read before the
forward pass and written after the step."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.config import MemoryConfig
from trainer.sharded import Shard

if TYPE_CHECKING:
    from accelerate import Accelerator

# A one-epoch run lowers lambda this many times (eq. 8), and reads nothing in its last tenth.
_PERIODS = 4
_SILENT_FROM = 0.9


class MemoryBank:
    """Buffers without gradient, on the host: a step moves only the rows of its batch.

    Memory: 8 (hidden + 1) bytes a slot; 3 million slots of 768 numbers take 18.5 GB over all ranks, each of
    which holds its share.

    Args:
        slots: M.
        hidden: size of the states.
        config: gamma, how the global part is averaged, whether reads are rescaled.
        ranks: the processes that share it; None: this one alone.

    Attributes:
        local: [M / ranks, hidden], a moving average of the states around the slot's mentions.
        total: [M / ranks, hidden], the sum of the [CLS] states of the texts that mention it, or with
            `global_part: ema` their moving average.
        count: [M / ranks], texts summed.
    """

    def __init__(
        self, slots: int, hidden: int, config: MemoryConfig, ranks: "Accelerator | None" = None
    ) -> None:
        self._config, self._shard = config, Shard(slots, ranks)
        self.local = torch.zeros(self._shard.rows, hidden)
        self.total = torch.zeros(self._shard.rows, hidden)
        self.count = torch.zeros(self._shard.rows, dtype=torch.int64)

    def read(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(local + global) / 2 of these slots, [n, hidden], and which were ever written.

        Both parts are brought to length 1, and the model brings their mean to that of its word embeddings:
        final states are several times longer. With `literal` they stay as they are, and of a slot without a
        global part the local one alone is read. All ranks call it together.
        """
        found = self._shard.read(torch.from_numpy(slots), self._read)
        return found[:, :-1].numpy(), (found[:, -1] > 0).numpy()

    def _read(self, at: Tensor) -> Tensor:
        """[n, hidden + 1]: the mean of both parts, and whether the slot was written."""
        local, total, count = self.local[at], self.total[at], self.count[at]
        written = count[:, None] > 0
        if self._config.global_part == "mean":
            total = total / count.clamp(min=1)[:, None]
        if not self._config.literal:
            local, total = (torch.nn.functional.normalize(part, dim=1) for part in (local, total))
        mean = torch.where(written, (local + total) / 2, local)
        return torch.cat([mean, written.float()], dim=1)

    def write(self, slots: Tensor, local: Tensor, summary: Tensor) -> None:
        """Take in a step's mentions (eq. 5 and 6), of all ranks; each keeps what belongs to its own slots.

        Args:
            slots: [n], one a mention, in any order.
            local: [n, hidden], the mean state around it (eq. 4); of a slot's mentions the mean counts.
            summary: [n, hidden], the [CLS] state of its text.
        """
        here, slots = self._shard.own(slots)
        local, summary = local[here], summary[here]
        if not len(slots):
            return
        found, owner, times = torch.unique(slots, return_inverse=True, return_counts=True)
        sums = torch.zeros(2, len(found), local.shape[1])
        sums[0].index_add_(0, owner, local)
        sums[1].index_add_(0, owner, summary)
        mean_local, mean_summary = sums / times[:, None]
        gamma = self._config.gamma
        self.local[found] += gamma * (mean_local - self.local[found])
        if self._config.global_part == "mean":
            self.total[found] += sums[1]
        else:
            self.total[found] += gamma * (mean_summary - self.total[found])
        self.count[found] += times

    def collect(self) -> dict[str, Tensor]:
        """The whole memory, on the main rank; all ranks call it together."""
        return {name: self._shard.collect(part) for name, part in self._parts().items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take this rank's part of what `collect` gave."""
        for name, part in self._parts().items():
            part.copy_(self._shard.part(tensors[name]))

    def _parts(self) -> dict[str, Tensor]:
        return {"memory.local": self.local, "memory.total": self.total, "memory.count": self.count}


def memory_weight(step: int, total_steps: int, config: MemoryConfig) -> float:
    """lambda_q = lambda_0 / beta^q (eq. 8) after `step` of `total_steps` steps; 0 in the last tenth.

    In a run of one epoch q counts quarters, for the print's epochs.
    """
    if step >= _SILENT_FROM * total_steps:
        return 0.0
    return config.weight * decayed(step, total_steps, config.beta)


def decayed(step: int, total_steps: int, beta: float) -> float:
    """1 / beta^q, q the quarters of the schedule that are over."""
    return 1 / beta ** math.floor(_PERIODS * step / total_steps)


def window(start: int, end: int, *, k: int, tokens: int) -> tuple[int, int]:
    """The tokens [first, last) around a mention (eq. 4) of a text of `tokens`, its two specials left out.

    The print divides by one token less than the window has; this mean divides by the number it has.
    """
    return max(1, start - k), min(tokens - 1, end + k)
