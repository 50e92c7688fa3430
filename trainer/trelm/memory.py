"""The memory bank (eq. 4-8): context embeddings of rare entities and words.

They are read before the forward pass and written after the step.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgcorpus.contracts.shards import read_batches
from kgcorpus.tokens import REMADE_BY
from trainer.distributed_rows import DistributedRows
from trainer.trelm.config import MemoryConfig
from trainer.trelm.graph import LabelTokens, joined
from trainer.trelm.inventory import WordFinder

if TYPE_CHECKING:
    from accelerate import Accelerator

# A schedule has lambda_0 to lambda_3 (eq. 8), a quarter of its steps each, and lambda 0 in its last tenth.
_PERIODS = 4
_SILENT_FROM = 0.9
# Slots whose first embeddings are made at a time.
_SLOTS_AT_ONCE = 1 << 14


class MemoryBank:
    """Buffers without gradient, on the host: a step moves only the rows of its batch.

    Memory: 8 (hidden + 1) bytes a slot; 3 million slots of 768 numbers take 18.5 GB over all ranks, each of
    which holds its share.

    Args:
        slots: M.
        hidden: size of the states.
        config: gamma, how the global part is averaged, whether the print is followed (`literal`).
        ranks: the processes that share it; None: only this one.
        initial: slots [n], ascending -> [n, hidden], where the local part starts; None: at zero.

    Attributes:
        local: [M / ranks, hidden], a moving average of the states around the slot's mentions.
        total: [M / ranks, hidden], the sum of the [CLS] states of the texts that mention it, or with
            `global_part: ema` their moving average.
        count: [M / ranks], texts summed.
    """

    def __init__(
        self,
        slots: int,
        hidden: int,
        config: MemoryConfig,
        ranks: "Accelerator | None" = None,
        *,
        initial: Callable[[NDArray[np.int64]], Tensor] | None = None,
    ) -> None:
        self._config, self._shard = config, DistributedRows(slots, ranks)
        self.local = torch.zeros(self._shard.rows, hidden)
        if initial is not None:
            for first in range(0, len(ids := self._shard.ids()), _SLOTS_AT_ONCE):
                part = ids[first : first + _SLOTS_AT_ONCE]
                self.local[first : first + len(part)] = initial(part.numpy())
        self.total = torch.zeros(self._shard.rows, hidden)
        self.count = torch.zeros(self._shard.rows, dtype=torch.int64)

    def read(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(local + global) / 2 of these slots, [n, hidden], and which of them have something to read.

        Both parts are brought to length 1, and the model brings their mean to that of its word embeddings:
        final states are several times longer. A slot that was never written has nothing. With `literal` the
        parts keep their lengths, and an unwritten slot gives its local part. All ranks call it together.
        """
        found = self._shard.read(torch.from_numpy(slots), self._read)
        return found[:, :-1].numpy(), (found[:, -1] > 0).numpy()

    def _read(self, at: Tensor) -> Tensor:
        """[n, hidden + 1]: the mean of both parts, and whether there is something to read."""
        local, total, count = self.local[at], self.total[at], self.count[at]
        written = count[:, None] > 0
        if self._config.global_part == "mean":
            total = total / count.clamp(min=1)[:, None]
        if not self._config.literal:
            local, total = (torch.nn.functional.normalize(part, dim=1) for part in (local, total))
        mean = torch.where(written, (local + total) / 2, local)
        readable = torch.ones_like(written) if self._config.literal else written
        return torch.cat([mean, readable.float()], dim=1)

    def write(self, slots: Tensor, local: Tensor, summary: Tensor, first: Tensor) -> None:
        """Take in a step's mentions (eq. 5 and 6), of all ranks; each keeps what belongs to its own slots.

        Args:
            slots: [n], one a mention, in any order.
            local: [n, hidden], the mean state around it (eq. 4); of a slot's mentions the mean counts.
            summary: [n, hidden], the [CLS] state of its text.
            first: [n], whether it is the slot's first mention in its text: eq. 6 counts a text once.
        """
        here, slots = self._shard.own(slots)
        local, summary, first = local[here], summary[here], first[here]
        if not len(slots):
            return
        found, owner, times = torch.unique(slots, return_inverse=True, return_counts=True)
        sums = torch.zeros(2, len(found), local.shape[1])
        sums[0].index_add_(0, owner, local)
        sums[1].index_add_(0, owner[first], summary[first])
        texts = torch.bincount(owner[first], minlength=len(found))
        gamma = self._config.gamma
        self.local[found] += gamma * (sums[0] / times[:, None] - self.local[found])
        if self._config.global_part == "mean":
            self.total[found] += sums[1]
        else:
            self.total[found] += gamma * (sums[1] / texts[:, None] - self.total[found])
        self.count[found] += texts

    def collect(self) -> dict[str, Tensor]:
        """The whole memory, on the main rank; all ranks call it together."""
        return {name: self._shard.collect(part) for name, part in self._parts().items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take this rank's part of what `collect` gave."""
        for name, part in self._parts().items():
            part.copy_(self._shard.part(tensors[name]))

    def _parts(self) -> dict[str, Tensor]:
        return {"memory.local": self.local, "memory.total": self.total, "memory.count": self.count}


def memory_weight(step: int, config: MemoryConfig, *, total_steps: int, epoch_steps: float) -> float:
    """lambda_q = lambda_0 / beta^q (eq. 8) after `step` steps.

    The print's q counts epochs, and so it does with `literal`. Otherwise q = floor(4 progress), because a run
    has few epochs, and lambda is 0 in the schedule's last tenth, so that the model ends without a memory.

    Args:
        step: optimizer steps done.
        config: lambda_0, beta, `literal`.
        total_steps: of the schedule.
        epoch_steps: steps of one epoch.
    """
    if config.literal:
        return config.weight / config.beta ** math.floor(step / epoch_steps)
    if step >= _SILENT_FROM * total_steps:
        return 0.0
    return config.weight * decayed(step, total_steps, config.beta)


def decayed(step: int, total_steps: int, beta: float) -> float:
    """1 / beta^q, q the quarters of the schedule that are over."""
    return 1 / beta ** math.floor(_PERIODS * step / total_steps)


def window(start: int, end: int, *, k: int, tokens: int) -> tuple[int, int]:
    """The tokens [first, last) around a mention (eq. 4) of a text of `tokens`, its two specials left out."""
    return max(1, start - k), min(tokens - 1, end + k)


def printed_terms(start: int, end: int, *, k: int) -> int:
    """The divisor that eq. 4 prints, 2k + r - l: one less than the terms from l - k to r + k; at least 1."""
    return max(1, 2 * k + (end - 1) - start)


def pretrained_embeddings(
    entities: Sequence[str], words: Sequence[tuple[int, ...]], labels: LabelTokens, *, table: Tensor
) -> Callable[[NDArray[np.int64]], Tensor]:
    """The mean word embedding of a slot's tokens: of an entity's label, or of the word itself.

    The print names the pre-trained embedding and does not say which one an entity of several tokens has.

    Args:
        entities: of the first slots.
        words: tokens of each word, of the slots behind them.
        labels: entity -> tokens of its label; an entity without a label starts at zero.
        table: [vocabulary, hidden], the language model's word embeddings before training.

    Returns:
        Slots [n], ascending -> [n, hidden].
    """
    table = table.detach().float().cpu()

    def of(slots: NDArray[np.int64]) -> Tensor:
        named, rest = np.split(slots, [np.searchsorted(slots, len(entities))])
        tokens = labels.of_all([entities[slot] for slot in named.tolist()])
        ids, starts = joined([*tokens, *(words[slot - len(entities)] for slot in rest.tolist())])
        return torch.nn.functional.embedding_bag(
            torch.from_numpy(ids), table, torch.from_numpy(starts), mode="mean"
        )

    return of


def tokens_of_words(
    files: Sequence[Path], hashes: NDArray[np.uint64], finder: WordFinder
) -> list[tuple[int, ...]]:
    """The tokens of the words with these hashes [n], ascending, by one pass over the token files.

    Raises:
        InputError: a file is damaged.
    """
    found: list[tuple[int, ...]] = [()] * len(hashes)
    for file in files:
        for batch in read_batches(file, ["ids"], command=REMADE_BY):
            ids = pc.list_flatten(batch.column("ids")).to_numpy()
            words = finder.find(ids)
            distinct, first = np.unique(words.hashes, return_index=True)
            _, places, at = np.intersect1d(hashes, distinct, assume_unique=True, return_indices=True)
            for place, word in zip(places.tolist(), first[at].tolist(), strict=True):
                found[place] = tuple(ids[words.starts[word] : words.ends[word]].tolist())
    return found
