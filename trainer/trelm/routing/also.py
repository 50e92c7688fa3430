"""What routing trains besides the selected neurons and the heads (`trelm.routing.also`)."""

from collections.abc import Collection

from torch import nn

from trainer.masked_lm import PackedMaskedLM
from trainer.trelm.config import Also

# The parts of a layer; the others are rows of the embedding table.
LAYER_PARTS = frozenset({"attention", "norms", "biases", "feed_forward"})


def parameters_of(packed: PackedMaskedLM, also: Collection[Also], *, lowest: int) -> list[nn.Parameter]:
    """The parameters that `also` names in the layers from `lowest` up, and with `biases` the head's bias."""
    found = [
        parameter
        for layer in packed.layers[lowest:]
        for name, parameter in layer.named_parameters()
        if part_of(name) in also
    ]
    if "biases" in also and isinstance(packed.bias, nn.Parameter):
        found.append(packed.bias)
    return found


def part_of(name: str) -> Also:
    """The part that a layer's parameter belongs to, by its name in the layers of BERT and ModernBERT."""
    if "norm" in name.lower():
        return "norms"
    if name.endswith(".bias"):
        return "biases"
    return "attention" if name.startswith(("attention.", "attn.")) else "feed_forward"


def first_layer(lowest_layer: float, layers: int) -> int:
    """The lowest layer that may be trained; `lowest_layer`: a number of layers, or below 1 their share."""
    return round(lowest_layer * layers) if lowest_layer < 1 else int(lowest_layer)
