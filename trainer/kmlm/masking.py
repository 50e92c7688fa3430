"""KMLM's mask of cycles (arXiv 2111.10962, section 3.2): whole relations and entities are hidden."""

from collections.abc import Sequence

import numpy as np

from kgcorpus.contracts.draws import Draw
from trainer.masking import Masked, Vocabulary, concatenated
from trainer.shards import Record

HEAD, RELATION, TAIL = 1, 2, 3
# The code of a mention: sentence * _SLOTS + slot.
_SLOTS = 4


def mask_cycles(records: Sequence[Record], vocabulary: Vocabulary, *, seed: int, stream: str) -> Masked:
    """Mask whole relations and entities of a cycle; the other sentences determine them."""
    labels = concatenated([record.ids for record in records], np.int32)
    slot = concatenated([record.slot for record in records], np.int8).astype(np.int64)
    sentence = concatenated([record.sentence for record in records], np.int16).astype(np.int64)
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
