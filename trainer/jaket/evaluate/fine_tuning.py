"""Fine-tuning of JAKET's arms on a task; the epoch is selected on the validation part."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from kgcorpus.contracts.draws import hash64
from trainer.determinism import deterministic_on_cpu
from trainer.evaluate.config import EvaluationConfig

T = TypeVar("T")
Item = TypeVar("Item")
Held = Literal["validation", "test"]
_RATE_TIMES_WIDTH = 0.03
_log = logging.getLogger(__name__)


class Task(ABC, Generic[T]):
    """What is learned and asked; T is a batch.

    Attributes:
        module: what is trained.
    """

    module: nn.Module

    @abstractmethod
    def epoch(self, number: int) -> Sequence[T]:
        """The batches of an epoch, as many in each."""

    @abstractmethod
    def loss(self, batch: T, *, seed: int) -> Tensor:
        """The mean loss of a batch; `seed` draws the neighbours."""

    @abstractmethod
    def score(self, part: Held) -> float:
        """The share of right answers; called in evaluation mode without gradients."""


def batches(items: Sequence[Item], size: int) -> list[list[Item]]:
    """In their order, `size` at a time."""
    return [list(items[first : first + size]) for first in range(0, len(items), size)]


class Tuned(NamedTuple):
    """The test score at the selected epoch (from 1), and the validation score there."""

    test: float
    epoch: int
    validation: float


@deterministic_on_cpu()
def fine_tune(task: Task[T], config: EvaluationConfig, *, hidden: int, seed: int) -> Tuned:
    """The test score after the epoch of the best validation score (of equals, the first).

    AdamW with linear warm-up and decay; the gradient's norm is at most 1.

    Args:
        task: what is trained, in place.
        config: of the fine-tuning.
        hidden: size of the model's states, for the default learning rate.
        seed: of dropout and neighbours.
    """
    rate = config.lr or _RATE_TIMES_WIDTH / hidden
    optimizer = torch.optim.AdamW(task.module.parameters(), lr=rate, weight_decay=config.weight_decay)
    steps = config.epochs * len(task.epoch(0))
    warmup = max(1, round(config.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
    )
    best = Tuned(0.0, 0, -1.0)
    for number in range(config.epochs):
        task.module.train()
        for i, batch in enumerate(task.epoch(number)):
            torch.manual_seed(hash64(seed, "jaket-tuning", number, i))
            task.loss(batch, seed=hash64(seed, "neighbours", number, i)).backward()
            nn.utils.clip_grad_norm_(task.module.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        validation = _score(task, "validation")
        _log.info("epoch %d: validation %.3f", number + 1, validation)
        if validation > best.validation:
            best = Tuned(_score(task, "test"), number + 1, validation)
    return best


@torch.no_grad()
def _score(task: Task[T], part: Held) -> float:
    task.module.eval()
    return task.score(part)
