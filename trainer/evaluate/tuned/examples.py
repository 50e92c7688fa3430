"""What a benchmark gives the harness: rows of tokens and what the head is to say of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kgcorpus.contracts.draws import Draw

# The target of a token that has none.
NO_LABEL = -100
# A shuffled stretch of this many batches is sorted by length: less padding.
_STRETCH = 50


class Row(NamedTuple):
    """A sequence as an encoder reads it: token ids, special tokens included, and the token types."""

    ids: Sequence[int]
    types: Sequence[int]


@dataclass(frozen=True)
class Example:
    """One row, or one row a choice, and its target; the target is not read when predicting.

    Attributes:
        rows: of one example.
        target: a class or choice; a number; 0. and 1. for each label; the class of each token, or `NO_LABEL`;
            the first and the last position of a span.
    """

    rows: tuple[Row, ...]
    target: int | float | Sequence[float] | Sequence[int] = 0

    @property
    def length(self) -> int:
        """Tokens of the longest row."""
        return max(len(row.ids) for row in self.rows)


def shuffled_batches(examples: Sequence[Example], size: int, draw: Draw) -> Iterator[list[Example]]:
    """Every example once, in drawn order, beside others of about its length."""
    order = list(range(len(examples)))
    draw.shuffle(order)
    batches = []
    for first in range(0, len(order), size * _STRETCH):
        stretch = sorted(order[first : first + size * _STRETCH], key=lambda i: examples[i].length)
        batches += [stretch[i : i + size] for i in range(0, len(stretch), size)]
    draw.shuffle(batches)
    for batch in batches:
        yield [examples[i] for i in batch]


def row_tensors(batch: Sequence[Example], *, pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, types and mask (true at tokens) of all rows of a batch, [rows, length]."""
    rows = [row for example in batch for row in example.rows]
    shape = len(rows), max(len(row.ids) for row in rows)
    ids = np.full(shape, pad, np.int64)
    types = np.zeros(shape, np.int64)
    mask = np.zeros(shape, np.bool_)
    for i, row in enumerate(rows):
        size = len(row.ids)
        ids[i, :size], types[i, :size], mask[i, :size] = row.ids, row.types, True
    return torch.from_numpy(ids), torch.from_numpy(types), torch.from_numpy(mask)


def target_tensor(batch: Sequence[Example]) -> Tensor:
    """[examples], [examples, labels or 2], or [examples, length] padded with `NO_LABEL`."""
    targets = [torch.tensor(example.target) for example in batch]
    if targets[0].ndim == 0:
        return torch.stack(targets)
    return torch.nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=NO_LABEL)
