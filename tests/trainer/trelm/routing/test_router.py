import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, load_model, save_file
from torch import nn
from transformers import AutoModelForMaskedLM, BertConfig

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import UsageError
from trainer import loop
from trainer.config import TrainingConfig
from trainer.masked_lm import PackedMaskedLM
from trainer.objectives import Batch, Objective
from trainer.trelm.config import RoutingConfig, TrelmConfig
from trainer.trelm.routing.router import Routable, Router

ROOT = Path(__file__).resolve().parents[4]
LAYERS, NEURONS, WARMUP, EVERY = 3, 80, 3, 4


class Model(nn.Module):
    """A masked language model whose inputs are shifted by what stands for the injection."""

    def __init__(self, dropout):
        super().__init__()
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            intermediate_size=NEURONS,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            max_position_embeddings=8,
            initializer_range=0.2,
        )
        self.packed = PackedMaskedLM(AutoModelForMaskedLM.from_config(config))
        self.injection = nn.Parameter(torch.full((16,), 0.1))
        self.inputs_frozen = False

    def log_probabilities(self, ids, labels):
        positions = torch.arange(8).expand_as(ids)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.inputs_frozen):
            words = self.packed.words(ids) + self.injection
        states = self.packed.states(ids, torch.ones_like(ids), positions, words=words)
        return self.packed.logits(states[:, 3]).log_softmax(dim=-1).gather(1, labels[:, None])[:, 0]

    def forward(self, *, ids, labels):
        return -self.log_probabilities(ids, labels).sum()[None]


class Toy(Objective):
    """Predicts the token of place 3 from the others; its batches are functions of the step."""

    terms: ClassVar = {"cka": 1.0}
    total_steps = 30

    def __init__(self, options, folder, *, dropout=0.1, rank=0, world=1):
        self.model = Model(dropout)
        self.share = slice(rank, None, world)
        head = self.model.packed.lm.cls.predictions.transform
        self.router = Router(
            Routable(
                model=self.model,
                packed=self.model.packed,
                heads=tuple(head.parameters()),
                injection=(self.model.injection,),
                probe=lambda step: [lambda: self.model.log_probabilities(*self.arrays(step))],
                groups=lambda: self.parameter_groups(0.1),
                losses=lambda step, accelerator: [lambda: self.loss(step)],
                touched=lambda step: self.arrays(step)[1].unique(),
            ),
            options,
            total_steps=self.total_steps,
            seed=1,
            log=folder / "routes.jsonl",
        )

    def arrays(self, step):
        ids = torch.randint(0, 40, (16, 8), generator=torch.Generator().manual_seed(hash64("toy", step) >> 1))
        return ids[self.share], ((ids[:, 1] + ids[:, 5]) % 40)[self.share]

    def loss(self, step):
        return -self.model.log_probabilities(*self.arrays(step)).mean()

    def parameter_groups(self, weight_decay):
        table = self.model.packed.tied_table
        groups = super().parameter_groups(weight_decay)
        return [
            {**g, "params": [p for p in g["params"] if not table or p is not table.values]} for g in groups
        ]

    def reduce_gradients(self, accelerator):
        self.router.reduce_gradients(accelerator)

    def next_step(self, step):
        ids, labels = self.arrays(step)
        inputs = {"ids": ids.numpy(), "labels": labels.numpy()}
        return [Batch(inputs=inputs, counts=np.array([len(ids)]), records=["r"], tokens=128)]

    def before_step(self, step, optimizer, accelerator):
        return self.router.before_step(step, optimizer, accelerator)

    def after_step(self, step, accelerator):
        self.router.after_step()
        return {}

    def state(self):
        return self.router.state()

    def load_state(self, state):
        self.router.load_state(state)

    def save(self, folder):
        self.model.packed.lm.save_pretrained(folder)
        save_file({"injection": self.model.injection.data}, folder / "extra.safetensors")
        self.router.save(folder)

    def load(self, folder):
        load_model(self.model.packed.lm, folder / "model.safetensors")
        self.model.injection.data.copy_(load_file(folder / "extra.safetensors")["injection"])
        self.router.load(folder)


def options(**routing):
    return TrelmConfig(
        warmup_steps=WARMUP, reroute_every=EVERY, routing=RoutingConfig(**{"share": 0.2, **routing})
    )


def train(folder, chosen, *, steps, every=100, dropout=0.1):
    config = TrainingConfig(lr=5e-3, weight_decay=0.1, checkpoint_every=every, lr_warmup=2)
    accelerator = Accelerator(cpu=True)
    ranks = {"rank": accelerator.process_index, "world": accelerator.num_processes}
    toy = Toy(chosen, folder, dropout=dropout, **ranks)
    loop.run_training(toy, config, folder, accelerator=accelerator, max_steps=steps)
    return toy


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(folder):
    return {x["step"]: x["loss"] for x in lines(folder / "metrics.jsonl") if "loss" in x}


def events(folder):
    return [x for x in lines(folder / "metrics.jsonl") if "event" in x]


@pytest.mark.parametrize(
    "routing",
    [
        {"mode": "exact"},
        {"mode": "path", "also": ["attention", "norms", "biases"]},
        {"also": ["table", "biases"], "end_share": 0.5, "choice": "gradient"},
        {"also": ["attention", "target_rows"], "lowest_layer": 0.34, "choice": "random"},
        {"also": ["attention", "norms", "biases", "feed_forward"], "lowest_layer": 1, "share": 0},
    ],
)
def test_a_resume_within_a_period_is_exact(tmp_path, routing):
    chosen = options(**routing)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    train(tmp_path / "whole", chosen, steps=13)
    train(tmp_path / "parts", chosen, steps=9, every=5)
    # As after a kill: the newest checkpoint is gone, what was logged after the one before it is there.
    done = max((tmp_path / "parts" / "checkpoints").iterdir())
    done.rename(tmp_path / "gone")
    train(tmp_path / "parts", chosen, steps=13)
    for name in ("routes.jsonl",):
        assert lines(tmp_path / "whole" / name) == lines(tmp_path / "parts" / name)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    for file in ("model.safetensors", "router.safetensors"):
        finals = [load_file(tmp_path / run / "model" / file) for run in ("whole", "parts")]
        assert all(torch.equal(finals[0][name], finals[1][name]) for name in finals[0])


def test_a_resume_at_a_routing_step_routes_there_once(tmp_path):
    for run in ("whole", "parts"):
        (tmp_path / run).mkdir()
    train(tmp_path / "whole", options(), steps=12)
    train(tmp_path / "parts", options(), steps=WARMUP + EVERY)
    train(tmp_path / "parts", options(), steps=12)
    assert lines(tmp_path / "whole" / "routes.jsonl") == lines(tmp_path / "parts" / "routes.jsonl")
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


def test_routes_are_the_rows_that_are_trained(tmp_path):
    """Between two routings nothing moves but the logged rows, the head's transform and the injection."""
    before = train(tmp_path, options(), steps=WARMUP).model.packed.lm.state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    model = train(tmp_path, options(), steps=WARMUP + EVERY).model
    routes = lines(tmp_path / "routes.jsonl")
    assert {route["step"] for route in routes} == {WARMUP}
    rows = {route["layer"]: set(route["rows"]) for route in routes}
    assert sum(map(len, rows.values())) == round(0.2 * LAYERS * NEURONS)
    frozen = {
        name for name, tensor in model.packed.lm.state_dict().items() if torch.equal(tensor, before[name])
    }
    for name, tensor in model.packed.lm.state_dict().items():
        found = (tensor != before[name]).nonzero()
        layer = next((i for i in rows if f".layer.{i}.intermediate." in name), None)
        output = next((i for i in rows if f".layer.{i}.output.dense.weight" in name), None)
        if layer is not None:
            assert set(found[:, 0].tolist()) == rows[layer]
        elif output is not None:
            assert set(found[:, 1].tolist()) == rows[output]
        else:
            assert (name in frozen) == ("transform" not in name), name


def test_checkpoints_are_full_size_and_opened_by_transformers(tmp_path):
    toy = train(tmp_path, options(), steps=6)
    plain = AutoModelForMaskedLM.from_pretrained(tmp_path / "model")
    assert plain.bert.encoder.layer[0].intermediate.dense.weight.shape == (NEURONS, 16)
    ids, _ = toy.arrays(0)
    toy.model.eval()
    with torch.no_grad():
        mine = toy.model.packed.logits(
            toy.model.packed.states(ids, torch.ones_like(ids), torch.arange(8).expand_as(ids))
        )
        torch.testing.assert_close(plain.eval()(ids).logits, mine)


def test_rows_that_stay_keep_their_moments(tmp_path):
    toy = Toy(options(), tmp_path)
    accelerator = Accelerator(cpu=True)
    optimizer = torch.optim.AdamW(toy.parameter_groups(0.1), lr=1e-3)

    def steps(first, last):
        for step in range(first, last):
            toy.before_step(step, optimizer, accelerator)
            take(step)

    def take(step):
        toy.model(**dict(zip(("ids", "labels"), toy.arrays(step), strict=True))).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        toy.after_step(step, accelerator)

    steps(0, WARMUP)
    layer = toy.model.packed.layers[1]
    dense = {
        "w1": optimizer.state[layer.intermediate.dense.weight]["exp_avg"].clone(),
        "b1": optimizer.state[layer.intermediate.dense.bias]["exp_avg"].clone(),
        "w2": optimizer.state[layer.output.dense.weight]["exp_avg"].T.clone(),
    }
    assert toy.before_step(WARMUP, optimizer, accelerator).rewired
    first = toy.model.routed.blocks[1]
    for name, moments in dense.items():
        state = optimizer.state[getattr(first, name)]
        assert torch.equal(state["exp_avg"], moments[first.rows])
        assert state["step"] == WARMUP
    trained = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    assert set(optimizer.state) <= trained
    assert layer.intermediate.dense.weight not in trained
    take(WARMUP)
    steps(WARMUP + 1, WARMUP + EVERY)

    before = {row: i for i, row in enumerate(first.rows.tolist())}
    moments = {key: optimizer.state[first.w1][key].clone() for key in ("exp_avg", "exp_avg_sq")}
    toy.before_step(WARMUP + EVERY, optimizer, accelerator)
    second = toy.model.routed.blocks[1]
    state = optimizer.state[second.w1]
    stayed = [row for row in second.rows.tolist() if row in before]
    assert 0 < len(stayed) < len(second.rows)
    for i, row in enumerate(second.rows.tolist()):
        if row in before:
            assert torch.equal(state["exp_avg"][i], moments["exp_avg"][before[row]])
            assert torch.equal(state["exp_avg_sq"][i], moments["exp_avg_sq"][before[row]])
        else:
            assert torch.equal(state["exp_avg"][i], torch.zeros(16))
            torch.testing.assert_close(state["exp_avg_sq"][i], moments["exp_avg_sq"].mean(dim=0))


def test_events(tmp_path):
    train(tmp_path, options(mode="path"), steps=12)
    found = events(tmp_path)
    assert [event["step"] for event in found] == [WARMUP, WARMUP + EVERY, WARMUP + 2 * EVERY]
    assert found[0]["jaccard"] is None
    assert all(0 < event["jaccard"] <= 1 for event in found[1:])
    assert all(event["neurons"] == round(0.2 * LAYERS * NEURONS) for event in found)
    # The path's gradient is not the exact one.
    assert all(0.1 < event["cosine"] < 0.9999 for event in found)
    routes = lines(tmp_path / "routes.jsonl")
    assert sum(len(route["rows"]) for route in routes if route["step"] == WARMUP) == found[0]["neurons"]


def test_depth_cut_freezes_what_lies_below(tmp_path):
    cut = train(tmp_path, options(lowest_layer=1), steps=6).model
    assert not cut.injection.requires_grad
    assert events(tmp_path)[0]["lowest_layer"] == 1
    assert events(tmp_path)[0]["injection_frozen"]
    (tmp_path / "open").mkdir()
    kept = train(tmp_path / "open", options(lowest_layer=1, depth_cut=False), steps=6).model
    assert kept.injection.requires_grad
    assert not events(tmp_path / "open")[0]["injection_frozen"]


def test_random_control_has_as_many_neurons_drawn_anew(tmp_path):
    (tmp_path / "again").mkdir()
    for folder in (tmp_path, tmp_path / "again"):
        train(folder, options(choice="random"), steps=8)
    found = events(tmp_path)
    assert [event["neurons"] for event in found] == [round(0.2 * LAYERS * NEURONS)] * 2
    assert found[1]["jaccard"] < 0.3
    assert lines(tmp_path / "routes.jsonl") == lines(tmp_path / "again" / "routes.jsonl")


def test_scores_are_averaged_over_routings(tmp_path):
    def scores(name, average, steps):
        (tmp_path / name).mkdir()
        train(tmp_path / name, options(average=average), steps=steps)
        return load_file(tmp_path / name / "model" / "router.safetensors")["scores"]

    first = scores("first", 0.5, WARMUP + 1)
    second, mean = (scores(str(average), average, WARMUP + EVERY + 1) for average in (0.0, 0.5))
    torch.testing.assert_close(mean, 0.5 * first + 0.5 * second)


def test_five_percent_of_the_schedule_is_the_default_warmup(tmp_path):
    train(tmp_path, TrelmConfig(), steps=3)
    assert [event["step"] for event in events(tmp_path)] == [2]


def test_a_model_of_another_activation_is_refused(tmp_path):
    model = Model(0.0)
    model.packed.lm.config.hidden_act = "relu"
    subject = Routable(
        model,
        model.packed,
        (),
        (),
        lambda step: [],
        list,
        lambda step, ranks: [],
        lambda step: torch.empty(0),
    )
    with pytest.raises(UsageError, match="relu"):
        Router(subject, options(), total_steps=1, seed=0, log=tmp_path / "routes.jsonl")


@pytest.mark.slow
@pytest.mark.parametrize(
    "routing",
    [
        {},
        {
            "also": ["attention", "norms", "biases", "table"],
            "lowest_layer": 1,
            "choice": "gradient",
            "end_share": 0.5,
        },
    ],
)
def test_two_ranks_are_one(tmp_path, routing):
    """Each has half of the batch; scores, gradients and so the routes are shared."""
    code = (
        "import sys; from pathlib import Path;"
        "from tests.trainer.trelm.routing.test_router import options, train;"
        f"train(Path(sys.argv[1]), options(**{routing!r}), steps=12, dropout=0.0)"
    )
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        folder.mkdir()
        (folder / "main.py").write_text(code)
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        done = subprocess.run(
            [*launch, str(folder / "main.py"), str(folder)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    one, two = (losses(tmp_path / str(ranks)) for ranks in (1, 2))
    assert two == pytest.approx(one, rel=1e-4)
    assert lines(tmp_path / "1" / "routes.jsonl") == lines(tmp_path / "2" / "routes.jsonl")
    finals = [load_file(tmp_path / str(ranks) / "model" / "model.safetensors") for ranks in (1, 2)]
    for name, tensor in finals[0].items():
        # A key's bias has no gradient but rounding, which Adam scales up.
        if not name.endswith("key.bias"):
            torch.testing.assert_close(finals[1][name], tensor, rtol=1e-3, atol=1e-3)
