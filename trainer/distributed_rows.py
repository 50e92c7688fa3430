"""Tables distributed over the ranks: row i is on rank i % world, there at place i // world."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from accelerate import Accelerator

# Over all ranks.
_ROWS_A_MESSAGE = 1 << 15


class DistributedRows:
    """Which rows of a table this rank holds, and how all of them are reached.

    `read` and `collect` are called by all ranks together.

    Args:
        count: rows of the table.
        ranks: the processes; None: only this one.

    Attributes:
        rows: places of a rank's part, the same for every rank.
        shared: whether there are several ranks.
    """

    def __init__(self, count: int, ranks: "Accelerator | None" = None) -> None:
        self._count, self._ranks = count, ranks if ranks is not None and ranks.num_processes > 1 else None
        self._rank = self._ranks.process_index if self._ranks else 0
        self._world = self._ranks.num_processes if self._ranks else 1
        self.rows = -(-count // self._world)
        self.shared = self._ranks is not None

    def ids(self) -> Tensor:
        """This rank's rows of the table, in the order of their places."""
        return torch.arange(self._rank, self._count, self._world)

    def own(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the ids [n] this rank owns, and their places; no rank owns an id below 0."""
        here = (ids % self._world == self._rank) & (ids >= 0)
        return here, ids[here] // self._world

    def read(self, ids: Tensor, answer: Callable[[Tensor], Tensor]) -> Tensor:
        """Gather the rows `ids` from the ranks that own them.

        Args:
            ids: [n], the rows; of every rank its own.
            answer: places [m] -> [m, width] in float32, of the part that is held here.

        Returns:
            [n, width], on the device of `answer`.
        """
        if self._ranks is None:
            return answer(ids)
        lengths = self._ranks.gather(torch.tensor([len(ids)], device=self._ranks.device))
        # What travels at a time is the same for every number of ranks.
        size = max(1, _ROWS_A_MESSAGE // self._world)
        parts = [
            self._exchange(self._ranks, ids[first : first + size], size, answer)
            for first in range(0, int(lengths.max()), size)
        ]
        return torch.cat(parts) if parts else answer(ids)

    def _exchange(
        self, ranks: "Accelerator", ids: Tensor, size: int, answer: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """`read` for at most `size` ids of each rank."""
        device = ranks.device
        asked = ranks.gather(nn.functional.pad(ids.to(device), (0, size - len(ids)), value=-1))
        here, places = self.own(asked)
        own = answer(places.to(ids.device))
        found = torch.zeros(len(asked), own.shape[1], device=device)
        found[here] = own.to(device)
        # Of each row all ranks but one have zeros.
        found = ranks.reduce(found, "sum")
        return found[self._rank * size :][: len(ids)].to(own.device)

    def part(self, whole: Tensor) -> Tensor:
        """This rank's rows [rows, ...] of a whole table."""
        own = whole[self._rank :: self._world]
        # The last ranks may have one row fewer, and a place that no id leads to.
        return own if len(own) == self.rows else torch.cat([own, own.new_zeros(1, *own.shape[1:])])

    def collect(self, part: Tensor) -> Tensor:
        """The whole table [count, ...], on the main rank's host; on the others an empty one."""
        if self._ranks is None:
            return part
        main = self._ranks.is_main_process
        whole = torch.empty(self._count if main else 0, *part.shape[1:], dtype=part.dtype)
        size = max(1, _ROWS_A_MESSAGE // self._world)
        for first in range(0, self.rows, size):
            sent = part[first : first + size].to(self._ranks.device)
            rows = self._ranks.gather(sent).unflatten(0, (self._world, -1)).transpose(0, 1).flatten(0, 1)
            place = whole[first * self._world :][: len(rows)]
            place.copy_(rows[: len(place)])
        return whole
