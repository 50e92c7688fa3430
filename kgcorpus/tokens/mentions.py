"""Conversion of spans in characters to spans in tokens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Encoding

    from kgcorpus.tokens.slots import Joined


def token_lists(spans: pa.Array | pa.ChunkedArray, encodings: Sequence["Encoding | Joined"]) -> pa.ListArray:
    """Convert the `start` and `end` of structs in lists from characters to tokens.

    Args:
        spans: [rows], each a list of structs; their other fields are kept.
        encodings: [rows].

    Returns:
        [rows]; spans that overlap no token are left out.
    """
    if isinstance(spans, pa.ChunkedArray):
        spans = spans.combine_chunks()
    flat, lengths = spans.flatten(), spans.value_lengths().to_numpy()
    row = np.repeat(np.arange(len(lengths)), lengths)
    starts, ends = token_spans(flat.field("start"), flat.field("end"), encodings, row)
    columns = {field.name: flat.field(field.name) for field in flat.type}
    columns |= {"start": pa.array(starts, pa.int32()), "end": pa.array(ends, pa.int32())}
    kept = np.flatnonzero(ends > starts)
    structs = pa.StructArray.from_arrays(list(columns.values()), fields=list(flat.type)).take(pa.array(kept))
    sizes = np.bincount(row[kept], minlength=len(lengths))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), structs)


def token_spans(
    starts: pa.Array, ends: pa.Array, encodings: Sequence["Encoding | Joined"], row: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Find the tokens that overlap each span, by the tokenizer's offsets.

    Args:
        starts, ends: [spans] in characters; a null span overlaps no token.
        encodings: [rows].
        row: [spans] index of each span's encoding, ascending.

    Returns:
        start and end [spans] in tokens; both 0 if no token overlaps the span.
    """
    first, last = np.zeros(len(row), np.int32), np.zeros(len(row), np.int32)
    start, end = (side.fill_null(-1).to_numpy(zero_copy_only=False) for side in (starts, ends))
    bounds = np.searchsorted(row, np.arange(len(encodings) + 1))
    for i, encoding in enumerate(encodings):
        here = slice(bounds[i], bounds[i + 1])
        if here.start == here.stop:
            continue
        offsets: NDArray[Any] = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        # Special tokens have empty offsets (0, 0), which overlap nothing.
        shared = (offsets[:, :1] < end[here]) & (offsets[:, 1:] > start[here])
        shared &= (offsets[:, 1:] > offsets[:, :1]) & (start[here] >= 0)
        found = shared.any(axis=0)
        first[here] = np.where(found, shared.argmax(axis=0), 0)
        last[here] = np.where(found, len(offsets) - shared[::-1].argmax(axis=0), 0)
    return first, last
