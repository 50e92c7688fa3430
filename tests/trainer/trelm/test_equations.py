"""The objective against a second writing of the paper's equations, with seeds of its own."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from tests.trainer.trelm.made import config_of, make, objective_of, options_of, sums_of
from tests.trainer.trelm.oracle import (
    BETA,
    GAMMA,
    LAMBDA,
    RECORDS,
    STEPS,
    WINDOW,
    Oracle,
    path_rows,
    path_scores,
)
from trainer.trelm.config import MemoryConfig, RoutingConfig

MEMORY = MemoryConfig(weight=LAMBDA, beta=BETA, gamma=GAMMA, window=WINDOW, word_quantiles=(0.0, 0.8))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize(("literal", "seed"), [(False, 20261), (True, 77)])
@torch.no_grad()
def test_the_losses_and_the_memory_are_those_of_the_equations(made, literal, seed):
    memory = MEMORY.model_copy(update={"literal": literal})
    config = config_of(seed=seed, schedule_steps=STEPS, trelm=options_of(memory=memory, inject="both"))
    objective, drawn = objective_of(made, config), objective_of(made, config)
    oracle = Oracle(made, objective, draws=drawn, literal=literal)
    for step in range(STEPS):
        records = drawn._stream.take(RECORDS)
        expected = oracle.step(records, drawn._maker.make(records), step)
        found = sums_of(objective, objective.next_step(step)).sum(dim=0)
        np.testing.assert_allclose(found, expected, rtol=2e-5)
        objective.after_step(step + 1, Accelerator(cpu=True))
    bank = objective._memory
    assert len(oracle.local) > 20
    assert any(n > len(oracle.texts[slot]) for slot, n in oracle.mentions.items())
    for slot, local in oracle.local.items():
        np.testing.assert_allclose(bank.local[slot], local, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(bank.total[slot], sum(oracle.texts[slot]), rtol=1e-3, atol=1e-3)
        assert bank.count[slot] == len(oracle.texts[slot])


@pytest.mark.parametrize(("attribution", "groups"), [("joint", [[0, 1]]), ("layer", [[0], [1]])])
def test_the_paths_are_those_of_the_equations(made, attribution, groups):
    """Two routings in a row; the second one averages its scores with the first."""
    routing = RoutingConfig(
        mode="exact", attribution=attribution, points=3, tokens=20, average=0.3, share=0.15
    )
    trelm = options_of(memory=MEMORY, inject="both", routing=routing, warmup_steps=1, reroute_every=1)
    config = config_of(seed=4242, schedule_steps=STEPS, trelm=trelm)
    objective, drawn = objective_of(made, config), objective_of(made, config)
    # Larger weights than at the start: all scores would be near 0.
    with torch.no_grad():
        for layer in objective.model.packed.layers:
            layer.intermediate.dense.weight.mul_(20)
            layer.output.dense.weight.mul_(20)
    oracle = Oracle(made, objective, draws=drawn, literal=False)
    optimizer, accelerator = torch.optim.AdamW(objective.parameter_groups(0.0)), Accelerator(cpu=True)
    expected = None
    for step in range(3):
        records = drawn._stream.take(RECORDS)
        examples = drawn._maker.make(records)
        assert objective.before_step(step, optimizer, accelerator).rewired == (step > 0)
        if step:
            asked = np.cumsum([sum(len(q.tokens) for q in example.questions) for example in examples])
            enough = int(np.searchsorted(asked, 20)) + 1
            found = path_scores(oracle, records[:enough], examples[:enough], step, groups=groups, points=3)
            expected = found if expected is None else 0.3 * expected + 0.7 * found
            scale = expected.abs().max().item()
            assert scale > 1e-3
            np.testing.assert_allclose(
                objective._router._scores["neurons"], expected, rtol=1e-3, atol=1e-4 * scale
            )
            rows = {i: rows.tolist() for i, rows in objective._router._rows.items()}
            assert rows == path_rows(expected, 0.15)
        with torch.no_grad():
            oracle.step(records, examples, step)
            sums_of(objective, objective.next_step(step))
        objective.after_step(step + 1, accelerator)
