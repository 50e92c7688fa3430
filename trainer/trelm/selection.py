"""Which neurons form the knowledge paths, given their attribution scores."""

from collections.abc import Mapping

import torch
from torch import Tensor

# The paper's eq 12 has one global choice; these keep it from starving or flooding a layer.
_LEAST_MASS = 0.02
_LEAST, _MOST = 8, 4
Rows = dict[int, Tensor]


def select(scores: Tensor, *, share: float, lowest: int = 0, multiple: int = 1) -> Rows:
    """The neurons of the highest positive scores over all layers (section 3.3, eq 12).

    Layers with under 2 % of the selected scores' sum are dropped, and their places go to the next best
    neurons of the others. A kept layer gets at least 8 and at most four times its even share of neurons.

    Args:
        scores: [layers, neurons].
        share: of all neurons that are selected.
        lowest: layers below this one are never selected.
        multiple: pad a layer's neurons with its next best to a multiple of this (GPUs want 64).

    Returns:
        Layer -> [k] neurons, ascending, for the kept layers in order; empty if no score is positive.
    """
    scores = scores.detach().cpu().double()
    layers, neurons = scores.shape
    budget = max(1, round(share * scores.numel()))
    positive = scores.clamp(min=0)
    positive[:lowest] = 0
    mass = (positive * _top(positive, budget)).sum(dim=1)
    kept = (mass > 0) & (mass >= _LEAST_MASS * mass.sum())
    best = torch.argsort(scores, dim=1, descending=True, stable=True)
    most = max(min(_LEAST, neurons), min(neurons, int(_MOST * share * neurons)))
    eligible = torch.zeros_like(scores).scatter_(1, best[:, :most], 1.0) * positive * kept[:, None]
    wanted = _top(eligible, budget).sum(dim=1).tolist()
    rows = {}
    for layer in range(layers):
        if kept[layer]:
            count = max(wanted[layer], _LEAST)
            count = min(neurons, -(-count // multiple) * multiple)
            rows[layer] = best[layer, :count].sort().values
    return rows


def jaccard(one: Mapping[int, Tensor], other: Mapping[int, Tensor]) -> float:
    """Neurons in both over neurons in either; 0 if both are empty."""
    first, second = (
        {(layer, row) for layer in rows for row in rows[layer].tolist()} for rows in (one, other)
    )
    return len(first & second) / max(1, len(first | second))


def _top(scores: Tensor, count: int) -> Tensor:
    """A mask of the `count` highest positive scores; of equal ones the first."""
    flat = scores.flatten()
    chosen = torch.argsort(flat, descending=True, stable=True)[:count]
    mask = torch.zeros_like(flat, dtype=torch.bool)
    mask[chosen] = True
    return (mask & (flat > 0)).view_as(scores)
