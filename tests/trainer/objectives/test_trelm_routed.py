"""TRELM with its knowledge paths: the router within the real objective and loop."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

from tests.trainer.trelm.made import config_of, make, objective_of, options_of
from trainer.config import RoutingConfig
from trainer.run import train


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


def routed(made, *, mode="exact", **options):
    routing = RoutingConfig(mode=mode, share=0.2, tokens=8)
    trelm = options_of(kge=str(made.vectors), inject="both", warmup_steps=2, reroute_every=3, routing=routing)
    return config_of(trelm=trelm, checkpoint_every=4, **options)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("mode", ["exact", "path"])
def test_a_run_is_resumed_within_a_routing_period(made, tmp_path, mode):
    # Two forward passes a step, whose gradients add up.
    config = routed(made, mode=mode, rows_per_forward=3)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train("trelm", corpus=made.world, out=whole, config=config, max_steps=9)
    train("trelm", corpus=made.world, out=parts, config=config, max_steps=4)
    train("trelm", corpus=made.world, out=parts, config=config, max_steps=9)
    for name in ("model.safetensors", "trelm.safetensors", "router.safetensors"):
        found = [load_file(run / "model" / name) for run in (whole, parts)]
        assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
    assert lines(whole / "routes.jsonl") == lines(parts / "routes.jsonl")
    assert {line["step"] for line in lines(whole / "routes.jsonl")} == {2, 5, 8}
    found = [
        {x["step"]: x["loss"] for x in lines(run / "metrics.jsonl") if "loss" in x} for run in (whole, parts)
    ]
    assert found[0] == found[1]
    size = AutoModelForMaskedLM.from_pretrained(whole / "model").bert.encoder.layer[0].intermediate.dense
    assert size.weight.shape == (64, 16)


def test_probing_reads_the_tokens_of_the_step_to_come_and_does_not_move_on(made):
    objective = objective_of(made, routed(made))
    objective.model.eval()
    before = objective.state()
    probes = objective.probe(0)
    assert objective.state() == before
    first = [probe() for probe in probes]
    assert sum(map(len, first)) >= 8
    assert all(torch.equal(one, probe()) for one, probe in zip(first, probes, strict=True))
    (batch,) = objective.next_step(0)
    asked = batch.inputs["asked_labels"]
    assert sum(map(len, first)) <= len(asked)
