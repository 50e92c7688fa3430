"""DeBERTa's attention and convolution (arXiv 2006.03654, 2111.09543) within the records of packed rows."""

from typing import Any

import torch
from torch import Tensor

from trainer.attention import Group, Records, map_records


@torch.compiler.disable
def attend_by_distances(attention: Any, states: Tensor, distances: Tensor, records: Records) -> Tensor:
    """The attention [rows, length, hidden] of each token to those of its own record.

    All scores of a record exist at once: [records, heads, length, length] of records of similar length.

    Args:
        attention: of a layer of transformers.
        states: [rows, length, hidden].
        distances: [distances, hidden], their embeddings.
        records: of the rows.
    """

    def attend(group: Group, part: Tensor) -> Tensor:
        # Behind a record's end any state will do; what is computed there is left out.
        visible = part.new_ones(1, 1, 1, 1) if group.visible is None else group.visible[:, None, None, :]
        context: Tensor = attention(part.squeeze(2), visible, rel_embeddings=distances)[0]
        return context.unsqueeze(2)

    flat = states.flatten(0, 1).unsqueeze(1)
    return map_records(attend, [flat], records).view_as(states)


@torch.compiler.disable
def convolve(convolution: Any, inputs: Tensor, states: Tensor, records: Records) -> Tensor:
    """The states behind the convolution beside layer 0 (v2 XL and XXL), [rows, length, hidden].

    Args:
        convolution: of the model.
        inputs, states: [rows, length, hidden], what layer 0 reads and gives.
        records: of the rows.
    """

    def mix(group: Group, *parts: Tensor) -> Tensor:
        entering, leaving = (part.squeeze(2) for part in parts)
        visible = entering.new_ones(entering.shape[:2])
        if group.visible is not None:
            visible = group.visible.to(entering.dtype)
            entering = entering * visible[..., None]
        found: Tensor = convolution(entering, leaving, visible)
        return found.unsqueeze(2)

    flat = [part.flatten(0, 1).unsqueeze(1) for part in (inputs, states)]
    return map_records(mix, flat, records).view_as(states)
