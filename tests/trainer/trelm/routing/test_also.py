"""What is trained besides the selected neurons: float64 gradients against a dense model's, and freezing."""

import pytest
import torch
from accelerate import Accelerator
from pydantic import ValidationError

from kgcorpus.contracts.errors import UsageError
from tests.trainer.trelm.routing.test_router import LAYERS, NEURONS, WARMUP, Model, Toy, options, train
from trainer.trelm.config import RoutingConfig, TrelmConfig
from trainer.trelm.routing.also import first_layer, part_of
from trainer.trelm.routing.blocks import block_of

ALSO = [
    ["attention"],
    ["norms"],
    ["biases"],
    ["table"],
    ["target_rows"],
    ["attention", "norms", "biases", "table"],
]


def at_once(**routing):
    return TrelmConfig(warmup_steps=0, routing=RoutingConfig(**{"share": 0.2, **routing}))


def double_gradients(tmp_path, chosen):
    """The routed model and a dense one after a backward pass of the same loss in float64."""
    toy, dense = Toy(chosen, tmp_path, dropout=0.0), Model(0.0)
    toy.model.double().eval()
    dense.double().eval()
    accelerator = Accelerator(cpu=True)
    optimizer = torch.optim.AdamW(toy.parameter_groups(0.1), lr=1e-3)
    toy.before_step(0, optimizer, accelerator)
    dense.inputs_frozen = toy.model.inputs_frozen
    (batch,) = toy.next_step(0)
    inputs = {name: torch.from_numpy(array) for name, array in batch.inputs.items()}
    losses = [model(**inputs).sum() for model in (toy.model, dense)]
    for loss in losses:
        loss.backward()
    assert torch.equal(*(loss.detach() for loss in losses))
    return toy, dense, optimizer


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("lowest", [0, 0.34])
@pytest.mark.parametrize("also", ALSO, ids="+".join)
def test_gradients_are_those_of_a_dense_model(tmp_path, also, lowest):
    toy, dense, optimizer = double_gradients(
        tmp_path, at_once(also=also, lowest_layer=lowest, choice="random")
    )
    model, cut = toy.model, first_layer(lowest, LAYERS)
    truth = dict(dense.named_parameters())
    trained = set()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name in truth:
            close(parameter.grad, truth[name].grad)
            trained.add(name)
    table, own = model.packed.tied_table, truth["packed.lm.bert.embeddings.word_embeddings.weight"].grad
    if table is not None:
        assert 0 < len(table.rows) < 40
        close(table.values.grad, own[table.rows])
    for i, block in model.routed.blocks.items():
        own = block_of(dense.packed.layers[i])
        inner, outer = own.inner, own.outer
        close(block.w1.grad, inner.weight.grad[block.rows])
        close(block.w2.grad, outer.weight.grad[:, block.rows].T)
        if block.b1 is not None:
            close(block.b1.grad, inner.bias.grad[block.rows])
    for i, layer in enumerate(model.packed.layers):
        for name, _ in layer.named_parameters():
            expected = i >= cut and part_of(name) in also
            assert (f"packed.lm.bert.encoder.layer.{i}.{name}" in trained) == expected
    assert ("injection" in trained) == (cut == 0)
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)
    in_optimizer = {id(p) for group in optimizer.param_groups for p in group["params"]}
    needed = {id(p) for p in model.parameters() if p.requires_grad} - {id(getattr(table, "values", None))}
    assert in_optimizer == needed


def test_nothing_below_the_cut_has_a_graph(tmp_path):
    chosen = at_once(also=["attention", "norms", "biases", "table"], lowest_layer=2)
    toy = Toy(chosen, tmp_path, dropout=0.0)
    toy.before_step(0, torch.optim.AdamW(toy.parameter_groups(0.1)), Accelerator(cpu=True))
    traced = []
    for layer in toy.model.packed.layers:
        layer.register_forward_hook(lambda _module, _inputs, output: traced.append(output.requires_grad))
    toy.loss(0)
    assert traced == [False, False, True]


def test_the_upper_layers_whole_without_neurons_are_dense_training_above_a_cut(tmp_path):
    also = ["attention", "norms", "biases", "feed_forward"]
    toy, dense, _ = double_gradients(tmp_path, at_once(also=also, share=0, lowest_layer=1))
    truth = dict(dense.named_parameters())
    trained = {name for name, p in toy.model.named_parameters() if p.requires_grad}
    for i in range(LAYERS):
        own = {name for name in truth if f".layer.{i}." in name}
        assert own & trained == (own if i else set())
    for name in trained:
        close(dict(toy.model.named_parameters())[name].grad, truth[name].grad)


@pytest.mark.parametrize("mode", ["exact", "path"])
@pytest.mark.parametrize("also", ALSO, ids="+".join)
def test_frozen_parts_stay_bit_identical(tmp_path, also, mode):
    chosen = options(also=also, mode=mode, lowest_layer=1)
    before = train(tmp_path, chosen, steps=WARMUP).model.packed.lm.state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    model = train(tmp_path, chosen, steps=WARMUP + 3).model
    rows = model.routed.blocks
    for name, tensor in model.packed.lm.state_dict().items():
        moved = not torch.equal(tensor, before[name])
        head, _, layer = name.partition(".layer.")
        number, _, inside = layer.partition(".")
        if layer:
            routed = part_of(inside) == "feed_forward" or inside == "intermediate.dense.bias"
            expected = int(number) >= 1 and (part_of(inside) in also or routed)
            if mode == "path" and inside == "intermediate.dense.bias":
                expected = int(number) in rows
        elif "word_embeddings" in name or name.endswith("decoder.weight"):
            expected = bool({"table", "target_rows"} & set(also))
        else:
            expected = "transform" in head or (
                "biases" in also and name.endswith(("ns.bias", "decoder.bias"))
            )
        assert moved == expected, name


def test_a_step_moves_the_rows_of_the_table_that_it_touches(tmp_path):
    chosen = options(also=["target_rows"])
    before = train(tmp_path, chosen, steps=WARMUP).model.packed.table.detach().clone()
    toy = train(tmp_path, chosen, steps=WARMUP + 1)
    moved = (toy.model.packed.table != before).any(dim=1).nonzero().flatten()
    assert torch.equal(moved, toy.arrays(WARMUP)[1].unique())


def test_scores_by_gradient_are_the_norms_of_the_dense_gradient(tmp_path):
    toy, dense, _ = double_gradients(tmp_path, at_once(choice="gradient", end_share=0.5))
    mean = 1 / len(toy.arrays(0)[0])
    for i, layer in enumerate(dense.packed.layers):
        inner, outer = block_of(layer).inner, block_of(layer).outer
        squares = inner.weight.grad.square().sum(1) + inner.bias.grad.square()
        squares += outer.weight.grad.square().sum(0)
        close(toy.router._scores["neurons"][i], mean * squares.sqrt())
        close(toy.router._scores["inputs"][i], mean * inner.weight.grad.norm(dim=0))
        close(toy.router._scores["outputs"][i], mean * outer.weight.grad.norm(dim=1))
    best = toy.router._scores["neurons"].flatten().topk(round(0.2 * LAYERS * NEURONS))
    chosen = {
        i * NEURONS + row for i, block in toy.model.routed.blocks.items() for row in block.rows.tolist()
    }
    assert len(chosen & set(best.indices.tolist())) > 0.9 * len(chosen)
    for i, block in toy.model.routed.blocks.items():
        assert set(block.ends.inputs.tolist()) == set(
            toy.router._scores["inputs"][i].topk(8).indices.tolist()
        )


def test_path_warns_of_what_is_trained_on_other_gradients(tmp_path, caplog):
    Toy(options(mode="path", also=["attention"], lowest_layer=1), tmp_path)
    Toy(options(mode="path"), tmp_path)
    Toy(options(mode="path", lowest_layer=1), tmp_path)
    Toy(options(also=["attention"]), tmp_path)
    found = [record.getMessage() for record in caplog.records if "mode path" in record.getMessage()]
    assert len(found) == 2
    assert "attention are trained" in found[0]
    assert "injection are trained" in found[1]


def test_a_cut_above_the_last_layer_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no layer is left"):
        Toy(options(lowest_layer=3), tmp_path)


@pytest.mark.parametrize(
    ("routing", "message"),
    [
        ({"also": ["table"], "mode": "lora"}, "exact or path"),
        ({"also": ["feed_forward"]}, "share to 0"),
        ({"also": ["table", "target_rows"]}, "leave one of them out"),
        ({"lowest_layer": 1.5}, "neither a number of layers nor a share"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(routing, message):
    with pytest.raises(ValidationError, match=message):
        RoutingConfig(**routing)


@pytest.mark.parametrize(("lowest", "layer"), [(0, 0), (0.5, 3), (0.34, 2), (2, 2), (5.0, 5)])
def test_the_cut_is_a_layer_or_a_share(lowest, layer):
    assert first_layer(lowest, 6) == layer
