"""What the optimizer remembers of a neuron goes with it when other neurons are selected."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainer.trelm.routing import RoutedFeedForward, dense_pair

Moments = dict[Tensor, dict[str, Any]]


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
