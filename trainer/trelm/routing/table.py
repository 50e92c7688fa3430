"""Rows of the embedding table that routing trains: lazily, by an AdamW of their own."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.head import TrainedRows

if TYPE_CHECKING:
    from accelerate import Accelerator

_PREFIX = "table."


class TableRows(nn.Module):
    """The rows of a tied embedding table that a step touches, as one compact parameter.

    The forward pass is that of the whole table. Gradient, all-reduce and optimizer state exist for the rows
    of a step only; each row counts its own steps, so a rare token's first step is as long as any other's.

    Args:
        table: [vocabulary, hidden], frozen; `step` writes the trained rows to it.

    Attributes:
        values: [k, hidden], the weights of the rows of this step.
        rows: [k], ascending.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        # In a tuple it is no parameter of this module: it belongs to the language model.
        self._table = (table,)
        self.values = nn.Parameter(table.detach()[:0].clone())
        self._place = torch.full((len(table),), -1, device=table.device)
        # Rows that were ever trained; their moments are in the order of these slots.
        self._slot = self._place.clone()
        self._state = _State(table)
        self.prepare(self._place[:0])

    def prepare(self, rows: Tensor) -> None:
        """Train these rows [k], each once, in the step to come."""
        self.rows = rows = rows.to(self._place.device)
        self._place.fill_(-1)
        self._place[rows] = torch.arange(len(rows), device=rows.device)
        self.values.grad = None
        self.values.data = self._table[0].detach()[rows]

    def look_up(self, ids: Tensor) -> Tensor:
        """The embeddings [..., hidden] of ids [...]."""
        found: Any = _LookUp.apply
        embedded: Tensor = found(self.values, self._table[0], self._place, ids)
        return embedded

    def scores(self, states: Tensor, bias: Tensor) -> Tensor:
        """The table's products [tokens, vocabulary] with states [tokens, hidden], plus the bias."""
        found: Any = _Scores.apply
        scored: Tensor = found(states, self.values, bias, self._table[0], self.rows)
        return scored

    @property
    def trained(self) -> TrainedRows:
        """The rows that are trained, for `linear_cross_entropy`."""
        return TrainedRows(self.values, self.rows)

    def reduce_gradient(self, accelerator: "Accelerator") -> None:
        """Average the gradient over the ranks, whose rows are the same."""
        if accelerator.num_processes > 1 and len(self.rows):
            own = torch.zeros_like(self.values) if self.values.grad is None else self.values.grad
            self.values.grad = accelerator.reduce(own, "mean")

    @torch.no_grad()
    def step(self, *, lr: float, weight_decay: float, betas: tuple[float, float], eps: float) -> None:
        """One step of AdamW on the rows; they are written to the table."""
        gradient, self.values.grad = self.values.grad, None
        if gradient is None or not len(self.rows):
            return
        new = self.rows[self._slot[self.rows] < 0]
        self._slot[new] = torch.arange(len(new), device=new.device) + len(self._state.steps)
        self._state.grow(len(new))
        moved = self._state.update(self._slot[self.rows], gradient, betas=betas, eps=eps)
        self.values.mul_(1 - lr * weight_decay).sub_(moved, alpha=lr)
        self._table[0].index_copy_(0, self.rows, self.values)

    def take_moments(self, dense: dict[str, Any]) -> None:
        """Continue from the state that Adam kept for the whole table."""
        everything = torch.arange(len(self._slot), device=self._slot.device)
        self._slot.copy_(everything)
        self._state.first, self._state.second = dense["exp_avg"].clone(), dense["exp_avg_sq"].clone()
        self._state.steps = torch.full_like(everything, int(dense["step"]))

    def state(self) -> dict[str, Tensor]:
        """Row numbers [n], moments [n, hidden] and steps [n] of the rows that were ever trained."""
        trained = (self._slot >= 0).nonzero().flatten()
        order = self._slot[trained]
        state = self._state
        named = {
            "rows": trained,
            "first": state.first[order],
            "second": state.second[order],
            "steps": state.steps[order],
        }
        return {_PREFIX + name: tensor.cpu().contiguous() for name, tensor in named.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `state` gave; its entries are removed from `tensors`."""
        device = self._slot.device
        rows, first, second, steps = (
            tensors.pop(_PREFIX + name).to(device) for name in ("rows", "first", "second", "steps")
        )
        self._slot.fill_(-1)
        self._slot[rows] = torch.arange(len(rows), device=device)
        self._state.first, self._state.second, self._state.steps = first, second, steps


class _State:
    """Adam's moments [n, hidden] and steps [n] of rows."""

    def __init__(self, table: Tensor) -> None:
        self.first = table.detach()[:0].clone()
        self.second = self.first.clone()
        self.steps = torch.zeros(0, dtype=torch.long, device=table.device)

    def grow(self, count: int) -> None:
        """Add rows without moments."""
        self.first, self.second = (
            functional.pad(moment, (0, 0, 0, count)) for moment in (self.first, self.second)
        )
        self.steps = functional.pad(self.steps, (0, count))

    def update(self, at: Tensor, gradient: Tensor, *, betas: tuple[float, float], eps: float) -> Tensor:
        """Take the gradient [k, hidden] of the rows `at` [k] in; return the direction of their step."""
        self.steps[at] += 1
        done = self.steps[at].to(torch.float64)[:, None]
        first = torch.lerp(gradient, self.first[at], betas[0])
        second = torch.lerp(gradient.square(), self.second[at], betas[1])
        self.first[at], self.second[at] = first, second
        corrections = [(1 - beta**done).to(gradient.dtype) for beta in betas]
        return (first / corrections[0]) / ((second / corrections[1]).sqrt() + eps)


class _LookUp(torch.autograd.Function):
    """table[ids], differentiated in the rows that have a place in `values`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, table: Tensor, place: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(place[ids.flatten()])
        ctx.shape = values.shape
        return functional.embedding(ids, table)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (at,) = ctx.saved_tensors
        own = at >= 0
        of_values = grads[0].new_zeros(ctx.shape)
        of_values.index_add_(0, at[own], grads[0].flatten(0, -2)[own])
        return of_values, None, None, None


class _Scores(torch.autograd.Function):
    """states table' + bias, differentiated in the states, the trained rows and the bias."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, values: Tensor, bias: Tensor, table: Tensor, rows: Tensor
    ) -> Tensor:
        kind = states.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
        states, table = states.to(dtype), table.to(dtype)
        ctx.save_for_backward(states, table, rows)
        return functional.linear(states, table, bias.to(dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states, table, rows = ctx.saved_tensors
        needs_states, needs_values, needs_bias = ctx.needs_input_grad[:3]
        return (
            grads[0] @ table if needs_states else None,
            grads[0].index_select(1, rows).T @ states if needs_values else None,
            grads[0].sum(dim=0) if needs_bias else None,
            None,
            None,
        )


def joined(rows: Tensor, accelerator: "Accelerator") -> Tensor:
    """The rows that any rank touches, ascending, each once."""
    if accelerator.num_processes > 1:
        padded = accelerator.pad_across_processes(rows.to(accelerator.device), pad_index=-1)
        rows = accelerator.gather(padded)
    rows = rows.unique()
    return rows[rows >= 0]
