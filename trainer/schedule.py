"""Learning rates: one linear schedule for each phase of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Phase:
    """Linear warm-up to the peak, then linear decay to 0.

    Attributes:
        first: the run's steps before the phase.
        steps: its steps, warm-up included.
        peak: the peak learning rate.
        warmup: steps of warm-up; 0: the phase starts at the peak.
    """

    first: int
    steps: int
    peak: float
    warmup: int

    def rate(self, step: int, *, warmup: int | None = None) -> float:
        """The rate of the step after `step` steps of the run; `warmup` replaces the phase's own."""
        done, warmup = step - self.first, self.warmup if warmup is None else warmup
        if done < warmup:
            return self.peak * (done + 1) / warmup
        return self.peak * max(0, self.steps - done) / max(1, self.steps - warmup)


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
