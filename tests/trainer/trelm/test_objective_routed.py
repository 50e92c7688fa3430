"""TRELM with its knowledge paths: the router within the real objective and loop."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

from kgcorpus.cli import app, run_app
from tests.trainer.trelm.made import config_of, make, objective_of, options_of
from trainer.run import train
from trainer.trelm.config import RoutingConfig
from trainer.trelm.run_files import read_options


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


def train_by_command(made, out, monkeypatch, *settings):
    words = ["kgcorpus", "train", "trelm", "--corpus", str(made.world), "--out", str(out), "--max-steps", "2"]
    settings = (
        f"trelm.kge={made.vectors}", "trelm.inject=both", "schedule_steps=20", "records_per_step=12",
        "model.hidden=16", "model.layers=2", "model.heads=2", "model.vocab_size=340", *settings,
    )  # fmt: skip
    monkeypatch.setattr("sys.argv", [*words, *(word for x in settings for word in ("--set", x))])
    assert run_app(app) == 0
    options = json.loads((out / "model" / "trelm.json").read_text())["options"]
    return options["routing"]["mode"], (out / "routes.jsonl").exists()


def test_a_model_from_scratch_is_routed_on_request_alone(made, tmp_path, monkeypatch, caplog):
    """The first routing is due after step 1; by default it needs a model that has learned something."""
    base = tmp_path / "base"
    assert train_by_command(made, base, monkeypatch) == ("none", False)
    (line,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("routing:")]
    assert "base_model" in line
    assert "trelm.routing.mode" in line
    caplog.clear()
    pretrained = f"base_model={base / 'model'}"
    assert train_by_command(made, tmp_path / "1", monkeypatch, "trelm.routing.mode=exact") == ("exact", True)
    assert train_by_command(made, tmp_path / "2", monkeypatch, pretrained) == ("exact", True)
    assert not [r for r in caplog.records if r.getMessage().startswith("routing:")]


@pytest.mark.parametrize(
    ("changed", "mode"),
    [
        ({"routing": RoutingConfig(mode="none"), "warmup_steps": 1}, "none"),
        ({"routing": RoutingConfig()}, "none"),
        ({"routing": RoutingConfig(share=0.2)}, "exact"),
        ({"routing": RoutingConfig(), "warmup_steps": 1}, "exact"),
        ({"routing": RoutingConfig(), "reroute_every": 7}, "exact"),
    ],
)
def test_a_changed_routing_setting_is_never_ignored(made, tmp_path, changed, mode):
    objective = objective_of(made, config_of(trelm=options_of(**changed)))
    assert (objective._router is None) == (mode == "none")
    objective.save(tmp_path)
    assert read_options(tmp_path)[0].routing.mode == mode
