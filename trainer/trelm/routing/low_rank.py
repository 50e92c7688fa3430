"""LoRA (Hu et al., arXiv 2106.09685) of the feed-forward blocks: the baseline of the routing's size."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kgcorpus.contracts.draws import hash64
from trainer.objectives import Prepared
from trainer.trelm.config import TrelmConfig
from trainer.trelm.routing.blocks import Block, activate, block_of, check_blocks
from trainer.trelm.routing.optimizer_state import replace_parameters
from trainer.trelm.routing.router import Routable, dense_steps

if TYPE_CHECKING:
    from accelerate import Accelerator

_FILE = "adapters.safetensors"


class Adapted(nn.Module):
    """A dense layer with frozen weights and a product of two narrow matrices, W x + b + B A x.

    Args:
        dense: the layer; `write_back` puts W + B A into it, so that the checkpoint is a plain model.
        rank: rows of A.

    Attributes:
        frozen: [out, in], W.
        down, up: [rank, in] and [out, rank], A and B; B begins with zeros.
    """

    frozen: Tensor

    def __init__(self, dense: nn.Linear, *, rank: int) -> None:
        super().__init__()
        # In a tuple it is no submodule: its weights belong to the language model.
        self._dense = (dense,)
        self.register_buffer("frozen", dense.weight.detach().clone())
        self.down = nn.Parameter(dense.weight.new_empty(rank, dense.in_features))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)
        self.up = nn.Parameter(dense.weight.new_zeros(dense.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        whole = functional.linear(x, self.frozen, self._dense[0].bias)
        return whole + functional.linear(functional.linear(x, self.down), self.up)

    @torch.no_grad()
    def write_back(self) -> None:
        """Bring the dense layer up to date."""
        self._dense[0].weight.copy_(torch.addmm(self.frozen, self.up, self.down))


class LowRank:
    """Adapters of as many numbers as the neurons that routing would train; all else is as with a router.

    Args:
        subject: the model and its parts.
        options: of the objective.
        total_steps: of the schedule.
        seed: of the adapters' start.
    """

    def __init__(self, subject: Routable, options: TrelmConfig, *, total_steps: int, seed: int) -> None:
        self._subject, self._share, self._seed = subject, options.routing.share, seed
        self._warmup = dense_steps(options, total_steps)
        self._adapters: list[Adapted] = []

    def before_step(
        self, step: int, optimizer: torch.optim.Optimizer, accelerator: "Accelerator"
    ) -> Prepared:
        """Adapt the model once the warm-up is over."""
        if self._adapters or step < self._warmup:
            return Prepared()
        rank = self._install()
        replace_parameters(optimizer, self._subject.groups(), state={})
        return Prepared(events=({"event": "adapt", "rank": rank},), rewired=True)

    def after_step(self) -> None:
        """Bring the full weights up to date."""
        for adapter in self._adapters:
            adapter.write_back()

    def state(self) -> dict[str, Any]:
        """Nothing: `save` keeps all."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing."""

    def save(self, folder: Path) -> None:
        """Write adapters.safetensors: the frozen weights and the adapters."""
        from safetensors.torch import save_model

        if self._adapters:
            save_model(nn.ModuleList(self._adapters), str(folder / _FILE))

    def load(self, folder: Path) -> None:
        """Adapt the model as when `save` was called."""
        from safetensors.torch import load_model

        if (folder / _FILE).exists():
            self._install()
            load_model(nn.ModuleList(self._adapters), folder / _FILE)

    def _install(self) -> int:
        """Freeze all but the adapters, the heads and the injection; the adapters' rank."""
        subject = self._subject
        check_blocks(subject.packed.lm.config)
        subject.model.requires_grad_(False)
        for parameter in (*subject.heads, *subject.injection):
            parameter.requires_grad_(True)
        torch.manual_seed(hash64(self._seed, "adapters"))
        blocks = [block_of(layer) for layer in subject.packed.layers]
        rank = equal_rank(self._share, blocks[0])
        for block in blocks:
            first, second = Adapted(block.inner, rank=rank), Adapted(block.outer, rank=rank)
            self._adapters += [first, second]
            block.replace(partial(_adapted, first, second, block.gated))
        subject.model.routed = nn.ModuleList(self._adapters)
        return rank


def _adapted(first: Adapted, second: Adapted, gated: bool, x: Tensor) -> Tensor:
    y: Tensor = second(activate(first(x), gated=gated))
    return y


def equal_rank(share: float, block: Block) -> int:
    """The rank at which a block's two adapters hold as many numbers as `share` of its neurons."""
    inner, outer = block.inner, block.outer
    inward = inner.weight.numel() + (0 if inner.bias is None else inner.bias.numel())
    a_rank = sum(inner.weight.shape) + sum(outer.weight.shape)
    return max(1, round(share * (inward + outer.weight.numel()) / a_rank))
