"""Learning rates follow transformers' schedules, written there independently."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import get_scheduler

from trainer.config import TrainingConfig
from trainer.schedule import Phase

# transformers' names and arguments for ours.
THEIRS = {
    "linear": ("linear", {}),
    "cosine": ("cosine", {}),
    "wsd": ("warmup_stable_decay", {"decay_type": "linear"}),
    "constant": ("constant_with_warmup", {}),
}


def theirs(name: str, *, steps: int, warmup: int, decay: int) -> list[float]:
    """The rates of a transformers schedule with peak 1, whose warm-up starts at 0."""
    kind, arguments = THEIRS[name]
    if name == "wsd":
        arguments = {**arguments, "num_decay_steps": decay}
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = get_scheduler(
        kind,
        optimizer,
        num_warmup_steps=warmup,
        num_training_steps=steps,
        scheduler_specific_kwargs=arguments,
    )
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("name", THEIRS)
@settings(max_examples=20)
@given(warmup=st.integers(0, 5), stable=st.integers(1, 30), decay=st.integers(1, 10))
def test_rates_after_the_warmup_are_those_of_transformers(name, warmup, stable, decay):
    steps = warmup + stable + decay
    config = TrainingConfig(lr=1.0, lr_warmup=warmup, lr_schedule=name, lr_decay=decay / steps)
    phase = Phase.of(config, steps=steps)
    ours = [phase.rate(step) for step in range(steps)]
    expected = theirs(name, steps=steps, warmup=warmup, decay=decay)
    assert ours[warmup:] == pytest.approx(expected[warmup:], abs=1e-9)
    assert ours[:warmup] == pytest.approx([(step + 1) / warmup for step in range(warmup)])


@pytest.mark.parametrize("name", THEIRS)
def test_rates_reach_zero_at_the_end_and_stay_there_but_for_constant(name):
    phase = Phase(first=10, steps=20, peak=2.0, warmup=4, schedule=name)
    rates = [phase.rate(step) for step in range(10, 60)]
    assert max(rates) == 2.0
    assert all(math.isfinite(rate) and rate >= 0 for rate in rates)
    assert set(rates[20:]) == ({2.0} if name == "constant" else {0.0})
