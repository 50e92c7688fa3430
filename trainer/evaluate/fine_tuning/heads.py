"""The three heads of fine-tuning: scores of a sequence, of each token, and of a span's two ends."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.evaluate.fine_tuning.inputs import NO_LABEL

Kind = Literal["classes", "labels", "number", "choices"]
_DROPOUT = 0.1
_DEVIATION = 0.02


class Head(nn.Module, ABC):
    """Scores from an encoder's last states."""

    @abstractmethod
    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Scores of states [rows, length, hidden]; mask [rows, length] is true at tokens."""

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch."""


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=_DEVIATION)
    nn.init.zeros_(layer.bias)
    return layer


class SequenceHead(Head):
    """A vector of scores from the first token's state, through one tanh layer as in RoBERTa's own head.

    Args:
        hidden: size of the states.
        outputs: scores a row; of `choices`, choices a question, each of which is a row of its own.
        kind: `classes` (softmax; a target is a class), `labels` (sigmoid; targets [outputs] of 0 and 1),
            `number` (squared error; a target is a float), `choices` (softmax over a question's rows).
    """

    def __init__(self, hidden: int, outputs: int, kind: Kind = "classes") -> None:
        super().__init__()
        self._kind, self._choices = kind, outputs
        width = 1 if kind in ("choices", "number") else outputs
        self.layers = nn.Sequential(
            nn.Dropout(_DROPOUT),
            _linear(hidden, hidden),
            nn.Tanh(),
            nn.Dropout(_DROPOUT),
            _linear(hidden, width),
        )

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """[examples, outputs]; of `number` [examples]."""
        scores: Tensor = self.layers(states[:, 0])
        if self._kind == "choices":
            return scores.view(-1, self._choices)
        return scores.squeeze(1) if self._kind == "number" else scores

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, binary cross-entropy or squared error."""
        if self._kind == "number":
            return F.mse_loss(scores, targets)
        if self._kind == "labels":
            return F.binary_cross_entropy_with_logits(scores, targets)
        return F.cross_entropy(scores, targets)


class TokenHead(Head):
    """A class for every token."""

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(_DROPOUT), _linear(hidden, classes))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """[rows, length, classes]."""
        scores: Tensor = self.layers(states)
        return scores

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy over tokens whose target [rows, length] is not `NO_LABEL`."""
        return F.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=NO_LABEL)


class SpanHead(Head):
    """Where a span starts and ends, as in BERT for SQuAD."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layer = _linear(hidden, 2)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """[rows, length, 2], -inf at pads."""
        scores: Tensor = self.layer(states)
        return scores.masked_fill(~mask[:, :, None], -torch.inf)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of both ends; targets [rows, 2] are positions in the row."""
        return F.cross_entropy(scores, targets)
