"""The fused head beside torch's linear layer and cross-entropy."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.utils.flop_counter import FlopCounterMode

from trainer.head import TrainedRows, linear_cross_entropy

TOKENS, SIZE, CLASSES = 23, 8, 100
# Scores are in float32, whatever the states are.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """States, labels, table, bias and what the losses are multiplied by."""
    draw = torch.Generator().manual_seed(0)
    states, table, bias = (
        (2 * torch.randn(shape, generator=draw, dtype=dtype)).requires_grad_()
        for shape in ((TOKENS, SIZE), (CLASSES, SIZE), (CLASSES,))
    )
    labels = torch.randint(0, CLASSES, (TOKENS,), generator=draw)
    return states, labels, table, bias, torch.randn(TOKENS, generator=draw)


def plain(states: Tensor, labels: Tensor, table: Tensor, bias: Tensor | None) -> Tensor:
    return cross_entropy(linear(states, table, bias).float(), labels, reduction="none")


@pytest.mark.parametrize("at_once", [1, 350, 700, 10**6])
@pytest.mark.parametrize("told", ["nothing", "the factors", "twice the factors", "other factors", "nan"])
def test_losses_and_gradients_are_those_of_the_plain_head(
    at_once: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.head.LOGITS_AT_ONCE", at_once)
    states, labels, table, bias, weights = inputs()
    factors = {
        "nothing": None,
        "the factors": weights,
        "twice the factors": 2 * weights,
        "other factors": weights.flip(0),
        "nan": torch.full_like(weights, torch.nan),
    }[told]
    found = linear_cross_entropy(states, labels, table, bias, factors=factors)
    expected = plain(states, labels, table, bias)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, **CLOSE)
    ours, theirs = (
        torch.autograd.grad((losses * weights).sum(), (states, table, bias)) for losses in (found, expected)
    )
    torch.testing.assert_close(ours, theirs, **CLOSE)


def test_a_second_backward_pass_gives_the_same() -> None:
    states, labels, table, bias, weights = inputs()
    found = linear_cross_entropy(states, labels, table, bias, factors=weights)
    once, again = (
        torch.autograd.grad((found * weights).sum(), (states, table, bias), retain_graph=True)
        for _ in range(2)
    )
    torch.testing.assert_close(once, again, **CLOSE)


@pytest.mark.parametrize("told", [False, True])
def test_some_rows_of_a_table_are_trained(told: bool) -> None:
    states, labels, table, bias, weights = inputs()
    rows = torch.tensor([0, 3, 4, 50, 99])
    values = table.detach()[rows].requires_grad_()
    factors = weights if told else None
    found = linear_cross_entropy(
        states, labels, table, bias, factors=factors, trained=TrainedRows(values, rows)
    )
    expected = plain(states, labels, table, bias)
    torch.testing.assert_close(found, expected, **CLOSE)
    ours = torch.autograd.grad((found * weights).sum(), (states, values, bias))
    whole = torch.autograd.grad((expected * weights).sum(), (states, table, bias))
    torch.testing.assert_close(ours, (whole[0], whole[1][rows], whole[2]), **CLOSE)


@pytest.mark.parametrize("frozen", [{"states"}, {"table", "bias"}, {"states", "table"}])
def test_what_is_frozen_has_no_gradient(frozen: set[str]) -> None:
    states, labels, table, bias, weights = inputs()
    named = {"states": states, "table": table, "bias": bias}
    for name in frozen:
        named[name].requires_grad_(False)
    (linear_cross_entropy(states, labels, table, bias, factors=weights) * weights).sum().backward()
    assert {name for name, tensor in named.items() if tensor.grad is None} == frozen


def test_a_head_without_bias() -> None:
    states, labels, table, _, weights = inputs()
    found, expected = linear_cross_entropy(states, labels, table, None), plain(states, labels, table, None)
    ours, theirs = (torch.autograd.grad((x * weights).sum(), (states, table)) for x in (found, expected))
    torch.testing.assert_close(ours, theirs, **CLOSE)


def test_no_token_gives_no_loss_and_a_gradient_of_zero() -> None:
    states, labels, table, bias, weights = (tensor[:0] for tensor in inputs())
    _, _, table, bias, _ = inputs()
    found = linear_cross_entropy(states, labels, table, bias, factors=weights)
    assert found.shape == (0,)
    found.sum().backward()
    assert table.grad is not None
    assert not table.grad.any()


def test_scores_beyond_the_range_of_exp_stay_finite() -> None:
    states, labels, table, bias, weights = inputs(torch.float32)
    large = (states.detach() * 1e3).requires_grad_()
    found, expected = (f(large, labels, table, bias) for f in (linear_cross_entropy, plain))
    torch.testing.assert_close(found, expected, **CLOSE)
    ours, theirs = (torch.autograd.grad((x * weights).sum(), (large, table)) for x in (found, expected))
    torch.testing.assert_close(ours, theirs, **CLOSE)


def test_autocast_computes_the_products_in_its_format() -> None:
    states, labels, table, bias, weights = inputs(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_cross_entropy(states, labels, table, bias, factors=weights)
        expected = plain(states, labels, table, bias)
    torch.testing.assert_close(found, expected, **CLOSE)
    ours, theirs = (
        torch.autograd.grad((x * weights).sum(), (states, table, bias)) for x in (found, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=0.03, atol=0.03)


@pytest.mark.parametrize(("told", "products"), [(True, 3), (False, 4)])
def test_the_scores_are_computed_once_if_the_factors_are_known(told: bool, products: int) -> None:
    states, labels, table, bias, weights = inputs(torch.float32)
    with FlopCounterMode(display=False) as counter:
        found = linear_cross_entropy(states, labels, table, bias, factors=weights if told else None)
        (found * weights).sum().backward()
    assert counter.get_total_flops() == products * 2 * TOKENS * SIZE * CLASSES
