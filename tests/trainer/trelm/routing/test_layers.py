import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForMaskedLM, BertConfig, RobertaConfig

from kgcorpus.contracts.errors import UsageError
from trainer.masked_lm import PackedMaskedLM
from trainer.trelm.routing.layers import RoutedLayers, check_activation

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


def make(config=BertConfig, *, dtype=torch.float64, frozen=True):
    torch.manual_seed(1)
    packed = PackedMaskedLM(AutoModelForMaskedLM.from_config(config(pad_token_id=0, **SIZES)).to(dtype))
    return packed.requires_grad_(not frozen)


def loss_of(packed):
    """A loss of all parts, and the embedded input as a leaf."""
    torch.manual_seed(2)
    backbone = packed.lm.base_model
    embedded = backbone.embeddings(torch.randint(1, 50, (2, 9))).detach().requires_grad_()
    states = embedded
    for layer in packed.layers:
        states = layer(states)
    return functional.cross_entropy(packed.logits(states.flatten(0, 1)).float(), torch.arange(18)), embedded


def selected(layer, name, rows):
    """The gradient of a dense weight, laid out as the compact one."""
    gradient = layer.get_parameter(name).grad
    return gradient[:, rows].T if name.startswith("output") else gradient[rows]


@pytest.mark.parametrize("config", [BertConfig, RobertaConfig])
def test_exact_gradients_are_those_of_a_dense_model(config):
    dense, sparse = make(config, frozen=False), make(config)
    routed = RoutedLayers(sparse.layers, ROWS, path=False)
    losses = []
    inputs = []
    for packed in (dense, sparse):
        loss, embedded = loss_of(packed)
        loss.backward()
        losses.append(loss.detach())
        inputs.append(embedded.grad)
    assert torch.equal(*losses)
    torch.testing.assert_close(*inputs, rtol=1e-10, atol=1e-13)
    for number, rows in ROWS.items():
        for name, compact in zip(WEIGHTS, ("w1", "b1", "w2"), strict=True):
            mine = getattr(routed.blocks[number], compact).grad
            torch.testing.assert_close(
                mine, selected(dense.layers[number], name, rows), rtol=1e-10, atol=1e-13
            )
    assert all(parameter.grad is None for parameter in sparse.parameters())


def test_gradients_agree_with_finite_differences():
    packed = make()
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


def test_path_gradient_sees_only_the_selected_neurons():
    """Its oracle: a dense model whose other neurons are constants."""
    packed = make()
    routed = RoutedLayers(packed.layers, ROWS, path=True)
    loss, embedded = loss_of(packed)
    loss.backward()
    mine = {name: parameter.grad for name, parameter in routed.named_parameters()}

    oracle = make(frozen=False)
    for number, layer in enumerate(oracle.layers):
        rows = ROWS.get(number, torch.tensor([], dtype=torch.int64))

        def keep(_module, _inputs, v, rows=rows):
            mask = torch.zeros(v.shape[-1], dtype=torch.bool)
            mask[rows] = True
            return torch.where(mask, v, v.detach())

        layer.intermediate.register_forward_hook(keep)
    same, other = loss_of(oracle)
    same.backward()
    torch.testing.assert_close(embedded.grad, other.grad, rtol=1e-10, atol=1e-13)
    for number, rows in ROWS.items():
        for name, compact in zip(WEIGHTS, ("w1", "b1", "w2"), strict=True):
            expected = selected(oracle.layers[number], name, rows)
            torch.testing.assert_close(mine[f"{number}.{compact}"], expected, rtol=1e-10, atol=1e-13)


def test_all_neurons_on_the_path_is_exact():
    everything = {number: torch.arange(40) for number in range(3)}
    gradients = []
    for path in (False, True):
        packed = make()
        routed = RoutedLayers(packed.layers, everything, path=path)
        loss_of(packed)[0].backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in routed.parameters()]))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("path", [False, True])
def test_frozen_rows_stay_bit_identical(path):
    """Weight decay and momentum move the selected rows, and nothing else."""
    packed = make(dtype=torch.float32)
    before = {name: tensor.clone() for name, tensor in packed.lm.state_dict().items()}
    routed = RoutedLayers(packed.layers, ROWS, path=path)
    optimizer = torch.optim.AdamW(routed.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(4):
        loss_of(packed)[0].backward()
        optimizer.step()
        optimizer.zero_grad()
        routed.write_back()
    routed.remove()
    for name, tensor in packed.lm.state_dict().items():
        moved = (tensor != before[name]).nonzero()
        number = next((n for n in ROWS if name.endswith(tuple(f".layer.{n}.{w}" for w in WEIGHTS))), None)
        if number is not None:
            axis = 1 if "output" in name else 0
            assert set(moved[:, axis].tolist()) == set(ROWS[number].tolist())
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


def test_other_activations_are_refused():
    with pytest.raises(UsageError, match="gelu_new"):
        check_activation("gelu_new")
    check_activation("gelu")
