"""TRELM with its knowledge paths: the router within the real objective and loop."""

import json

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

from kgcorpus.cli import app, run_app
from tests.trainer.trelm.made import config_of, make, objective_of, options_of, tensors_of
from trainer.run import train
from trainer.trelm.config import RoutingConfig
from trainer.trelm.run_files import read_options


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


def routed(made, *, mode="exact", routing=None, **options):
    routing = RoutingConfig(**{"mode": mode, "share": 0.2, "tokens": 8, **(routing or {})})
    trelm = options_of(kge=str(made.vectors), inject="both", warmup_steps=2, reroute_every=3, routing=routing)
    return config_of(trelm=trelm, checkpoint_every=4, **options)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


WHOLE = {
    "also": ["attention", "norms", "biases", "table"],
    "lowest_layer": 0.5,
    "choice": "gradient",
    "row_lr_scale": 3.0,
    "end_share": 0.5,
}


@pytest.mark.parametrize(
    "routing",
    [{}, {"mode": "path"}, WHOLE, {"also": ["target_rows"], "probe": "mlm", "table_lr_scale": 0.5}],
    ids=["exact", "path", "also", "target_rows"],
)
def test_a_run_is_resumed_within_a_routing_period(made, tmp_path, routing):
    # Two forward passes a step, whose gradients add up.
    config = routed(made, routing=routing, rows_per_forward=3)
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


def test_probing_masked_tokens_injects_nothing_and_reads_no_memory(made):
    objective = objective_of(made, routed(made, routing={"probe": "mlm"}))
    (batch,) = objective.next_step(0)
    objective.model(**tensors_of(batch))
    objective.after_step(1, Accelerator(cpu=True))
    objective.model.eval()
    packed, found = objective.model.packed, []
    probes = objective.probe(1)
    hook = packed.lm.base_model.get_submodule("embeddings").register_forward_pre_hook(
        lambda _, args, kwargs: found.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    total = torch.cat([probe() for probe in probes])
    hook.remove()
    (batch,) = objective.next_step(1)
    ids = torch.from_numpy(batch.inputs["ids"])
    assert len(batch.inputs["injected_at"])
    known = {tuple(row) for row in packed.table.tolist()}
    assert all(tuple(word) in known for word in found[0].flatten(0, 1).tolist())
    assert 8 <= len(total) <= len(batch.inputs["labels"])
    assert len(found[0]) <= len(ids)


@pytest.mark.parametrize("provider", ["transe", "shared"])
@pytest.mark.parametrize("lowest", [0, 1])
def test_rows_of_the_table_have_the_gradient_of_a_dense_table(made, provider, lowest):
    """In float64, of both losses: masked-language modelling, injection and CKA."""
    routing = RoutingConfig(mode="exact", share=0.2, tokens=8, also=["table"], lowest_layer=lowest)
    trelm = options_of(
        kge=str(made.vectors), inject="both", provider=provider, warmup_steps=0, routing=routing
    )
    grown, dense = (objective_of(made, config_of(trelm=trelm)) for _ in range(2))
    optimizer = torch.optim.AdamW(grown.parameter_groups(0.0))
    grown.before_step(0, optimizer, Accelerator(cpu=True))
    gradients = []
    for objective in (grown, dense):
        objective.model.double().eval()
        (batch,) = objective.next_step(0)
        inputs = {n: x.double() if x.is_floating_point() else x for n, x in tensors_of(batch).items()}
        objective.model.inputs_frozen = lowest > 0
        sums = objective.model(**inputs)
        (sums[0] + 2 * sums[1]).backward()
        table = objective.model.packed.tied_table
        gradients.append((objective.model.packed.table if table is None else table.values).grad)
    rows = grown.model.packed.tied_table.rows
    assert 20 < len(rows) < len(gradients[1])
    torch.testing.assert_close(gradients[0], gradients[1][rows], rtol=1e-7, atol=1e-10)


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
