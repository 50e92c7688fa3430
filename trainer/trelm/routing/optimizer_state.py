"""Adam's state when routing exchanges the trained parameters: rows that stay keep their moments."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainer.trelm.routing.blocks import block_of
from trainer.trelm.routing.layers import Ends, RoutedFeedForward

OptimizerState = dict[Tensor, dict[str, Any]]


def carry_state(
    optimizer: torch.optim.Optimizer,
    layer: nn.Module,
    *,
    old: RoutedFeedForward | None,
    new: RoutedFeedForward,
) -> OptimizerState:
    """Adam's state of a layer's new compact parameters.

    Rows that were trained before keep their moments, those of the dense weights at the first routing. The
    others begin with no momentum and the second moments' mean over the old rows: bias correction counts
    steps by parameter, so that zeros would make their first steps three times too long. The same holds for
    inputs and outputs where they are restricted.

    Args:
        optimizer: Adam or AdamW, with the state of the old parameters.
        layer: of the model.
        old: its block until now, None if its neurons were not routed.
        new: its block from now on.

    Returns:
        The state by new parameter; without those that have none, which start at zero.
    """
    block = block_of(layer)
    inner, outer, hidden = block.inner, block.outer, block.inner.in_features
    device = new.rows.device
    sources: list[tuple[Tensor | None, bool]]
    if old is None:
        before, ends = torch.arange(block.neurons, device=device), None
        sources = [(inner.weight, False), (inner.bias, False), (outer.weight, True)]
    else:
        before, ends = old.rows, old.ends
        sources = [(old.w1, False), (old.b1, False), (old.w2, False)]
    rows = _places(before, new.rows, block.neurons)
    inner_rows = _places(block.rows_of(before), new.inner_rows, inner.out_features)
    columns: list[Tensor | None] = [None, None, None]
    if new.ends is not None:
        whole = torch.arange(hidden, device=device)
        ends = ends or Ends(whole, whole)
        columns[0] = _places(ends.inputs, new.ends.inputs, hidden)
        columns[2] = _places(ends.outputs, new.ends.outputs, hidden)
    targets = (new.w1, new.b1, new.w2)
    return {
        target: {
            name: _moved(name, value, where, own, transposed)
            for name, value in optimizer.state[source].items()
        }
        for (source, transposed), target, where, own in zip(
            sources, targets, (inner_rows, inner_rows, rows), columns, strict=True
        )
        if source is not None and target is not None and source in optimizer.state
    }


def replace_parameters(
    optimizer: torch.optim.Optimizer, groups: Sequence[dict[str, Any]], *, state: OptimizerState
) -> None:
    """Let the optimizer train other parameters from now on, in place.

    Args:
        optimizer: whose groups are as many as `groups`.
        groups: of the parameters to train; those that were trained before keep their state.
        state: of the new parameters.
    """
    optimizer.state.update(state)
    for group, fresh in zip(optimizer.param_groups, groups, strict=True):
        group["params"] = fresh["params"]
    trained = {parameter for group in groups for parameter in group["params"]}
    for parameter in [parameter for parameter in optimizer.state if parameter not in trained]:
        del optimizer.state[parameter]


def _places(before: Tensor, after: Tensor, count: int) -> Tensor:
    """[after] the place of each among `before`, -1 for a new one; both are numbers below `count`."""
    place = torch.full((count,), -1, device=after.device)
    place[before] = torch.arange(len(before), device=after.device)
    return place[after]


def _moved(name: str, value: Tensor, rows: Tensor, columns: Tensor | None, transposed: bool) -> Tensor:
    """One entry of the state; `rows`, `columns`: the new ones' places among the old ones."""
    if value.ndim == 0:
        return value.clone()
    moved = _moved_rows(name, value.T if transposed else value, rows)
    if columns is not None:
        moved = _moved_rows(name, moved.T, columns).T
    return moved.contiguous()


def _moved_rows(name: str, value: Tensor, where: Tensor) -> Tensor:
    start = value.mean(dim=0, keepdim=True) if name == "exp_avg_sq" else torch.zeros_like(value[:1])
    known = (where >= 0).view(-1, *[1] * (value.ndim - 1))
    return torch.where(known, value[where.clamp(min=0)], start)
