"""Scores of neurons, and of the inputs and outputs of their blocks, by each `trelm.routing.choice`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from kgcorpus.contracts.draws import hash64, mix64_array
from trainer.trelm.routing.attribution import LogProbabilities, Method, Rows, Site, attribute
from trainer.trelm.routing.blocks import block_of
from trainer.trelm.routing.layers import Ends

if TYPE_CHECKING:
    from accelerate import Accelerator

SITES: tuple[Site, ...] = ("neurons", "inputs", "outputs")
# By site, [layers, units].
Scores = dict[Site, Tensor]


def by_attribution(
    layers: Sequence[nn.Module],
    probes: Sequence[LogProbabilities],
    sites: Sequence[Site],
    accelerator: "Accelerator",
    *,
    method: Method,
    points: int,
) -> Scores:
    """Integrated gradients of the probes' tokens (eq 9-11), averaged over the ranks."""
    found = {}
    for site in sites:
        parts = [attribute(layers, probe, method=method, points=points, site=site) for probe in probes]
        found[site] = accelerator.reduce(torch.stack(parts).sum(dim=0), "mean").cpu()
    return found


def by_gradient(
    layers: Sequence[nn.Module],
    losses: Sequence[Callable[[], Tensor]],
    sites: Sequence[Site],
    accelerator: "Accelerator",
) -> Scores:
    """Norms of the loss's gradient in each unit's weights.

    Args:
        layers: with their own feed-forward blocks.
        losses: their sum is the total loss.
        sites: a neuron's weights are its rows of W1, their biases and its column of W2; an input's are its
            column of W1, an output's its row of W2.
        accelerator: whose ranks average their gradients before the norms are taken.
    """
    blocks = [block_of(layer) for layer in layers]
    weights = [part for own in blocks for part in (own.inner.weight, own.inner.bias, own.outer.weight)]
    weights = [weight for weight in weights if weight is not None]
    asked = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(True)
    try:
        sums = [torch.zeros_like(weight) for weight in weights]
        for loss in losses:
            with torch.enable_grad():
                parts = torch.autograd.grad(loss(), weights)
            sums = [total + part for total, part in zip(sums, parts, strict=True)]
    finally:
        for weight, before in zip(weights, asked, strict=True):
            weight.requires_grad_(before)
    squares = {
        weight: accelerator.reduce(total, "mean").square().cpu()
        for weight, total in zip(weights, sums, strict=True)
    }
    found: dict[Site, list[Tensor]] = {site: [] for site in SITES}
    for own in blocks:
        first, second = squares[own.inner.weight], squares[own.outer.weight]
        rows = first.sum(dim=1)
        if own.inner.bias is not None:
            rows = rows + squares[own.inner.bias]
        found["neurons"].append(rows.view(-1, own.neurons).sum(dim=0) + second.sum(dim=0))
        found["inputs"].append(first.sum(dim=0))
        found["outputs"].append(second.sum(dim=1))
    return {site: torch.stack(found[site]).sqrt() for site in sites}


def at_random(layers: Sequence[nn.Module], sites: Sequence[Site], *, seed: int, step: int) -> Scores:
    """Uniform numbers in (0, 1), others at each step."""
    block = block_of(layers[0])
    hidden = block.inner.in_features
    sizes = {"neurons": block.neurons, "inputs": hidden, "outputs": hidden}
    return {site: _uniform(seed, f"random {site}", step, (len(layers), sizes[site])) for site in sites}


def select_ends(scores: Mapping[Site, Tensor], rows: Rows, *, share: float) -> dict[int, Ends]:
    """The inputs and outputs of the highest scores in each layer that has selected neurons.

    Args:
        scores: of `inputs` and `outputs`, [layers, hidden].
        rows: the selected neurons.
        share: of a block's inputs, and of its outputs; at least one.
    """
    count = max(1, round(share * scores["inputs"].shape[1]))

    def best(site: Site, layer: int) -> Tensor:
        return torch.argsort(scores[site][layer], descending=True, stable=True)[:count].sort().values

    return {layer: Ends(best("inputs", layer), best("outputs", layer)) for layer in rows}


def _uniform(seed: int, what: str, step: int, shape: tuple[int, int]) -> Tensor:
    keys = np.uint64(hash64(seed, what, step)) + np.arange(shape[0] * shape[1], dtype=np.uint64)
    return torch.from_numpy(((mix64_array(keys) >> np.uint64(11)) + 0.5) / (1 << 53)).view(shape)
