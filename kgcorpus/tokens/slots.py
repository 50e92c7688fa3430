"""Tokenization of KMLM's records: the slot and the sentence of each token."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kgcorpus.contracts.errors import InputError
from kgcorpus.special_tokens import as_plain_text, plain_ids, special_ids

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

LINK = "[mask]"


class Joined(NamedTuple):
    """Like a tokenizer's `Encoding`: token ids, and their [start, end) in code points of the text.

    Special tokens added around the text have the offsets (0, 0).
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


def encode_slots(
    rows: pa.RecordBatch | pa.Table, tokenizer: "Tokenizer", *, mask_token: str
) -> tuple[list["Encoding | Joined"], dict[str, pa.Array]]:
    """Encode rows of `code_switched` or `reasoning`; `[mask]` between slots becomes the mask token.

    Each token gets a slot (0 outside, 1 head, 2 relation, 3 tail) and a sentence (-1 outside) from the
    tokenizer's offsets. The token's text is not used, because labels may contain full stops and bars. Mask
    tokens between slots are outside every slot. A label that spells a special token (`[SEP]`, `<s>`) is
    encoded as plain text.

    Returns:
        The encodings, and the columns kind, slot and sentence.
    """
    texts = rows.column("text").to_pylist()
    spans = list(_spans(rows.column("slots")))
    linked = [_mask_links(text, s, mask_token) for text, s in zip(texts, spans, strict=True)]
    whole = tokenizer.encode_batch([text for text, _ in linked])
    encodings: list[Encoding | Joined] = list(whole)
    if special := _special_tokens(tokenizer):
        reads_more = _more_special_tokens_than_links(tokenizer, mask_token)
        for number, (text, s) in enumerate(zip(texts, spans, strict=True)):
            if special.search(text) or reads_more(whole[number], linked[number][0]):
                encodings[number] = _encode_apart(text, s, tokenizer, mask_token)
    pairs = [_locate(encoding, s) for encoding, (_, s) in zip(encodings, linked, strict=True)]
    return encodings, {
        "kind": rows.column("kind"),
        "slot": pa.array([slot for slot, _ in pairs], pa.list_(pa.int8())),
        "sentence": pa.array([sentence for _, sentence in pairs], pa.list_(pa.int16())),
    }


def _special_tokens(tokenizer: "Tokenizer") -> re.Pattern[str] | None:
    """Pattern of the tokenizer's special tokens, at any position of a text."""
    tokens = tokenizer.get_added_tokens_decoder().values()
    spelled = sorted(re.escape(token.content) for token in tokens if token.special and token.content)
    return re.compile("|".join(spelled)) if spelled else None


def _more_special_tokens_than_links(
    tokenizer: "Tokenizer", mask_token: str
) -> "Callable[[Encoding, str], bool]":
    """Predicate: a Unigram model found a special token in a label that has none (NFKC of fullwidth `<s>`)."""
    special = special_ids(tokenizer)

    def reads_more(encoding: "Encoding", linked: str) -> bool:
        from_text = sum(map(special.__contains__, encoding.ids)) - sum(encoding.special_tokens_mask)
        return from_text > linked.count(mask_token)

    return reads_more


def _encode_apart(text: str, spans: NDArray[np.int64], tokenizer: "Tokenizer", mask_token: str) -> Joined:
    """Encode the pieces between the links as plain text, joined by the mask token.

    Offsets refer to the text that `_mask_links` returns.
    """
    mask = tokenizer.token_to_id(mask_token)
    if mask is None:
        raise InputError(f"has no token {mask_token}", where="tokenizer", hint="Name its mask token")
    added = tokenizer.get_added_tokens_decoder()[mask]
    frame = tokenizer.encode("a").special_tokens_mask
    around = [token for token, special in zip(tokenizer.encode("a").ids, frame, strict=True) if special]
    before = frame.index(0)
    ids, offsets = around[:before], [(0, 0)] * before
    pieces = _between_links(text, spans)
    at = 0
    for number, piece in enumerate(pieces):
        if number:
            ids.append(mask)
            offsets.append((at, at + len(mask_token)))
            at += len(mask_token)
        # A mask token with lstrip or rstrip includes the adjacent spaces.
        start = len(piece) - len(piece.lstrip()) if number and added.rstrip else 0
        end = len(piece.rstrip()) if number < len(pieces) - 1 and added.lstrip else len(piece)
        with as_plain_text(tokenizer):
            encoding = tokenizer.encode(piece[start:end], add_special_tokens=False)
        ids += plain_ids([encoding], tokenizer)[0]
        offsets += [(at + start + first, at + start + last) for first, last in encoding.offsets]
        at += len(piece)
    after = len(around) - before
    return Joined(ids + around[before:], offsets + [(0, 0)] * after)


def _between_links(text: str, spans: NDArray[np.int64]) -> list[str]:
    """Split the text at its links; `[mask]` inside a span is part of a label, not a link."""
    pieces, end = [""], 0
    for start, stop in [*spans[:, :2].tolist(), [len(text), len(text)]]:
        first, *others = text[end:start].split(LINK)
        pieces[-1] += first
        pieces += others
        pieces[-1] += text[start:stop]
        end = stop
    return pieces


def _spans(slots: pa.Array | pa.ChunkedArray) -> Iterable[NDArray[np.int64]]:
    """Yield each row's slots as [slots, 4]: start, end, slot, sentence; sorted by start."""
    if isinstance(slots, pa.ChunkedArray):
        slots = slots.combine_chunks()
    flat = slots.flatten()
    fields = [flat.field(name).to_numpy() for name in ("start", "end", "slot", "sentence")]
    table = np.stack(fields, axis=1).astype(np.int64)
    lengths = slots.value_lengths().to_numpy()
    for row in np.split(table, np.cumsum(lengths))[:-1]:
        yield row[np.argsort(row[:, 0], kind="stable")]


def _mask_links(text: str, spans: NDArray[np.int64], mask_token: str) -> tuple[str, NDArray[np.int64]]:
    """Replace the links outside the spans, and shift the spans accordingly."""
    pieces, moved, end, length = [], spans.copy(), 0, 0
    for i, (start, stop) in enumerate(spans[:, :2].tolist()):
        gap = text[end:start].replace(LINK, mask_token)
        moved[i, :2] = length + len(gap), length + len(gap) + stop - start
        pieces += [gap, text[start:stop]]
        end, length = stop, length + len(gap) + stop - start
    return "".join([*pieces, text[end:].replace(LINK, mask_token)]), moved


def _locate(
    encoding: "Encoding | Joined", spans: NDArray[np.int64]
) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """Slot and sentence of each token: those of the span that it overlaps."""
    if not len(spans):
        return np.zeros(len(encoding.ids), np.int8), np.full(len(encoding.ids), -1, np.int16)
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    shared = (offsets[:, :1] < spans[:, 1]) & (offsets[:, 1:] > spans[:, 0])
    inside, which = shared.any(axis=1), shared.argmax(axis=1)
    slot = np.where(inside, spans[which, 2], 0).astype(np.int8)
    return slot, np.where(inside, spans[which, 3], -1).astype(np.int16)
