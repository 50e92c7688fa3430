"""Feed-forward blocks of which only selected neurons are trained.

TRELM's knowledge paths (arXiv 2403.11203, section 3.3, eq 12). The full weights stay frozen; the selected
rows are copied into compact parameters, so that the products of the weight gradients, the optimizer's state
and the all-reduce are those of the selected rows only.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.trelm.routing.blocks import Block, activate, activation_gradient, block_of


class Ends(NamedTuple):
    """Inputs [a] and outputs [c] of a feed-forward block, ascending (eq 12 as printed)."""

    inputs: Tensor
    outputs: Tensor


class RoutedFeedForward(nn.Module):
    """The two products of a layer's feed-forward block, trained in the selected neurons.

    The forward pass is that of the full weights. The gradient of the input goes through all neurons, or
    (`path`) only through the selected ones, which is NOT the exact gradient but spares a product as large
    as the forward pass.

    Args:
        block: of a layer; its weights are read at every pass and written by `write_back`.
        rows: [k], the neurons, ascending.
        path: send the input's gradient only through the selected neurons.
        ends: train only the weights from these inputs and to these outputs; None: from and to all.
        whole_biases: the layer's own biases are trained, so `b1` is None.

    Attributes:
        rows: [k].
        inner_rows: their rows of W1 and b1, [k], or [2k] with a gate.
        w1, b1, w2: [inner rows, inputs], [inner rows], [k, outputs]: their weights in and out; b1 is None
            where the block has none.
    """

    rows: Tensor
    inner_rows: Tensor

    def __init__(
        self,
        block: Block,
        rows: Tensor,
        *,
        path: bool,
        ends: Ends | None = None,
        whole_biases: bool = False,
    ) -> None:
        super().__init__()
        # The weights belong to the language model: in an object of its own they are no submodules.
        self._block, self._path = block, path
        inner, outer = block.inner, block.outer
        device = inner.weight.device
        self.register_buffer("rows", rows.to(device))
        self.register_buffer("inner_rows", block.rows_of(self.rows), persistent=False)
        self.ends = None if ends is None else Ends(ends.inputs.to(device), ends.outputs.to(device))
        w1, w2 = inner.weight.detach()[self.inner_rows], outer.weight.detach()[:, self.rows].T
        if self.ends is not None:
            w1, w2 = w1[:, self.ends.inputs], w2[:, self.ends.outputs]
        self.w1 = nn.Parameter(w1.clone())
        no_b1 = whole_biases or inner.bias is None
        self.b1 = None if no_b1 else nn.Parameter(inner.bias.detach()[self.inner_rows].clone())
        self.w2 = nn.Parameter(w2.clone(memory_format=torch.contiguous_format))

    def forward(self, x: Tensor) -> Tensor:
        """[..., hidden] to [..., hidden]."""
        inner, outer = self._block.inner, self._block.outer
        routed: Any = _Routed.apply
        compact, biases = (self.w1, self.b1, self.w2), (inner.bias, outer.bias)
        selected = _Selected((inner.weight, outer.weight), self.rows, self.inner_rows, self.ends)
        y: Tensor = routed(x, *compact, *biases, selected, self._block.gated, self._path)
        return y

    @torch.no_grad()
    def write_back(self) -> None:
        """Copy the trained rows into the full weights; to be called after each step of the optimizer."""
        inner, outer = self._block.inner, self._block.outer
        if self.b1 is not None:
            inner.bias.index_copy_(0, self.inner_rows, self.b1)
        if self.ends is None:
            inner.weight.index_copy_(0, self.inner_rows, self.w1)
            outer.weight.index_copy_(1, self.rows, self.w2.T)
        else:
            inner.weight[self.inner_rows[:, None], self.ends.inputs] = self.w1
            outer.weight[self.ends.outputs[:, None], self.rows] = self.w2.T


class RoutedLayers(nn.Module):
    """Routed feed-forward blocks, put in the place of a model's own until `remove`.

    A layer without selected neurons keeps its block; under `path` its gradient is left out, as that of every
    neuron off the path.

    Args:
        layers: all layers of the model.
        rows: layer -> [k], its selected neurons, ascending.
        path, whole_biases: as in `RoutedFeedForward`.
        ends: layer -> the weights' ends; empty: all.

    Attributes:
        blocks: by layer.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        rows: Mapping[int, Tensor],
        *,
        path: bool,
        ends: Mapping[int, Ends] | None = None,
        whole_biases: bool = False,
    ) -> None:
        super().__init__()
        self._own, ends = tuple(map(block_of, layers)), ends or {}
        self.blocks = {
            i: RoutedFeedForward(self._own[i], found, path=path, ends=ends.get(i), whole_biases=whole_biases)
            for i, found in rows.items()
        }
        for i, own in enumerate(self._own):
            if i in self.blocks:
                self.add_module(str(i), self.blocks[i])
                own.replace(self.blocks[i])
            elif path:
                own.replace(partial(_without_graph, own))

    def write_back(self) -> None:
        """Copy the trained rows into the full weights."""
        for block in self.blocks.values():
            block.write_back()

    def remove(self) -> None:
        """Give every layer its own block back; the weights stay as they are."""
        for own in self._own:
            own.restore()


class _Selected(NamedTuple):
    """Of a routed block: the full W1 and W2, the neurons, their rows of W1, and the weights' ends."""

    full: tuple[Tensor, Tensor]
    rows: Tensor
    inner_rows: Tensor
    ends: Ends | None


def _without_graph(block: Block, x: Tensor) -> Tensor:
    """The block without a gradient of its input; its last bias may have one."""
    with torch.no_grad():
        v = activate(block.inner(x), gated=block.gated)
    y: Tensor = block.outer(v)
    return y


class _Routed(torch.autograd.Function):
    """A feed-forward block, differentiated in the selected neurons, and in the biases if they ask."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w1: Tensor,
        b1: Tensor | None,
        w2: Tensor,
        inner_bias: Tensor | None,
        outer_bias: Tensor | None,
        selected: _Selected,
        gated: bool,
        path: bool,
    ) -> Tensor:
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        flat = x.flatten(0, -2).to(dtype)
        inward, outward = (part.to(dtype) for part in selected.full)
        bias, last_bias = (None if part is None else part.to(dtype) for part in (inner_bias, outer_bias))
        before = functional.linear(flat, inward, bias)
        y = functional.linear(activate(before, gated=gated), outward, last_bias)
        needs_input, needs_bias = ctx.needs_input_grad[0], ctx.needs_input_grad[4]
        ctx.through_all = (needs_input or needs_bias) and not path
        if not ctx.through_all:
            before = before.index_select(1, selected.inner_rows)
            if selected.ends is None:
                inward, outward = w1.to(dtype), w2.to(dtype).T
            else:
                inward = inward.index_select(0, selected.inner_rows)
                outward = outward.index_select(1, selected.rows)
        ctx.save_for_backward(flat, before, inward, outward, selected.inner_rows)
        ctx.ends, ctx.gated, ctx.inner_size = selected.ends, gated, len(selected.full[0])
        return y.unflatten(0, x.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        flat, before, inward, outward, inner_rows = ctx.saved_tensors
        of_y = grads[0].flatten(0, -2)
        of_before = activation_gradient(of_y @ outward, before, gated=ctx.gated)
        of_x = (of_before @ inward).view_as(grads[0]) if ctx.needs_input_grad[0] else None
        of_inner_bias = of_before.sum(dim=0) if ctx.needs_input_grad[4] else None
        of_outer_bias = of_y.sum(dim=0) if ctx.needs_input_grad[5] else None
        if ctx.through_all:
            before, of_before = before.index_select(1, inner_rows), of_before.index_select(1, inner_rows)
        elif of_inner_bias is not None:
            # Off the path there is no gradient.
            of_inner_bias = of_y.new_zeros(ctx.inner_size).index_copy_(0, inner_rows, of_inner_bias)
        of_b1 = of_before.sum(dim=0) if ctx.needs_input_grad[2] else None
        if ctx.ends is not None:
            flat, of_y = flat.index_select(1, ctx.ends.inputs), of_y.index_select(1, ctx.ends.outputs)
        of_w1 = of_before.T @ flat
        of_w2 = activate(before, gated=ctx.gated).T @ of_y
        return of_x, of_w1, of_b1, of_w2, of_inner_bias, of_outer_bias, None, None, None
