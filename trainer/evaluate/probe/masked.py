"""What a masked language model says at the masks of many sequences at once."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.models import PackedMaskedLM
from trainer.packing import pack

_SEQUENCES_PER_FORWARD = 64


@torch.inference_mode()
def log_probabilities(
    lm: PackedMaskedLM,
    sequences: Sequence[NDArray[np.int32]],
    starts: Sequence[int],
    masks: Sequence[int],
    *,
    pad: int,
) -> Iterator[NDArray[np.float32]]:
    """For each sequence, the log-probabilities [masks, vocabulary] at its masks.

    Args:
        sequences: token ids, special tokens included.
        starts: where the masks of each begin; they stand side by side.
        masks: how many they are.
        pad: id of the padding token.
    """
    device = next(lm.parameters()).device
    for first in range(0, len(sequences), _SEQUENCES_PER_FORWARD):
        part = slice(first, first + _SEQUENCES_PER_FORWARD)
        sizes = np.array([len(x) for x in sequences[part]], np.int64)
        packed = pack(np.concatenate(sequences[part]), sizes, length=int(sizes.max()), pad=pad)
        places = [
            packed.flat[o + s : o + s + m]
            for o, s, m in zip(np.cumsum(sizes) - sizes, starts[part], masks[part], strict=True)
        ]
        rows = (torch.from_numpy(x).to(device) for x in (packed.ids, packed.segments, packed.positions))
        where = torch.from_numpy(np.concatenate(places)).to(device)
        logits = lm.logits(lm.states(*rows).flatten(0, 1)[where]).float()
        yield from np.split(logits.log_softmax(dim=-1).cpu().numpy(), np.cumsum(masks[part])[:-1])
