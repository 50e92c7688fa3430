"""KMLM's masks (arXiv 2111.10962, section 3.2). Every draw is keyed by (seed, stream, epoch, record)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import Draw, hash64, mix64_array
from trainer.shards import MentionRecord, Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

T = TypeVar("T", bound=np.generic)
HEAD, RELATION, TAIL = 1, 2, 3
# Where a mention stands: sentence * _SLOTS + slot.
_SLOTS = 4


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
    labels = _join([record.ids for record in records], np.int32)
    sizes = [len(record.ids) for record in records]
    keys = [hash64(seed, "mask", stream, record.epoch, record.id) for record in records]
    # Three draws a token, counted from its record's key.
    counters = _join([np.arange(size, dtype=np.uint64) for size in sizes], np.uint64) * np.uint64(3)
    counters += np.repeat(np.array(keys, np.uint64), sizes)
    candidates = ~vocabulary.special[labels]
    if slots_only:
        candidates &= _join([record.slot for record in records if isinstance(record, Record)], np.int8) > 0
    predicted = candidates & (_uniform(counters) < share)
    fate = _uniform(counters + np.uint64(1))
    other = vocabulary.ordinary[
        (_uniform(counters + np.uint64(2)) * len(vocabulary.ordinary)).astype(np.int64)
    ]
    ids = np.where(predicted & (fate < 0.8), np.int32(vocabulary.mask), labels)
    ids = np.where(predicted & (fate >= 0.8) & (fate < 0.9), other, ids)
    return Masked(ids, labels, predicted)


def mask_cycles(records: Sequence[Record], vocabulary: Vocabulary, *, seed: int, stream: str) -> Masked:
    """Hide whole relations and entities of a cycle; the rest of it tells what they are."""
    labels = _join([record.ids for record in records], np.int32)
    slot = _join([record.slot for record in records], np.int8).astype(np.int64)
    sentence = _join([record.sentence for record in records], np.int16).astype(np.int64)
    owner = np.repeat(np.arange(len(records)), [len(record.ids) for record in records])
    place = np.where(slot > 0, sentence * _SLOTS + slot, 0)
    present = np.zeros((len(records), int(place.max(initial=0)) + 1), bool)
    present[owner, place] = True
    hidden = np.zeros_like(present)
    for i, record in enumerate(records):
        draw = Draw(seed, "mask", stream, record.epoch, record.id)
        hidden[i, _hide(record.kind, np.flatnonzero(present[i]).tolist(), draw)] = True
    masked = hidden[owner, place]
    ids = np.where(masked, np.int32(vocabulary.mask), labels)
    return Masked(ids, labels, masked & ~vocabulary.special[labels])


def _hide(kind: str, places: list[int], draw: Draw) -> list[int]:
    """Which mentions of a record to hide.

    Of three sentences: one relation. Of five: with chance .8 one relation and one or two of the entity
    mentions, else both entities of one sentence, whose relation stays.
    """
    relations = [place for place in places if place % _SLOTS == RELATION]
    entities = [place for place in places if place % _SLOTS in (HEAD, TAIL)]
    if kind != "cycle4":
        return draw.sample(relations, 1)
    if draw.uniform() < 0.8:
        return draw.sample(relations, 1) + draw.sample(entities, 1 + draw.below(2))
    sentences = draw.sample(sorted({place // _SLOTS for place in entities}), 1)
    return [place for place in entities if place // _SLOTS in sentences]


def _join(parts: Sequence[NDArray[Any]], dtype: type[T]) -> NDArray[T]:
    return np.concatenate([np.empty(0, dtype), *parts], dtype=dtype)


def _uniform(counters: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (mix64_array(counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53
