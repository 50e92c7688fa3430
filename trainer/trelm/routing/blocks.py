"""Feed-forward blocks of transformer layers, and what is put in their place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from kgcorpus.contracts.errors import UsageError


@dataclass(frozen=True)
class Block:
    """v W2 + b2 with v = GELU(x W1 + b1), or with a gate v = GELU(a) * g, [a; g] = x W1 + b1 (ModernBERT).

    A neuron is a component of v. With a gate, two rows of W1 belong to it.

    Attributes:
        layer: whose block it is.
        inner, outer: the products before and after the activation.
        gated: whether there is a gate.
    """

    layer: Any
    inner: nn.Linear
    outer: nn.Linear
    gated: bool

    @property
    def neurons(self) -> int:
        """How many there are."""
        return self.outer.in_features

    def rows_of(self, neurons: Tensor) -> Tensor:
        """The rows of W1 and b1 that belong to neurons [k]: [k], or [2k] with those of the gate behind."""
        return torch.cat([neurons, neurons + self.neurons]) if self.gated else neurons

    def replace(self, block: Callable[[Tensor], Tensor]) -> None:
        """Let the layer call `block`, which maps [..., hidden] to [..., hidden], until `restore`."""
        if self.gated:
            # A module set as an attribute would become a child of the layer instead.
            vars(self.layer.mlp)["forward"] = block
            return
        output = self.layer.output

        # Shadows the method of the class that transformers calls.
        def feed_forward_chunk(x: Tensor) -> Tensor:
            y: Tensor = output.LayerNorm(output.dropout(block(x)) + x)
            return y

        self.layer.feed_forward_chunk = feed_forward_chunk

    def restore(self) -> None:
        """Give the layer its own block back."""
        if self.gated:
            vars(self.layer.mlp).pop("forward", None)
        else:
            vars(self.layer).pop("feed_forward_chunk", None)


def block_of(layer: Any) -> Block:
    """The block of a layer of a family that `trainer.encoders` marks with `ROUTES`."""
    if hasattr(layer, "mlp"):
        return Block(layer, layer.mlp.Wi, layer.mlp.Wo, gated=True)
    return Block(layer, layer.intermediate.dense, layer.output.dense, gated=False)


def activate(before: Tensor, *, gated: bool) -> Tensor:
    """v [..., neurons] of what W1 gives, [..., neurons] or [..., 2 neurons]."""
    if not gated:
        return gelu(before)
    first, gate = before.chunk(2, dim=-1)
    return gelu(first) * gate


def activation_gradient(of_v: Tensor, before: Tensor, *, gated: bool) -> Tensor:
    """The gradient of `before`, given that of `activate(before)`."""
    if not gated:
        return torch.ops.aten.gelu_backward(of_v, before)
    first, gate = before.chunk(2, dim=-1)
    return torch.cat([torch.ops.aten.gelu_backward(of_v * gate, first), of_v * gelu(first)], dim=-1)


def check_blocks(config: Any) -> None:
    """Check that the backward pass knows a model's blocks: the exact GELU, no dropout in between.

    Args:
        config: of the transformers model.

    Raises:
        UsageError: it does not.
    """
    name = getattr(config, "hidden_activation", None) or config.hidden_act
    if name != "gelu":
        raise UsageError(
            f"routing knows the activation gelu, the model has {name}",
            where="base_model",
            hint="Take another model, or set trelm.routing.mode=none",
        )
    if dropout := getattr(config, "mlp_dropout", 0.0):
        raise UsageError(
            f"routing knows no dropout behind the activation, the model has mlp_dropout {dropout}",
            where="base_model",
            hint="Set mlp_dropout to 0 in its config.json, or set trelm.routing.mode=none",
        )
