"""Deterministic sums on a CPU: the same seed gives the same bytes, whatever order threads finish in."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def deterministic_on_cpu() -> Iterator[None]:
    """Let sums have one order on a CPU; serves as a decorator too.

    The gradient of `x[index]` is added up by all threads at once, so that rounding differs from run to run.
    Where there is a GPU nothing is changed: it needs settings made before the process starts
    (torch.use_deterministic_algorithms tells which), and is slower with them.
    """
    if torch.cuda.is_available():
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    # Kept in a module whose attributes are made by a class: type checkers do not see them.
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # It would write every new tensor twice.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled
