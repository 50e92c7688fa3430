"""Attention within records: exact, without a score or a mask for two tokens of different records.

Rows contain several records (`trainer.packing`). The records are grouped by length, and each group is one
batch of `scaled_dot_product_attention`, so that memory and time follow the records' lengths, not the rows'.
On a GPU all records are one jagged batch, for which torch has kernels of variable length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

# The name of `attend_layer` for `attn_implementation` of transformers.
WITHIN_RECORDS = "kgcorpus_records"
# A group contains records of at least this share of its longest, and all those of at most so many tokens.
_SHORTEST_SHARE, _SHORT = 0.75, 16


@dataclass(frozen=True)
class Group:
    """Records that are attended to as one batch.

    Attributes:
        sizes: [records], tokens of each.
        length: tokens of the longest.
        visible: [records, length], False behind a record's end; None if all records are equally long.
    """

    sizes: Tensor
    length: int
    visible: Tensor | None


@dataclass(frozen=True)
class Records:
    """Where the records are in the flattened rows.

    Attributes:
        groups: the records, longest first. Their slots follow one another: records * length of each group.
        token_of_slot: [slots], the token in the flattened rows; behind a record's end its first token again.
        slot_of_token: [rows * length]; 0 for padding.
        padding: [rows * length], True where no record is; None if there is no such token.
        starts: [records + 1], first token of each run of the rows (a record, or padding), and the end of all.
        longest: tokens of the longest run.
    """

    groups: tuple[Group, ...]
    token_of_slot: Tensor
    slot_of_token: Tensor
    padding: Tensor | None
    starts: Tensor
    longest: int

    @classmethod
    @torch.compiler.disable
    def of(cls, segments: Tensor) -> "Records":
        """The records of packed rows.

        Args:
            segments: [rows, length], of `trainer.packing.Packed`.
        """
        rows, device = segments.detach().cpu().numpy(), segments.device
        changes = np.ones(rows.shape, bool)
        changes[:, 1:] = rows[:, 1:] != rows[:, :-1]
        runs = np.flatnonzero(changes)
        ends = np.append(runs[1:], rows.size)
        real = rows.ravel()[runs] != 0
        starts, sizes = runs[real], (ends - runs)[real]
        order = np.argsort(-sizes, kind="stable")
        starts, sizes = starts[order], sizes[order]
        slot_of_token = np.zeros(rows.size, np.int64)
        groups, tokens, slots = [], [np.empty(0, np.int64)], 0
        for part in _by_length(sizes):
            inside = np.arange(sizes[part.start])[None, :] < sizes[part, None]
            place = np.arange(inside.shape[1])[None, :] * inside + starts[part, None]
            slot_of_token[place[inside]] = slots + np.flatnonzero(inside)
            tokens.append(place.ravel())
            slots += inside.size
            visible = None if inside.all() else torch.from_numpy(inside).to(device)
            groups.append(Group(torch.from_numpy(sizes[part]).to(device), inside.shape[1], visible))
        padding = rows.ravel() == 0
        return cls(
            tuple(groups),
            torch.from_numpy(np.concatenate(tokens)).to(device),
            torch.from_numpy(slot_of_token).to(device),
            torch.from_numpy(padding).to(device) if padding.any() else None,
            torch.from_numpy(np.append(runs, rows.size)).to(device),
            int((ends - runs).max(initial=0)),
        )


def _by_length(sizes: NDArray[np.int64]) -> Sequence[slice]:
    """Groups of records, whose sizes fall."""
    parts, first = [], 0
    while first < len(sizes):
        least = sizes[first] * _SHORTEST_SHARE if sizes[first] > _SHORT else 0
        end = int(np.searchsorted(-sizes, -least, side="right"))
        parts.append(slice(first, end))
        first = end
    return parts


class _ToSlots(torch.autograd.Function):
    """Rows [tokens, ...] to slots [slots, ...], and back the gradient, which is 0 behind a record's end."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, records: Records) -> Tensor:
        ctx.records = records
        return rows.index_select(0, records.token_of_slot)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _from_slots(gradient, ctx.records), None


class _FromSlots(torch.autograd.Function):
    """Slots [slots, ...] to rows [tokens, ...], 0 at padding, and the gradient back."""

    @staticmethod
    def forward(ctx: Any, slots: Tensor, records: Records) -> Tensor:
        ctx.records = records
        return _from_slots(slots, records)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        found = gradient.index_select(0, ctx.records.token_of_slot)
        for part, group in zip(_split(found, ctx.records), ctx.records.groups, strict=True):
            if group.visible is not None:
                part.masked_fill_(~group.visible[:, :, None, None], 0)
        return found, None


def _from_slots(slots: Tensor, records: Records) -> Tensor:
    rows = slots.index_select(0, records.slot_of_token)
    return rows if records.padding is None else rows.masked_fill_(records.padding[:, None, None], 0)


def _split(slots: Tensor, records: Records) -> Sequence[Tensor]:
    """Each group's slots [records, length, heads, size]."""
    groups = records.groups
    parts = slots.split([len(group.sizes) * group.length for group in groups])
    return [part.unflatten(0, (-1, group.length)) for part, group in zip(parts, groups, strict=True)]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    records: Records,
    *,
    dropout: float = 0.0,
    scale: float | None = None,
    window: int | None = None,
) -> Tensor:
    """Softmax attention of each token to those of its own record, [rows, length, heads, size].

    The result at padding is 0 on a CPU.

    Args:
        query, key, value: [rows, heads, length, size].
        records: of the rows.
        dropout: share of the weights that are left out.
        scale: of the scores; None: size^-0.5.
        window: tokens on either side that a token sees at most; None: all.
    """
    if window is not None and records.longest <= window + 1:
        window = None
    # [rows * length, heads, size]: no copy, for transformers makes these views of [rows, length, ...].
    flat = tuple(part.transpose(1, 2).flatten(0, 1) for part in (query, key, value))
    if query.is_cuda and window is None:
        found = jagged(flat, records, dropout=dropout, scale=scale)
    else:
        found = grouped(flat, records, dropout=dropout, scale=scale, window=window)
    return found.unflatten(0, (query.shape[0], query.shape[2]))


def jagged(inputs: Sequence[Tensor], records: Records, *, dropout: float, scale: float | None) -> Tensor:
    """The attention [tokens, heads, size] as one batch of sequences of different lengths.

    Args:
        inputs: queries, keys and values [tokens, heads, size].
        records, dropout, scale: as of `attend`. Padding attends to the padding beside it.
    """
    query, key, value = (
        torch.nested.nested_tensor_from_jagged(
            part.contiguous(), records.starts, min_seqlen=1, max_seqlen=records.longest
        ).transpose(1, 2)
        for part in inputs
    )
    found: Any = scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scale)
    values: Tensor = found.transpose(1, 2).contiguous().values()
    return values


def grouped(
    inputs: Sequence[Tensor], records: Records, *, dropout: float, scale: float | None, window: int | None
) -> Tensor:
    """The attention [tokens, heads, size], group by group.

    Args:
        inputs: queries, keys and values [tokens, heads, size].
        records, dropout, scale, window: as of `attend`.
    """

    def attend_group(group: Group, *parts: Tensor) -> Tensor:
        query, key, value = (part.transpose(1, 2) for part in parts)
        if window is None or group.length <= window + 1:
            mask = None if group.visible is None else group.visible[:, None, None, :]
            states = scaled_dot_product_attention(
                query, key, value, attn_mask=mask, dropout_p=dropout, scale=scale
            )
        else:
            states = _in_windows((query, key, value), group.sizes, window, dropout=dropout, scale=scale)
        return states.transpose(1, 2)

    return map_records(attend_group, inputs, records)


def map_records(compute: Callable[..., Tensor], inputs: Sequence[Tensor], records: Records) -> Tensor:
    """What `compute` makes of the records, group by group, [tokens, heads, size], 0 at padding.

    Args:
        compute: gets a group and its part of each input [records, length, heads, size]; returns one such.
        inputs: [tokens, heads, size].
        records: of the rows.
    """
    if not records.groups:
        return inputs[-1] * 0
    slots = [_split(_ToSlots.apply(part, records), records) for part in inputs]
    parts = zip(records.groups, *slots, strict=True)
    found = [compute(group, *own).flatten(0, 1) for group, *own in parts]
    joined: Tensor = _FromSlots.apply(torch.cat(found), records)
    return joined


def _in_windows(
    inputs: Sequence[Tensor], sizes: Tensor, window: int, *, dropout: float, scale: float | None
) -> Tensor:
    """The attention [records, heads, length, size] to the `window` tokens on either side.

    The queries are cut into chunks; a chunk reads the keys from `window` before it to `window` behind it.

    Args:
        inputs: queries, keys and values [records, heads, length, size].
        sizes: [records].
    """
    records, _, length, _ = inputs[0].shape
    chunk = max(window, _SHORT)
    chunks = -(-length // chunk)
    behind, width = chunks * chunk - length, chunk + 2 * window
    query = pad(inputs[0], (0, 0, 0, behind)).unflatten(2, (chunks, chunk)).transpose(1, 2).flatten(0, 1)
    key, value = (
        pad(part, (0, 0, window, window + behind))
        .unfold(2, width, chunk)
        .permute(0, 2, 1, 4, 3)
        .flatten(0, 1)
        for part in inputs[1:]
    )
    own = torch.arange(chunk, device=sizes.device)[:, None]
    other = torch.arange(width, device=sizes.device)[None, :] - window
    near = (own - other).abs() <= window
    first = torch.arange(0, chunks * chunk, chunk, device=sizes.device)[None, :, None, None]
    size = sizes[:, None, None, None]
    real = (first + other >= 0) & (first + other < size)
    # A query behind the end sees all keys nearby: without any its state would be nan.
    mask = near & (real | (first + own >= size))
    found = scaled_dot_product_attention(
        query, key, value, attn_mask=mask.flatten(0, 1)[:, None], dropout_p=dropout, scale=scale
    )
    states: Tensor = found.unflatten(0, (records, chunks)).transpose(1, 2).flatten(2, 3)
    return states[:, :, :length]


@torch.compiler.disable
def attend_layer(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    records: Records | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The attention of a layer of transformers (`AttentionInterface`).

    Args:
        module, query, key, value, attention_mask, dropout, scaling: as transformers gives them.
        sliding_window: one more than the tokens on either side that a token sees.
        records: of the rows; None: `attention_mask` says what a token sees, as in "sdpa".
        others: not read here.
    """
    if records is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        given = {"dropout": dropout, "scaling": scaling, **others}
        states, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **given)
        return states, None
    window = None if sliding_window is None else sliding_window - 1
    return attend(query, key, value, records, dropout=dropout, scale=scaling, window=window), None


def register() -> None:
    """Let transformers know `WITHIN_RECORDS`; a second call changes nothing."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(WITHIN_RECORDS, attend_layer)
    AttentionMaskInterface.register(WITHIN_RECORDS, sdpa_mask)
