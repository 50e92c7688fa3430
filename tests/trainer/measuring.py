"""What a computation allocates, and metrics without what a machine takes for them."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements of a tensor that torch made while this was active."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple) else (made,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return made


# Fields of a line of metrics that differ from run to run.
COSTS = {
    *("seconds", "cpu_seconds", "valid_seconds"),
    *("tokens_per_second", "facts_per_second", "data_share", "peak_memory_mib", "mfu"),
}


def without_costs(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of metrics without these fields."""
    return [{name: value for name, value in line.items() if name not in COSTS} for line in lines]
