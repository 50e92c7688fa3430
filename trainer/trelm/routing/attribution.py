"""Scores of feed-forward neurons by integrated gradients (eq. 9-11), and the selection of the best."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainer.trelm.routing.blocks import block_of

Method = Literal["neuron", "layer", "joint"]
# Units of a feed-forward block: neurons after the activation, inputs, outputs before the residual is added.
Site = Literal["neurons", "inputs", "outputs"]
LogProbabilities = Callable[[], Tensor]
"""Runs the model and gives the log-probability of each predicted token [tokens]."""
# The paper's eq 12 has one global choice; these keep it from starving or flooding a layer.
_LEAST_MASS = 0.02
_LEAST, _MOST = 8, 4
Rows = dict[int, Tensor]


def attribute(
    layers: Sequence[nn.Module],
    log_probabilities: LogProbabilities,
    *,
    method: Method,
    points: int,
    site: Site = "neurons",
) -> Tensor:
    """How much each neuron, input or output of a block adds to the sum of the tokens' probabilities P.

    With v a neuron's activations (`Block`) and v̄ their values, the score is, summed over positions, v̄ times
    the mean of dP/dv at v = (k/m) v̄, k = 1..m: the right Riemann sum of eq 10. What else is scaled with the
    neuron is `method`:

    - `neuron`: nothing, as the equations read; one pass for each neuron and point.
    - `layer`: its layer, as in the code of Dai et al. (arXiv 2104.08696).
    - `joint`: all layers; the scores' sum tends to P(x) - P(0) with an error of 1/m.

    Args:
        layers: of a model, with their own feed-forward blocks.
        log_probabilities: the same tokens, contrasted with the same negatives, at every call.
        method: see above.
        points: m.
        site: the units that are scored.

    Returns:
        [layers, units].
    """
    natural = activations(layers, log_probabilities, site=site)
    scores = natural[0].new_zeros(len(natural), natural[0].shape[-1])
    for group in _groups(method, *scores.shape):
        values = {i: natural[i][..., part] for i, part in group.items()}
        sums = {i: torch.zeros_like(value) for i, value in values.items()}
        for k in range(1, points + 1):
            leaves = {i: (value * (k / points)).requires_grad_() for i, value in values.items()}
            varied = {i: _put(natural[i], group[i], leaf) for i, leaf in leaves.items()}
            for i, gradient in _gradients(layers, log_probabilities, varied, leaves, site).items():
                sums[i] += gradient
        for i, part in group.items():
            scores[i, part] = (values[i] * sums[i] / points).flatten(0, -2).sum(dim=0)
    return scores


@torch.no_grad()
def activations(
    layers: Sequence[nn.Module], log_probabilities: LogProbabilities, *, site: Site = "neurons"
) -> list[Tensor]:
    """v̄ of each layer [..., units]."""
    found: list[Tensor] = []
    with _hooked(layers, dict.fromkeys(range(len(layers)), found.append), site):
        log_probabilities()
    return found


@contextlib.contextmanager
def scaled(
    layers: Sequence[nn.Module], rows: Mapping[int, Sequence[int]], *, factor: float
) -> Iterator[None]:
    """Multiply the activations of some neurons, given by layer."""

    def scale(neurons: Sequence[int]) -> Callable[[Tensor], Tensor]:
        def change(v: Tensor) -> Tensor:
            changed = v.clone()
            changed[..., list(neurons)] *= factor
            return changed

        return change

    with _hooked(layers, {i: scale(neurons) for i, neurons in rows.items()}):
        yield


def _groups(method: Method, layers: int, neurons: int) -> Iterator[dict[int, slice]]:
    """What is scaled together: layer -> neurons."""
    whole = slice(0, neurons)
    if method == "joint":
        yield dict.fromkeys(range(layers), whole)
    elif method == "layer":
        yield from ({i: whole} for i in range(layers))
    else:
        yield from ({i: slice(j, j + 1)} for i in range(layers) for j in range(neurons))


def _put(natural: Tensor, part: slice, leaf: Tensor) -> Tensor:
    varied = natural.clone()
    varied[..., part] = leaf
    return varied


def _gradients(
    layers: Sequence[nn.Module],
    log_probabilities: LogProbabilities,
    varied: Mapping[int, Tensor],
    leaves: Mapping[int, Tensor],
    site: Site,
) -> dict[int, Tensor]:
    """dP/dv at the activations `varied`, by layer."""

    def exchange(value: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda _: value

    with torch.enable_grad(), _hooked(layers, {i: exchange(value) for i, value in varied.items()}, site):
        total = log_probabilities().exp().sum()
    return dict(zip(leaves, torch.autograd.grad(total, tuple(leaves.values())), strict=True))


@contextlib.contextmanager
def _hooked(
    layers: Sequence[Any],
    hooks: Mapping[int, Callable[[Tensor], Tensor | None]],
    site: Site = "neurons",
) -> Iterator[None]:
    """Give each layer's activations to its hook, which may return others."""

    def after(hook: Callable[[Tensor], Tensor | None]) -> Callable[[Any, Any, Tensor], Tensor | None]:
        return lambda _module, _inputs, v: hook(v)

    def before(hook: Callable[[Tensor], Tensor | None]) -> Callable[[Any, tuple[Tensor]], Tensor | None]:
        return lambda _module, inputs: hook(inputs[0])

    handles = []
    for i, hook in hooks.items():
        block = block_of(layers[i])
        if site == "neurons":
            handles.append(block.outer.register_forward_pre_hook(before(hook)))
        elif site == "inputs":
            handles.append(block.inner.register_forward_pre_hook(before(hook)))
        else:
            handles.append(block.outer.register_forward_hook(after(hook)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


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
