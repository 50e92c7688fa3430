"""Masks a share of the tokens, 80/10/10 as in BERT. Every draw is keyed by (seed, stream, epoch, record)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from trainer.shards import MentionRecord, Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Vocabulary:
    """What masking needs to know of a tokenizer.

    Attributes:
        mask, pad: ids of the mask and the padding token.
        special: [vocabulary], whether the id is a special token, never predicted and never drawn.
        ordinary: the ids that are none.
    """

    mask: int
    pad: int
    special: NDArray[np.bool_]
    ordinary: NDArray[np.int32]

    @classmethod
    def of(cls, *, size: int, mask: int, pad: int, special_ids: Sequence[int]) -> "Vocabulary":
        """From the tokenizer's size and its special tokens' ids."""
        special = np.zeros(size, bool)
        special[list(special_ids)] = True
        return cls(mask, pad, special, np.flatnonzero(~special).astype(np.int32))

    @classmethod
    def of_tokenizer(cls, tokenizer: "PreTrainedTokenizerFast") -> "Vocabulary":
        """From a tokenizer with a mask and a padding token."""
        return cls.of(
            size=len(tokenizer),
            mask=tokenizer.mask_token_id,
            pad=tokenizer.pad_token_id,
            special_ids=tokenizer.all_special_ids,
        )


@dataclass(frozen=True)
class Masked:
    """The records' tokens, one record after the other.

    Attributes:
        ids: [tokens], what the model reads.
        labels: [tokens], what stood there before.
        predicted: [tokens], whether the loss counts the token.
    """

    ids: NDArray[np.int32]
    labels: NDArray[np.int32]
    predicted: NDArray[np.bool_]


def mask_share(
    records: Sequence[Record] | Sequence[MentionRecord],
    vocabulary: Vocabulary,
    *,
    share: float,
    slots_only: bool,
    seed: int,
    stream: str,
) -> Masked:
    """Predict a share of the tokens; of these 80 % become the mask, 10 % another token, 10 % stay.

    Args:
        slots_only: only tokens of heads, relations and tails, as in code-switched text; its links stay.
        share: each token's chance.
        stream: names the draws.
    """
    labels = concatenated([record.ids for record in records], np.int32)
    sizes = [len(record.ids) for record in records]
    keys = [hash64(seed, "mask", stream, record.epoch, record.id) for record in records]
    # Three draws a token, counted from its record's key.
    counters = concatenated([np.arange(size, dtype=np.uint64) for size in sizes], np.uint64) * np.uint64(3)
    counters += np.repeat(np.array(keys, np.uint64), sizes)
    candidates = ~vocabulary.special[labels]
    if slots_only:
        slots = [record.slot for record in records if isinstance(record, Record)]
        candidates &= concatenated(slots, np.int8) > 0
    predicted = candidates & (_uniform(counters) < share)
    fate = _uniform(counters + np.uint64(1))
    other = vocabulary.ordinary[
        (_uniform(counters + np.uint64(2)) * len(vocabulary.ordinary)).astype(np.int64)
    ]
    ids = np.where(predicted & (fate < 0.8), np.int32(vocabulary.mask), labels)
    ids = np.where(predicted & (fate >= 0.8) & (fate < 0.9), other, ids)
    return Masked(ids, labels, predicted)


def concatenated(parts: Sequence[NDArray[Any]], dtype: type[T]) -> NDArray[T]:
    """One array of the parts; an empty one of `dtype` for no part."""
    return np.concatenate([np.empty(0, dtype), *parts], dtype=dtype)


def _uniform(counters: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (mix64_array(counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53
