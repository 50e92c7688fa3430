"""TRELM's last layer is computed only where something reads it: the numbers of the whole layer."""

from functools import partial

import pytest
import torch

from tests.trainer.trelm.made import config_of, filled, make, objective_of, options_of, tensors_of
from trainer.trelm.inputs import TrelmInputs
from trainer.trelm.routing.attribution import attribute
from trainer.trelm.routing.layers import RoutedLayers

ROWS = {0: torch.tensor([0, 3, 39]), 1: torch.arange(5, 25)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture(params=["label", "in_text"])
def objective(made, request):
    """In float64 and without dropout, with a memory that was written."""
    found = filled(objective_of(made, config_of(trelm=options_of(decode=request.param, inject="both"))))
    found.model.double()
    for module in found.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return found


def inputs_of(objective):
    """Of a step that reads the memory and writes to it."""
    arrays = tensors_of(objective.next_step(2)[0])
    assert {"read_rows", "write_at"} <= arrays.keys()
    return {name: x.double() if x.is_floating_point() else x for name, x in arrays.items()}


def read_from_whole_layer(packed, monkeypatch):
    """Compute all states of the last layer, and read those that are needed."""
    states = packed.states
    monkeypatch.setattr(
        packed, "states", lambda *rows, at, **options: states(*rows, **options).flatten(0, 1)[at]
    )


@pytest.mark.parametrize("routing", ["none", "exact", "path"])
def test_losses_gradients_and_memory_are_those_of_the_whole_layer(objective, routing, monkeypatch):
    model, inputs = objective.model, inputs_of(objective)
    assert len(inputs["states_at"]) < inputs["ids"].numel()
    if routing != "none":
        model.requires_grad_(False)
        model.routed = RoutedLayers(model.packed.layers, ROWS, path=routing == "path")
    found = []
    for _ in range(2):
        model.zero_grad()
        model.seen.clear()
        losses = model(**inputs)
        losses.sum().backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found.append((losses.detach(), gradients, vars(model.seen[0])))
        read_from_whole_layer(model.packed, monkeypatch)
    assert ("routed.1.w1" in found[0][1]) == (routing != "none")
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


def test_scores_of_neurons_are_those_of_the_whole_layer(objective, monkeypatch):
    inputs, found = TrelmInputs.of(inputs_of(objective)), []
    probe = partial(objective.model.cka_log_probability, inputs)
    for _ in range(2):
        found.append(attribute(objective.model.packed.layers, probe, method="joint", points=2))
        read_from_whole_layer(objective.model.packed, monkeypatch)
    assert found[0].abs().sum(dim=1).all()
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)
