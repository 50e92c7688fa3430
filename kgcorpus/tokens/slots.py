"""Rows of labels with link masks between them: which slot and sentence each token belongs to."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

LINK = "[mask]"


def encode_slots(
    rows: pa.RecordBatch | pa.Table, tokenizer: "Tokenizer", *, mask_token: str
) -> tuple[list["Encoding"], dict[str, pa.Array]]:
    """Encode rows of `code_switched` or `reasoning`; their links become the mask token.

    Each token is given its slot (0 outside, 1 head, 2 relation, 3 tail) and sentence (-1 outside) by the
    tokenizer's own offsets, never by what the token looks like: labels hold full stops and bars. A link
    stands outside every slot.

    Returns:
        The encodings, and the columns kind, slot and sentence.
    """
    texts = rows.column("text").to_pylist()
    spans = list(_spans(rows.column("slots")))
    linked = [_mask_links(text, s, mask_token) for text, s in zip(texts, spans, strict=True)]
    encodings = tokenizer.encode_batch([text for text, _ in linked])
    pairs = [_locate(encoding, s) for encoding, (_, s) in zip(encodings, linked, strict=True)]
    return encodings, {
        "kind": rows.column("kind"),
        "slot": pa.array([slot for slot, _ in pairs], pa.list_(pa.int8())),
        "sentence": pa.array([sentence for _, sentence in pairs], pa.list_(pa.int16())),
    }


def _spans(slots: pa.Array | pa.ChunkedArray) -> Iterable[NDArray[np.int64]]:
    """Each row's slots as [slots, 4] (start, end, slot, sentence), in the order of the text."""
    if isinstance(slots, pa.ChunkedArray):
        slots = slots.combine_chunks()
    flat = slots.flatten()
    fields = [flat.field(name).to_numpy() for name in ("start", "end", "slot", "sentence")]
    table = np.stack(fields, axis=1).astype(np.int64)
    lengths = slots.value_lengths().to_numpy()
    for row in np.split(table, np.cumsum(lengths))[:-1]:
        yield row[np.argsort(row[:, 0], kind="stable")]


def _mask_links(text: str, spans: NDArray[np.int64], mask_token: str) -> tuple[str, NDArray[np.int64]]:
    """The text with the links outside the spans replaced, and the spans moved accordingly."""
    pieces, moved, end, length = [], spans.copy(), 0, 0
    for i, (start, stop) in enumerate(spans[:, :2].tolist()):
        gap = text[end:start].replace(LINK, mask_token)
        moved[i, :2] = length + len(gap), length + len(gap) + stop - start
        pieces += [gap, text[start:stop]]
        end, length = stop, length + len(gap) + stop - start
    return "".join([*pieces, text[end:].replace(LINK, mask_token)]), moved


def _locate(encoding: "Encoding", spans: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """Each token's slot and sentence: those of the span that it shares a character with."""
    if not len(spans):
        return np.zeros(len(encoding.ids), np.int8), np.full(len(encoding.ids), -1, np.int16)
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    shared = (offsets[:, :1] < spans[:, 1]) & (offsets[:, 1:] > spans[:, 0])
    inside, which = shared.any(axis=1), shared.argmax(axis=1)
    slot = np.where(inside, spans[which, 2], 0).astype(np.int8)
    return slot, np.where(inside, spans[which, 3], -1).astype(np.int16)
