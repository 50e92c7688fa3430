"""A barrier for the ranks of a run that waits as long as the preparation of a corpus takes.

The barriers of `accelerate` end after the process group's timeout, 10 minutes with NCCL. These belong to a
process group of their own.
"""

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator

# A timeout of more milliseconds than an int32 has is not safe.
_WAIT = timedelta(days=14)


class PatientBarrier:
    """A barrier of all ranks with a timeout of two weeks; all of them make it, then call it together.

    Args:
        accelerator: of the run.
    """

    def __init__(self, accelerator: "Accelerator") -> None:
        self._main = accelerator.is_main_process
        self._wait: Callable[[], object] = lambda: None
        if accelerator.num_processes > 1:
            group = distributed.new_group(backend="gloo", timeout=_WAIT)
            self._wait = lambda: distributed.barrier(group=group)

    def __call__(self) -> None:
        """Wait until every rank is here."""
        self._wait()

    @contextmanager
    def main_first(self) -> "Iterator[None]":
        """Let the main rank through the block, then the others."""
        if not self._main:
            self._wait()
        yield
        if self._main:
            self._wait()
