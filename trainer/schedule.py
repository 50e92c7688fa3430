"""Learning rates: each phase of a run has a warm-up and a decay of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch

from trainer.config import LrSchedule, TrainingConfig


@dataclass(frozen=True)
class Phase:
    """Linear warm-up to the peak, then the rate of `schedule`.

    Attributes:
        first: the run's steps before the phase.
        steps: its steps, warm-up included.
        peak: the peak learning rate.
        warmup: steps of warm-up; 0: the phase starts at the peak.
        schedule: the rate after the warm-up, as `lr_schedule` of `TrainingConfig` describes it.
        decay: share of `steps` over which `wsd` decays.
    """

    first: int
    steps: int
    peak: float
    warmup: int
    schedule: LrSchedule = "linear"
    decay: float = 0.1

    @classmethod
    def of(cls, config: TrainingConfig, *, steps: int) -> Self:
        """The phase from the first step of a run on, with the settings of the run."""
        return cls(0, steps, config.lr, config.lr_warmup, config.lr_schedule, config.lr_decay)

    def rate(self, step: int, *, warmup: int | None = None) -> float:
        """The rate of the step after `step` steps of the run; `warmup` replaces the phase's own."""
        done, warmup = step - self.first, self.warmup if warmup is None else warmup
        if done < warmup:
            return self.peak * (done + 1) / warmup
        left, decaying = max(0, self.steps - done), max(1, self.steps - warmup)
        match self.schedule:
            case "linear":
                return self.peak * left / decaying
            case "cosine":
                return self.peak * (1 - math.cos(math.pi * left / decaying)) / 2
            case "wsd":
                return self.peak * min(1.0, left / (self.decay * self.steps))
            case "constant":
                return self.peak


def set_learning_rates(optimizer: torch.optim.Optimizer, phases: Sequence[Phase], step: int) -> float:
    """Set each group's rate for the step after `step` steps; return the rate of a plain group.

    A group's `lr_scale` multiplies its rate; its `lr_warmup` replaces the phases' steps of warm-up.

    Args:
        phases: in the order of their first steps.
    """
    phase = [each for each in phases if each.first <= step][-1]
    for group in optimizer.param_groups:
        group["lr"] = phase.rate(step, warmup=group.get("lr_warmup")) * group.get("lr_scale", 1.0)
    return phase.rate(step)
