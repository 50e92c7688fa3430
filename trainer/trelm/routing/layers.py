"""Feed-forward blocks of which only selected neurons are trained; their optimizer state moves with them.

TRELM's knowledge paths (arXiv 2403.11203, section 3.3, eq 12). The full weights stay frozen; the selected
rows are copied into compact parameters, so that the products of the weight gradients, the optimizer's state
and the all-reduce are those of the selected rows only.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kgcorpus.contracts.errors import UsageError

Moments = dict[Tensor, dict[str, Any]]


class RoutedFeedForward(nn.Module):
    """The two products of a layer's feed-forward block, trained in the selected neurons.

    The forward pass is that of the full weights. The gradient of the input goes through all neurons, or
    (`path`) through the selected ones alone, which is NOT the exact gradient but spares a product as large
    as the forward pass.

    Args:
        layer: of a BERT or RoBERTa; its weights are read at every pass and written by `write_back`.
        rows: [k], the neurons, ascending.
        path: send the input's gradient through the selected neurons alone.

    Attributes:
        rows: [k].
        w1, b1, w2: [k, hidden], [k], [k, hidden]: their weights in and out.
    """

    rows: Tensor

    def __init__(self, layer: nn.Module, rows: Tensor, *, path: bool) -> None:
        super().__init__()
        inner, outer = dense_pair(layer)
        # In a tuple they are no submodules: their weights belong to the language model.
        self._dense, self._path = (inner, outer), path
        self.register_buffer("rows", rows.to(inner.weight.device))
        self.w1 = nn.Parameter(inner.weight.detach()[self.rows].clone())
        self.b1 = nn.Parameter(inner.bias.detach()[self.rows].clone())
        self.w2 = nn.Parameter(
            outer.weight.detach()[:, self.rows].T.clone(memory_format=torch.contiguous_format)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[..., hidden] to [..., hidden]."""
        inner, outer = self._dense
        full = (inner.weight, inner.bias, outer.weight, outer.bias)
        routed: Any = _Routed.apply
        y: Tensor = routed(x, self.w1, self.b1, self.w2, full, self.rows, self._path)
        return y

    @torch.no_grad()
    def write_back(self) -> None:
        """Copy the trained rows into the full weights; to be called after each step of the optimizer."""
        inner, outer = self._dense
        inner.weight.index_copy_(0, self.rows, self.w1)
        inner.bias.index_copy_(0, self.rows, self.b1)
        outer.weight.index_copy_(1, self.rows, self.w2.T)


class RoutedLayers(nn.Module):
    """Routed feed-forward blocks, put in the place of a model's own until `remove`.

    A layer without selected neurons keeps its block; under `path` its gradient is left out, as that of every
    neuron off the path.

    Args:
        layers: all layers of the model.
        rows: layer -> [k], its selected neurons, ascending.
        path: as in `RoutedFeedForward`.

    Attributes:
        blocks: by layer.
    """

    def __init__(self, layers: Sequence[nn.Module], rows: Mapping[int, Tensor], *, path: bool) -> None:
        super().__init__()
        self._layers = tuple(layers)
        self.blocks = {i: RoutedFeedForward(layers[i], found, path=path) for i, found in rows.items()}
        for i, layer in enumerate(layers):
            if i in self.blocks:
                self.add_module(str(i), self.blocks[i])
                replace_feed_forward(layer, self.blocks[i])
            elif path:
                replace_feed_forward(layer, partial(_without_graph, dense_pair(layer)))

    def write_back(self) -> None:
        """Copy the trained rows into the full weights."""
        for block in self.blocks.values():
            block.write_back()

    def remove(self) -> None:
        """Give every layer its own block back; the weights stay as they are."""
        for layer in self._layers:
            layer.__dict__.pop("feed_forward_chunk", None)


def dense_pair(layer: Any) -> tuple[nn.Linear, nn.Linear]:
    """The products before and after the activation of a BERT's or RoBERTa's layer."""
    return layer.intermediate.dense, layer.output.dense


def check_activation(name: str) -> None:
    """The backward pass is written for the exact GELU.

    Raises:
        UsageError: a model has another.
    """
    if name != "gelu":
        raise UsageError(
            f"routing knows the activation gelu, the model has {name}",
            where="base_model",
            hint="Take another model, or set trelm.routing.mode=none",
        )


def replace_feed_forward(layer: Any, block: Callable[[Tensor], Tensor]) -> None:
    """Shadow the method of the layer's class that transformers calls for the feed-forward part."""
    output = layer.output

    def feed_forward_chunk(x: Tensor) -> Tensor:
        y: Tensor = output.LayerNorm(output.dropout(block(x)) + x)
        return y

    layer.feed_forward_chunk = feed_forward_chunk


def _without_graph(dense: tuple[nn.Linear, nn.Linear], x: Tensor) -> Tensor:
    with torch.no_grad():
        y: Tensor = dense[1](functional.gelu(dense[0](x)))
    return y


class _Routed(torch.autograd.Function):
    """GELU(x W1' + b1) W2' + b2, differentiated in the selected neurons."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w1: Tensor,
        b1: Tensor,
        w2: Tensor,
        full: Sequence[Tensor],
        rows: Tensor,
        path: bool,
    ) -> Tensor:
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        flat = x.flatten(0, -2).to(dtype)
        inward, bias, outward, last_bias = (weight.to(dtype) for weight in full)
        before = functional.linear(flat, inward, bias)
        y = functional.linear(functional.gelu(before), outward, last_bias)
        ctx.through_all = ctx.needs_input_grad[0] and not path
        if not ctx.through_all:
            before, inward, outward = before.index_select(1, rows), w1.to(dtype), w2.to(dtype).T
        ctx.save_for_backward(flat, before, inward, outward, rows)
        return y.unflatten(0, x.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        flat, before, inward, outward, rows = ctx.saved_tensors
        of_y = grads[0].flatten(0, -2)
        of_before = torch.ops.aten.gelu_backward(of_y @ outward, before)
        of_x = (of_before @ inward).view_as(grads[0]) if ctx.needs_input_grad[0] else None
        if ctx.through_all:
            before, of_before = before.index_select(1, rows), of_before.index_select(1, rows)
        of_w1 = of_before.T @ flat
        of_b1 = of_before.sum(dim=0)
        of_w2 = functional.gelu(before).T @ of_y
        return of_x, of_w1, of_b1, of_w2, None, None, None


def carry(
    optimizer: torch.optim.Optimizer,
    layer: nn.Module,
    *,
    old: RoutedFeedForward | None,
    new: RoutedFeedForward,
) -> Moments:
    """Adam's state of a layer's new compact parameters.

    Rows that were trained before keep their moments, those of the dense weights at the first routing. The
    others begin with no momentum and the second moments' mean over the old rows: bias correction counts
    steps by parameter, so that zeros would make their first steps three times too long.

    Args:
        optimizer: Adam or AdamW, with the state of the old parameters.
        layer: of the model.
        old: its block until now, None if its neurons were not routed.
        new: its block from now on.

    Returns:
        The state by new parameter; without those that have none, which start anew.
    """
    inner, outer = dense_pair(layer)
    neurons = inner.out_features
    everything = torch.arange(neurons, device=new.rows.device)
    sources: list[tuple[Tensor, bool]]
    if old is None:
        before, sources = everything, [(inner.weight, False), (inner.bias, False), (outer.weight, True)]
    else:
        before, sources = old.rows, [(old.w1, False), (old.b1, False), (old.w2, False)]
    place = torch.full_like(everything, -1)
    place[before] = torch.arange(len(before), device=place.device)
    where = place[new.rows]
    return {
        target: {
            name: _moved(name, value, where, by_column) for name, value in optimizer.state[source].items()
        }
        for (source, by_column), target in zip(sources, (new.w1, new.b1, new.w2), strict=True)
        if source in optimizer.state
    }


def hand_over(
    optimizer: torch.optim.Optimizer, groups: Sequence[dict[str, Any]], *, moments: Moments
) -> None:
    """Let the optimizer train other parameters from now on, in place.

    Args:
        optimizer: whose groups are as many as `groups`.
        groups: of the parameters to train; those that were trained before keep their state.
        moments: the state of new ones.
    """
    optimizer.state.update(moments)
    for group, fresh in zip(optimizer.param_groups, groups, strict=True):
        group["params"] = fresh["params"]
    trained = {parameter for group in groups for parameter in group["params"]}
    for parameter in [parameter for parameter in optimizer.state if parameter not in trained]:
        del optimizer.state[parameter]


def _moved(name: str, value: Tensor, where: Tensor, by_column: bool) -> Tensor:
    """One entry of the state; `where` [k]: the new rows' places among the old ones, -1 for a new one."""
    if value.ndim == 0:
        return value.clone()
    rows = value.T if by_column else value
    start = rows.mean(dim=0, keepdim=True) if name == "exp_avg_sq" else torch.zeros_like(rows[:1])
    known = (where >= 0).view(-1, *[1] * (rows.ndim - 1))
    return torch.where(known, rows[where.clamp(min=0)], start).contiguous()
