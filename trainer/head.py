"""The cross-entropy of a linear head, computed together with its gradient and never on all scores at once."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

# 256 MiB in float32. At 250,000 tokens of vocabulary a chunk has 268 tokens.
LOGITS_AT_ONCE = 2**26


class TrainedRows(NamedTuple):
    """A parameter that stands for some rows of a table; the table itself then has no gradient.

    Attributes:
        values: [k, size], the parameter.
        rows: [k], numbers of the rows, each once.
    """

    values: Tensor
    rows: Tensor


@torch.compiler.disable
def linear_cross_entropy(
    states: Tensor,
    labels: Tensor,
    table: Tensor,
    bias: Tensor | None,
    *,
    factors: Tensor | None = None,
    trained: TrainedRows | None = None,
) -> Tensor:
    """The cross-entropy [tokens] of the scores `states table' + bias`, in float32.

    At most `LOGITS_AT_ONCE` scores exist at a time. Told the `factors`, the forward pass also computes the
    gradient, chunk by chunk, and keeps it, as large as states, table and bias, for the backward pass. Without
    them, or where they turn out wrong, the backward pass computes the scores again.

    Args:
        states: [tokens, size].
        labels: [tokens], below the number of classes.
        table: [classes, size].
        bias: [classes].
        factors: [tokens], the gradient of the losses up to one number common to all of them.
        trained: the rows of the table that are trained; None: all.
    """
    kind = states.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
    parameter, rows = (table, None) if trained is None else trained
    if not torch.is_grad_enabled():
        factors = None
    with torch.autocast(kind, enabled=False):
        found: Tensor = _CrossEntropy.apply(
            states, parameter, bias, labels, table.detach(), rows, factors, dtype
        )
    return found


class _Inputs(NamedTuple):
    states: Tensor
    bias: Tensor | None
    labels: Tensor
    table: Tensor
    rows: Tensor | None


class _CrossEntropy(torch.autograd.Function):
    """Differentiated in states [tokens, size], the trained rows of the table, and bias."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        parameter: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        table: Tensor,
        rows: Tensor | None,
        factors: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        inputs = _Inputs(states, bias, labels, table, rows)
        ctx.save_for_backward(*inputs, factors)
        ctx.dtype, ctx.kept = dtype, None
        losses = labels.new_empty(labels.shape, dtype=torch.float32)
        if factors is None:
            for part, scores in _scores(inputs, dtype):
                losses[part] = _exponentials(scores, labels[part])[1].squeeze(1)
        else:
            needs = ctx.needs_input_grad[:3]
            ctx.kept = _gradients(inputs, factors, dtype, needs=needs, losses=losses)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        *saved, factors = ctx.saved_tensors
        # A second backward pass finds nothing kept.
        kept, ctx.kept = ctx.kept, None
        factor = None if kept is None else _common_factor(gradient, factors)
        if factor is None:
            kept = _gradients(_Inputs(*saved), gradient, ctx.dtype, needs=ctx.needs_input_grad[:3])
        elif factor != 1:
            for part in kept:
                if part is not None:
                    part.mul_(factor)
        return (*kept, *[None] * 5)


def _common_factor(gradient: Tensor, factors: Tensor) -> float | None:
    """The number by which all factors become the gradient [tokens]; None: there is none."""
    if not len(factors):
        return 1.0
    largest = factors.abs().argmax()
    factor = gradient[largest] / factors[largest]
    return float(factor) if torch.equal(gradient, factors * factor) else None


def _scores(inputs: _Inputs, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    """Scores [chunk, classes] in float32 of each chunk of the tokens."""
    table, bias = inputs.table.to(dtype), None if inputs.bias is None else inputs.bias.to(dtype)
    size = max(1, LOGITS_AT_ONCE // len(table))
    for first in range(0, len(inputs.labels), size):
        part = slice(first, first + size)
        yield part, linear(inputs.states[part].to(dtype), table, bias).float()


def _exponentials(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Turn scores [tokens, classes] into exponentials, in place; return sums and losses [tokens, 1]."""
    scores -= scores.amax(dim=1, keepdim=True)
    right = scores.gather(1, labels[:, None])
    total = scores.exp_().sum(dim=1, keepdim=True)
    return total, total.log() - right


def _gradients(
    inputs: _Inputs,
    factors: Tensor,
    dtype: torch.dtype,
    *,
    needs: tuple[bool, ...],
    losses: Tensor | None = None,
) -> list[Tensor | None]:
    """The gradients of `factors` [tokens] times the losses, in states, trained rows and bias.

    Args:
        needs: which of the three are needed.
        losses: [tokens], filled in.
    """
    states, bias, labels, table, rows = inputs
    trained = table if rows is None else table.new_empty(len(rows), table.shape[1])
    of_states, of_table, of_bias = (
        torch.zeros_like(part) if part is not None and need else None
        for part, need in zip((states, trained, bias), needs, strict=True)
    )
    lower = table.to(dtype)
    for part, scores in _scores(inputs, dtype):
        total, own = _exponentials(scores, labels[part])
        if losses is not None:
            losses[part] = own.squeeze(1)
        scale = factors[part, None]
        # The softmax, less 1 at the label, times the token's factor.
        of_scores = scores.mul_(scale / total)
        at = labels[part, None]
        of_scores.scatter_(1, at, of_scores.gather(1, at) - scale)
        if of_bias is not None:
            of_bias += of_scores.sum(dim=0)
        of_scores = of_scores.to(dtype)
        if of_states is not None:
            of_states[part] = of_scores @ lower
        if of_table is not None:
            chosen = of_scores if rows is None else of_scores.index_select(1, rows)
            _add_product(of_table, chosen.T, states[part].to(dtype))
    return [of_states, of_table, of_bias]


def _add_product(total: Tensor, one: Tensor, other: Tensor) -> None:
    """Add `one other` to `total`, in place."""
    if total.dtype == one.dtype:
        torch.addmm(total, one, other, out=total)
    else:
        total += one @ other
