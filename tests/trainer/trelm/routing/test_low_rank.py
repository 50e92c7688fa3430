"""The adapters that routing is compared with, within the real objective and loop."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.trainer.trelm.made import config_of, make, objective_of, options_of
from trainer.run import train
from trainer.trelm.config import RoutingConfig
from trainer.trelm.routing.blocks import Block
from trainer.trelm.routing.low_rank import Adapted, equal_rank


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


def adapted(made):
    routing = RoutingConfig(mode="lora", share=0.3)
    trelm = options_of(kge=str(made.vectors), inject="both", warmup_steps=2, routing=routing)
    return config_of(trelm=trelm, checkpoint_every=2)


def test_a_run_is_resumed_after_the_model_was_adapted(made, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train("trelm", corpus=made.world, out=whole, config=adapted(made), max_steps=6)
    for steps in (2, 5, 6):
        train("trelm", corpus=made.world, out=parts, config=adapted(made), max_steps=steps)
    for name in ("model.safetensors", "trelm.safetensors", "adapters.safetensors"):
        found = [load_file(run / "model" / name) for run in (whole, parts)]
        assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["rank"]) for line in lines if line.get("event") == "adapt"] == [(2, 4)]


def test_the_checkpoint_is_the_adapted_model_and_only_the_blocks_move(made, tmp_path):
    out = train("trelm", corpus=made.world, out=tmp_path, config=adapted(made), max_steps=6)
    kept = load_file(tmp_path / "checkpoints" / "step-00000004" / "model.safetensors")
    last, adapters = load_file(out / "model.safetensors"), load_file(out / "adapters.safetensors")
    moved = {name for name in last if not torch.equal(kept[name], last[name])}
    blocks = {
        f"bert.encoder.layer.{i}.{part}.dense.weight" for i in (0, 1) for part in ("intermediate", "output")
    }
    assert {name for name in moved if ".layer." in name} == blocks
    assert not any("embeddings" in name for name in moved)
    product = adapters["0.up"].double() @ adapters["0.down"].double()
    expected = adapters["0.frozen"].double() + product
    weight = last["bert.encoder.layer.0.intermediate.dense.weight"].double()
    torch.testing.assert_close(weight, expected, rtol=1e-5, atol=1e-6)
    assert product.abs().max() > 1e-4


def test_adapters_hold_as_many_numbers_as_the_neurons():
    hidden, inner = 768, 3072
    first, second = nn.Linear(hidden, inner), nn.Linear(inner, hidden)
    rank = equal_rank(0.1, Block(None, first, second, gated=False))
    assert 2 * rank * (hidden + inner) == pytest.approx(0.1 * inner * (2 * hidden + 1), rel=0.01)
    gated = nn.Linear(hidden, 2 * inner, bias=False)
    rank = equal_rank(0.1, Block(None, gated, second, gated=True))
    assert rank * (2 * hidden + 3 * inner) == pytest.approx(0.1 * inner * 3 * hidden, rel=0.01)


def test_a_fresh_adapter_changes_nothing_and_its_write_back_is_the_same_map():
    torch.manual_seed(0)
    dense, x = torch.nn.Linear(8, 6), torch.randn(5, 8)
    before = dense(x)
    adapter = Adapted(dense, rank=3)
    assert torch.equal(adapter(x), before)
    with torch.no_grad():
        adapter.up.normal_()
    after = adapter(x)
    assert torch.equal(dense(x), before)
    adapter.write_back()
    torch.testing.assert_close(dense(x), after)


def test_the_warm_up_is_dense(made):
    objective = objective_of(made, adapted(made))
    assert all(parameter.requires_grad for parameter in objective.model.parameters())
