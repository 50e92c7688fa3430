"""JAKET's entity context embedding memory (arXiv 2010.00796, section 3.5): E^0, without gradient."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.distributed_rows import DistributedRows
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import Entities
from trainer.jaket.model import JaketModel
from trainer.packing import Packed, pack

if TYPE_CHECKING:
    from accelerate import Accelerator

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_ENTITIES_PER_FORWARD = 256


def sweep_interval(sweep: int, *, first: int = 10, last: int = 500) -> int:
    """Steps before the sweep of that number, from 0: min(first 2^floor(i / 3), last)."""
    return int(min(first * 2 ** min(sweep // 3, 32), last))


class EntityMemory:
    """One embedding an entity, swept by LM1 at growing intervals and read by index.

    It is filled before the first step; the sweep of number i follows `sweep_interval(i)` steps after the one
    before. A full sweep keeps `memory_momentum` of each old embedding. A sweep of a share keeps
    memory_momentum^(1 / share) of the embeddings that it reads, so that the fill and old parameters lose
    weight as fast as under full sweeps. Of several ranks each holds and sweeps its share of the entities.

    Args:
        entities: whose descriptions are read.
        hidden: size d of an embedding.
        options: momentum, share, intervals and dtype.
        pad: id of the padding token.
        ranks: the processes; None: only this one, on the CPU.

    Attributes:
        values: [entities / ranks, d], on the ranks' device.
        filled: whether `fill` was called, or a state loaded.
        sweeps: sweeps done after the fill.
    """

    def __init__(
        self,
        entities: Entities,
        *,
        hidden: int,
        options: JaketConfig,
        pad: int,
        ranks: "Accelerator | None" = None,
    ) -> None:
        self._entities, self._options, self._pad = entities, options, pad
        self._shard = DistributedRows(len(entities), ranks)
        self.values = torch.zeros(
            self._shard.rows,
            hidden,
            dtype=_DTYPES[options.memory_dtype],
            device=ranks.device if ranks is not None else None,
        )
        self.filled, self.sweeps = False, 0

    def due(self, step: int) -> bool:
        """Whether a fill or sweep precedes the step after `step` steps."""
        intervals = (
            sweep_interval(
                i, first=self._options.memory_first_interval, last=self._options.memory_last_interval
            )
            for i in range(self.sweeps + 1)
        )
        return not self.filled or step >= sum(intervals)

    def update(self, model: JaketModel, *, bf16: bool = False) -> dict[str, Any]:
        """Fill an empty memory, or sweep; every rank reads the descriptions of its own entities.

        A sweep of a share takes up where the last one ended.

        Returns:
            The event: what was done, entities, tokens and seconds.
        """
        began = time.monotonic()
        count = len(self._entities)
        if not self.filled:
            which, keep = np.arange(count), 0.0
            event: dict[str, Any] = {"event": "memory_fill"}
        else:
            size = max(1, round(count * self._options.memory_share))
            which = (self.sweeps * size + np.arange(size)) % count
            keep = self._options.memory_momentum ** (count / size)
            event = {"event": "memory_sweep", "sweep": self.sweeps}
            self.sweeps += 1
        self.filled = True
        training = model.training
        model.eval()
        here, places = self._shard.own(torch.from_numpy(which))
        own = which[here.numpy()]
        for first in range(0, len(own), _ENTITIES_PER_FORWARD):
            part = slice(first, first + _ENTITIES_PER_FORWARD)
            place = places[part].to(self.values.device)
            fresh = encode(model, self._entities, own[part], pad=self._pad, bf16=bf16)
            self.values[place] = (keep * self.values[place].float() + (1 - keep) * fresh).to(
                self.values.dtype
            )
        model.train(training)
        tokens = int((self._entities.starts[which + 1] - self._entities.starts[which]).sum())
        return {**event, "entities": len(which), "tokens": tokens, "seconds": time.monotonic() - began}

    @property
    def shared(self) -> bool:
        """Whether other ranks hold a part."""
        return self._shard.shared

    def read(self, entities: Tensor) -> Tensor:
        """The embeddings [n, d] of entities [n] in float32; ranks that share it call this together."""
        return self._shard.read(entities, lambda places: self.values[places].float())

    def collect(self) -> Tensor:
        """All embeddings [entities, d], on the main rank; called by all ranks together."""
        return self._shard.collect(self.values)

    def load(self, whole: Tensor) -> None:
        """Take this rank's part of what `collect` gave."""
        self.values.copy_(self._shard.part(whole))


@torch.no_grad()
def encode(
    model: JaketModel, entities: Entities, which: NDArray[np.int64], *, pad: int, bf16: bool = False
) -> Tensor:
    """E^0_j = (Z[s] + Z[o]) / 2 [entities, d] in float32: LM1's states at the ends of each own mention.

    The model must be in evaluation mode; its device is used.
    """
    parts = [
        which[first : first + _ENTITIES_PER_FORWARD] for first in range(0, len(which), _ENTITIES_PER_FORWARD)
    ]
    return torch.cat([_encode(model, entities, part, pad=pad, bf16=bf16) for part in parts])


def pack_descriptions(
    entities: Entities, which: NDArray[np.int64], *, pad: int
) -> tuple[Packed, NDArray[np.int64]]:
    """Descriptions side by side, and where in the flattened rows each own mention ends [entities, 2]."""
    sizes = entities.starts[which + 1] - entities.starts[which]
    ids = np.concatenate([entities.tokens[entities.starts[i] : entities.starts[i + 1]] for i in which])
    packed = pack(ids, sizes, length=int(sizes.max()), pad=pad)
    return packed, packed.flat[(np.cumsum(sizes) - sizes)[:, None] + entities.spans[which]]


def _encode(
    model: JaketModel, entities: Entities, which: NDArray[np.int64], *, pad: int, bf16: bool
) -> Tensor:
    device = model.device
    packed, ends = pack_descriptions(entities, which, pad=pad)
    rows = (torch.from_numpy(x).to(device) for x in (packed.ids, packed.segments, packed.positions))
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        states = model.lower(*rows)
    return states.flatten(0, 1)[torch.from_numpy(ends).to(device)].float().mean(dim=1)
