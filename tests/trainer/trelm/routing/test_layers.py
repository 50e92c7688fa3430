import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForMaskedLM, BertConfig, ElectraConfig, ModernBertConfig, RobertaConfig

from kgcorpus.contracts.errors import UsageError
from trainer.masked_lm import PackedMaskedLM
from trainer.trelm.routing.blocks import block_of, check_blocks
from trainer.trelm.routing.layers import Ends, RoutedLayers
from trainer.trelm.routing.optimizer_state import carry_state

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
}
ROWS = {0: torch.tensor([0, 3, 39]), 2: torch.arange(5, 25)}
WEIGHTS = ("intermediate.dense.weight", "intermediate.dense.bias", "output.dense.weight")
GATED = {"local_attention": 6, "attention_dropout": 0.0}
FAMILIES = {
    "bert": (BertConfig, {}),
    "roberta": (RobertaConfig, {}),
    "electra": (ElectraConfig, {"embedding_size": 16}),
    "modernbert": (ModernBertConfig, GATED),
    "modernbert with biases": (ModernBertConfig, {**GATED, "mlp_bias": True, "norm_bias": True}),
}


def make(family="bert", *, dtype=torch.float64, frozen=True):
    torch.manual_seed(1)
    kind, own = FAMILIES[family]
    lm = AutoModelForMaskedLM.from_config(kind(pad_token_id=0, **SIZES, **own)).to(dtype)
    with torch.no_grad():
        for parameter in lm.parameters():
            # New biases are 0, which would hide a wrong one.
            parameter.add_(0.05 * torch.randn_like(parameter))
    return PackedMaskedLM(lm).requires_grad_(not frozen)


def loss_of(packed):
    """A loss of all parts, and the embedded input as a leaf."""
    torch.manual_seed(2)
    ids = torch.randint(1, 50, (2, 9))
    embedded = packed.words(ids).detach().requires_grad_()
    states = packed.states(ids, torch.ones_like(ids), torch.arange(9).expand_as(ids), words=embedded)
    return functional.cross_entropy(packed.logits(states.flatten(0, 1)).float(), torch.arange(18)), embedded


def selected(layer, compact, rows, ends=None):
    """The gradient of a dense weight, laid out as the compact one; None without such a weight."""
    block = block_of(layer)
    if compact == "w2":
        gradient = block.outer.weight.grad[:, rows].T
        return gradient if ends is None else gradient[:, ends.outputs]
    inner_rows = torch.cat([rows, rows + 40]) if block.gated else rows
    if compact == "b1":
        return None if block.inner.bias is None else block.inner.bias.grad[inner_rows]
    gradient = block.inner.weight.grad[inner_rows]
    return gradient if ends is None else gradient[:, ends.inputs]


def assert_compact_gradients(routed, layers, ends=None, *, but=()):
    """Those of the compact weights are those of the dense ones."""
    for number, rows in ROWS.items():
        for name in ("w1", "b1", "w2"):
            compact = getattr(routed.blocks[number], name)
            expected = selected(layers[number], name, rows, ends and ends[number])
            assert (compact is None) == (expected is None or name in but)
            if compact is not None:
                torch.testing.assert_close(compact.grad, expected, rtol=1e-10, atol=1e-13)


ENDS = {i: Ends(torch.tensor([0, 1, 9]), torch.arange(4, 16, 3)) for i in ROWS}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("ends", [None, ENDS])
def test_exact_gradients_are_those_of_a_dense_model(family, ends):
    dense, sparse = make(family, frozen=False), make(family)
    routed = RoutedLayers(sparse.layers, ROWS, path=False, ends=ends)
    losses = []
    inputs = []
    for packed in (dense, sparse):
        loss, embedded = loss_of(packed)
        loss.backward()
        losses.append(loss.detach())
        inputs.append(embedded.grad)
    assert torch.equal(*losses)
    torch.testing.assert_close(*inputs, rtol=1e-10, atol=1e-13)
    assert_compact_gradients(routed, dense.layers, ends)
    assert all(parameter.grad is None for parameter in sparse.parameters())


@pytest.mark.parametrize("family", ["bert", "modernbert with biases"])
def test_gradients_agree_with_finite_differences(family):
    packed = make(family)
    routed = RoutedLayers(packed.layers, ROWS, path=False)
    x = torch.randn(2, 3, 16, dtype=torch.float64, requires_grad=True)
    block = routed.blocks[0]

    def of_weights(w1, b1, w2):
        block.w1.data, block.b1.data, block.w2.data = w1.data, b1.data, w2.data
        block.write_back()
        return block(x)

    y = block(x)
    direction = torch.randn_like(y)
    gradients = torch.autograd.grad((y * direction).sum(), (x, block.w1, block.b1, block.w2))
    weights = [block.w1.data.clone(), block.b1.data.clone(), block.w2.data.clone()]
    for i in range(3):
        nudge = torch.randn_like(weights[i])
        sides = []
        for sign in (1, -1):
            moved = list(weights)
            moved[i] = weights[i] + sign * 1e-6 * nudge
            sides.append((of_weights(*moved) * direction).sum().item())
        slope = (sides[0] - sides[1]) / 2e-6
        assert slope == pytest.approx((gradients[1 + i] * nudge).sum().item(), rel=1e-6)


def biases_of(packed):
    """Of the feed-forward blocks, from the lowest layer."""
    return [part.bias for layer in packed.layers for part in (block_of(layer).inner, block_of(layer).outer)]


@pytest.mark.parametrize("family", ["bert", "modernbert", "modernbert with biases"])
@pytest.mark.parametrize(("ends", "whole_biases"), [(None, False), (ENDS, False), (None, True)])
def test_path_gradient_sees_only_the_selected_neurons(family, ends, whole_biases):
    """Its oracle: a dense model whose other neurons are constants."""
    packed = make(family)
    biases = biases_of(packed) if whole_biases and family != "modernbert" else []
    for bias in biases:
        bias.requires_grad_(True)
    routed = RoutedLayers(packed.layers, ROWS, path=True, ends=ends, whole_biases=whole_biases)
    loss, embedded = loss_of(packed)
    loss.backward()

    oracle = make(family, frozen=False)
    for number, layer in enumerate(oracle.layers):
        rows = ROWS.get(number, torch.tensor([], dtype=torch.int64))

        def keep(_module, inputs, rows=rows):
            mask = torch.zeros(40, dtype=torch.bool)
            mask[rows] = True
            return torch.where(mask, inputs[0], inputs[0].detach())

        block_of(layer).outer.register_forward_pre_hook(keep)
    same, other = loss_of(oracle)
    same.backward()
    torch.testing.assert_close(embedded.grad, other.grad, rtol=1e-10, atol=1e-13)
    assert_compact_gradients(routed, oracle.layers, ends, but=("b1",) if whole_biases else ())
    for i, (bias, expected) in enumerate(zip(biases, biases_of(oracle), strict=False)):
        # Layer 1 is off the path: only its last bias has a gradient.
        assert (bias.grad is None) == (i == 2)
        found = torch.zeros_like(bias) if i == 2 else bias.grad
        torch.testing.assert_close(found, expected.grad)


def test_all_neurons_on_the_path_is_exact():
    everything = {number: torch.arange(40) for number in range(3)}
    gradients = []
    for path in (False, True):
        packed = make()
        routed = RoutedLayers(packed.layers, everything, path=path)
        loss_of(packed)[0].backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in routed.parameters()]))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("family", ["bert", "modernbert with biases"])
@pytest.mark.parametrize(("path", "ends"), [(False, None), (True, None), (False, ENDS)])
def test_frozen_rows_stay_bit_identical(family, path, ends):
    """Weight decay and momentum move the selected rows, and nothing else."""
    packed = make(family, dtype=torch.float32)
    before = {name: tensor.clone() for name, tensor in packed.lm.state_dict().items()}
    routed = RoutedLayers(packed.layers, ROWS, path=path, ends=ends)
    optimizer = torch.optim.AdamW(routed.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(4):
        loss_of(packed)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
        routed.write_back()
    routed.remove()
    for name, tensor in packed.lm.state_dict().items():
        moved = (tensor != before[name]).nonzero()
        weights = WEIGHTS if family == "bert" else ("mlp.Wi.weight", "mlp.Wi.bias", "mlp.Wo.weight")
        places = {f".{n}.{weight}": n for n in ROWS for weight in weights}
        number = next((places[place] for place in places if name.endswith(place)), None)
        if number is not None:
            last = "output" in name or "Wo" in name
            rows = set(ROWS[number].tolist())
            if "Wi" in name:
                rows |= {row + 40 for row in rows}
            axis = 1 if last else 0
            assert set(moved[:, axis].tolist()) == rows
            if ends and moved.shape[1] == 2:
                other = ends[number].outputs if last else ends[number].inputs
                assert set(moved[:, 1 - axis].tolist()) == set(other.tolist())
        else:
            assert len(moved) == 0, name


def test_it_learns_and_forward_uses_what_was_learned():
    packed = make(dtype=torch.float32)
    routed = RoutedLayers(packed.layers, ROWS, path=False)
    optimizer = torch.optim.AdamW(routed.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = loss_of(packed)[0]
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        routed.write_back()
    assert losses[-1] < 0.7 * losses[0]
    loss = loss_of(packed)[0].item()
    routed.remove()
    assert loss_of(packed)[0].item() == loss


def test_accumulation_adds_up():
    packed = make()
    routed = RoutedLayers(packed.layers, ROWS, path=False)
    loss_of(packed)[0].backward()
    once = routed.blocks[2].w1.grad.clone()
    loss_of(packed)[0].backward()
    torch.testing.assert_close(routed.blocks[2].w1.grad, 2 * once)


@pytest.mark.parametrize("path", [False, True])
def test_bfloat16_is_near_float32(path):
    gradients = []
    for enabled in (False, True):
        packed = make(dtype=torch.float32)
        routed = RoutedLayers(packed.layers, ROWS, path=path)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = loss_of(packed)[0]
        loss.backward()
        assert all(parameter.grad.dtype == torch.float32 for parameter in routed.parameters())
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in routed.parameters()]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99
    assert not torch.equal(*gradients)


def test_no_graph_below_the_lowest_routed_layer():
    packed = make()
    RoutedLayers(packed.layers, {2: ROWS[2]}, path=False)
    traced = []
    for layer in packed.layers:
        layer.register_forward_hook(lambda _module, _inputs, output: traced.append(output.requires_grad))
    ids = torch.arange(1, 10)[None]
    packed.states(ids, torch.ones_like(ids), torch.arange(9)[None])
    assert traced == [False, False, True]


@pytest.mark.parametrize(
    "config", [BertConfig(hidden_act="gelu_new"), ModernBertConfig(hidden_activation="silu")]
)
def test_other_activations_are_refused(config):
    with pytest.raises(UsageError, match=r"knows the activation gelu, the model has (gelu_new|silu)"):
        check_blocks(config)


def test_dropout_within_the_block_is_refused():
    check_blocks(ModernBertConfig())
    with pytest.raises(UsageError, match=r"no dropout behind the activation.*Set mlp_dropout to 0"):
        check_blocks(ModernBertConfig(mlp_dropout=0.1))


def test_moments_follow_rows_and_ends():
    """From a dense layer to some rows and ends, and from there to others."""
    layer = make(frozen=False).layers[0]
    optimizer = torch.optim.AdamW(layer.parameters())
    for i, name in enumerate(WEIGHTS):
        weight = layer.get_parameter(name)
        values = torch.arange(1.0, weight.numel() + 1, dtype=torch.float64).view_as(weight) + 1000 * i
        optimizer.state[weight] = {"step": torch.tensor(3.0), "exp_avg": values, "exp_avg_sq": values + 0.5}
    first, second = torch.tensor([1, 4, 30]), torch.tensor([0, 4, 30, 31])
    of_first = Ends(torch.tensor([0, 2, 15]), torch.tensor([3, 4]))
    of_second = Ends(torch.tensor([0, 1, 15]), torch.tensor([4, 5]))

    def block(rows, ends):
        return RoutedLayers([layer], {0: rows}, path=False, ends={0: ends}).blocks[0]

    old, new = block(first, of_first), block(second, of_second)
    moments = carry_state(optimizer, layer, old=None, new=old)
    dense = optimizer.state[layer.output.dense.weight]["exp_avg"]
    assert torch.equal(moments[old.w2]["exp_avg"], dense[of_first.outputs][:, first].T)
    optimizer.state.update(moments)
    found = carry_state(optimizer, layer, old=old, new=new)[new.w1]
    before = moments[old.w1]
    assert torch.equal(found["exp_avg"][1:3][:, [0, 2]], before["exp_avg"][1:][:, [0, 2]])
    assert found["exp_avg"][[0, 3]].abs().sum() == found["exp_avg"][:, 1].abs().sum() == 0
    rows = torch.cat([x.mean(0, keepdim=True) if i in (0, 3) else x for i, x in enumerate(
        (before["exp_avg_sq"], before["exp_avg_sq"][1:2], before["exp_avg_sq"][2:], before["exp_avg_sq"])
    )])  # fmt: skip
    expected = torch.stack([rows[:, 0], rows.mean(1), rows[:, 2]], dim=1)
    torch.testing.assert_close(found["exp_avg_sq"], expected)


def test_moments_follow_both_rows_of_a_gated_neuron():
    layer = make("modernbert", frozen=False).layers[0]
    block, optimizer = block_of(layer), torch.optim.AdamW(layer.parameters())
    for weight in (block.inner.weight, block.outer.weight):
        values = torch.arange(1.0, weight.numel() + 1, dtype=torch.float64).view_as(weight)
        optimizer.state[weight] = {"step": torch.tensor(3.0), "exp_avg": values}
    dense = {weight: found["exp_avg"] for weight, found in optimizer.state.items()}
    first, second = torch.tensor([1, 4, 30]), torch.tensor([4, 31])
    old, new = (RoutedLayers([layer], {0: rows}, path=False).blocks[0] for rows in (first, second))
    state = carry_state(optimizer, layer, old=None, new=old)
    assert torch.equal(state[old.w1]["exp_avg"], dense[block.inner.weight][[1, 4, 30, 41, 44, 70]])
    assert torch.equal(state[old.w2]["exp_avg"], dense[block.outer.weight][:, first].T)
    optimizer.state.update(state)
    found = carry_state(optimizer, layer, old=old, new=new)[new.w1]["exp_avg"]
    assert torch.equal(found[[0, 2]], dense[block.inner.weight][[4, 44]])
    assert not found[[1, 3]].any()
