import pytest
import torch
from transformers import AutoModelForMaskedLM, BertConfig, ModernBertConfig

from trainer.masked_lm import PackedMaskedLM
from trainer.trelm.routing.attribution import activations, attribute
from trainer.trelm.routing.blocks import block_of

TOKENS = torch.tensor([[2, 7, 9, 4, 11, 3], [2, 8, 4, 13, 5, 3]])
MASKED = torch.tensor([3, 8])
ANSWERS = torch.tensor([20, 21])


def learned(*, hidden, neurons, steps, family=BertConfig):
    """A tiny model that has begun to learn its answers."""
    torch.manual_seed(0)
    config = family(
        vocab_size=30,
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=neurons,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=8,
        pad_token_id=0,
        initializer_range=hidden**-0.5,
    )
    model = PackedMaskedLM(AutoModelForMaskedLM.from_config(config).double())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(steps):
        (-log_probabilities(model)().sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


@pytest.fixture(scope="module", params=[BertConfig, ModernBertConfig])
def packed(request):
    return learned(hidden=16, neurons=12, steps=20, family=request.param)


def log_probabilities(packed):
    def run():
        segments = torch.ones_like(TOKENS)
        positions = torch.arange(TOKENS.shape[1]).expand_as(TOKENS)
        states = packed.states(TOKENS, segments, positions).flatten(0, 1)
        scores = packed.logits(states[MASKED]).log_softmax(dim=-1)
        return scores.gather(1, ANSWERS[:, None])[:, 0]

    return run


def probability(packed, *, scale):
    """P with the activations of each layer multiplied by scale[layer] [neurons]."""
    natural = activations(packed.layers, log_probabilities(packed))
    handles = [
        block_of(layer).outer.register_forward_pre_hook(lambda _m, _i, fixed=v * s: fixed)
        for layer, v, s in zip(packed.layers, natural, scale, strict=True)
    ]
    with torch.no_grad():
        total = log_probabilities(packed)().exp().sum()
    for handle in handles:
        handle.remove()
    return total.item()


def test_joint_scores_add_up_with_an_error_of_one_over_m(packed):
    ones, zeros = [torch.ones(12)] * 2, [torch.zeros(12)] * 2
    truth = probability(packed, scale=ones) - probability(packed, scale=zeros)
    errors = []
    for points in (40, 80, 160):
        total = attribute(packed.layers, log_probabilities(packed), method="joint", points=points).sum()
        errors.append(abs(total.item() - truth))
    assert abs(truth) > 0.1
    assert errors[2] < 0.02 * abs(truth)
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("site", ["inputs", "outputs"])
def test_scores_of_a_block_s_ends_add_up_to_what_the_ends_change(packed, site):
    run = log_probabilities(packed)
    handles = []
    for layer in packed.layers:
        if site == "inputs":
            handles.append(block_of(layer).inner.register_forward_pre_hook(lambda _m, i: (0 * i[0],)))
        else:
            handles.append(block_of(layer).outer.register_forward_hook(lambda _m, _i, y: 0 * y))
    without = run().exp().sum().item()
    for handle in handles:
        handle.remove()
    truth = run().exp().sum().item() - without
    scores = attribute(packed.layers, run, method="joint", points=200, site=site)
    assert scores.shape == (2, 16)
    assert abs(truth) > 0.05
    assert scores.sum().item() == pytest.approx(truth, rel=0.03)


def test_neuron_scores_are_the_change_that_each_neuron_makes(packed):
    """With one neuron varied alone its integral is P(x) - P(x without it)."""
    scores = attribute(packed.layers, log_probabilities(packed), method="neuron", points=40)
    run = log_probabilities(packed)
    natural = activations(packed.layers, run)
    for place in scores.abs().flatten().topk(6).indices.tolist():
        layer, neuron = divmod(place, scores.shape[1])
        without = natural[layer].clone()
        without[..., neuron] = 0
        with torch.no_grad():
            before = run().exp().sum()
            outer = block_of(packed.layers[layer]).outer
            hook = outer.register_forward_pre_hook(lambda _m, _i, v=without: v)
            change = (before - run().exp().sum()).item()
            hook.remove()
        assert scores[layer, neuron].item() == pytest.approx(change, rel=0.1)


def test_right_riemann_sum_by_hand(packed):
    """The sum of eq 10 written out with finite differences of P."""
    points, step = 3, 1e-5
    natural = activations(packed.layers, log_probabilities(packed))
    expected = 0.0
    for k in range(1, points + 1):
        sides = [
            probability(packed, scale=[torch.full((12,), k / points + d, dtype=torch.float64)] * 2)
            for d in (step, -step)
        ]
        expected += (sides[0] - sides[1]) / (2 * step) / points
    scores = attribute(packed.layers, log_probabilities(packed), method="joint", points=points)
    assert scores.shape == (2, natural[0].shape[-1])
    # ModernBERT rotates queries and keys in float32, which the differences show.
    rounding = 1e-3 if packed.lm.config.model_type == "modernbert" else 1e-6
    assert scores.sum().item() == pytest.approx(expected, rel=rounding)


def test_scaling_a_layer_finds_most_of_the_neurons_that_matter_alone():
    packed = learned(hidden=32, neurons=64, steps=10)
    run = log_probabilities(packed)
    top = 25
    oracle = set(
        attribute(packed.layers, run, method="neuron", points=5).flatten().topk(top).indices.tolist()
    )
    for method in ("layer", "joint"):
        scores = attribute(packed.layers, run, method=method, points=20).flatten()
        # By chance it would be a fifth.
        assert len(oracle & set(scores.topk(top).indices.tolist())) > top / 2, method


def test_the_model_is_left_as_it_was(packed):
    run = log_probabilities(packed)
    before = run().detach()
    attribute(packed.layers, run, method="layer", points=2)
    assert torch.equal(run().detach(), before)
    assert not any(block_of(layer).outer._forward_pre_hooks for layer in packed.layers)
    assert all(parameter.grad is None for parameter in packed.parameters())
