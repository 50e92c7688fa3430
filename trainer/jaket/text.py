"""JAKET's mentions in a passage: which are linked, which are removed, and where E^KM is merged."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.tokens import ensure_tokens
from trainer.masking import Masked, Vocabulary, mask_share
from trainer.packing import pack
from trainer.shards import MentionRecord, ShardStream

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Mentions:
    """The linked mentions of some records, in the order of the records.

    Attributes:
        record: [mentions], whose.
        first, last: [mentions], its first and last token within the record.
        entity: [mentions], its entity's id.
        keys: [mentions], what its draws depend on: seed, epoch, record and its place among the record's.
    """

    record: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    entity: NDArray[np.int64]
    keys: NDArray[np.uint64]


@dataclass(frozen=True)
class Text:
    """Records as the model reads them: masked and packed.

    Attributes:
        inputs: ids, segments, positions [rows, length]; token_places and token_labels [tokens predicted];
            first_places and last_places [removed mentions], their ends; places [tokens], where E^KM is
            merged. All places are in the flattened rows.
        merged: [tokens], whose E^KM: entities' ids.
        removed: the removed mentions.
    """

    inputs: dict[str, NDArray[Any]]
    merged: NDArray[np.int64]
    removed: Mentions


class EntityFinder(Protocol):
    """Numbers the entities that are described."""

    def find(self, qids: Sequence[str], /) -> NDArray[np.int64]:
        """[qids] their numbers, -1 for others."""


def link(
    records: Sequence[MentionRecord],
    entities: EntityFinder,
    *,
    seen: NDArray[np.bool_] | None = None,
    seed: int,
) -> Mentions:
    """The mentions of entities that are described, and for which `seen` [entities] holds; None: for all."""
    record = np.repeat(np.arange(len(records)), [len(r.mentions) for r in records])
    mentions = [mention for r in records for mention in r.mentions]
    spans = np.array([(m["start"], m["end"] - 1) for m in mentions], np.int64).reshape(-1, 2)
    entity = entities.find([m["qid"] for m in mentions])
    salts = [hash64(seed, "jaket-mentions", r.epoch, r.id) for r in records]
    ordinals = np.concatenate([np.arange(len(r.mentions), dtype=np.uint64) for r in records])
    keys = mix64_array(np.array(salts, np.uint64)[record] + ordinals)
    (kept,) = np.nonzero((entity >= 0) if seen is None else (entity >= 0) & seen[entity])
    return Mentions(record[kept], spans[kept, 0], spans[kept, 1], entity[kept], keys[kept])


def draw_removed(mentions: Mentions, share: float) -> NDArray[np.bool_]:
    """[mentions], whether each is removed; each one's chance is `share`."""
    return mix64_array(mentions.keys) / 2.0**64 < share


def prepare(
    records: Sequence[MentionRecord],
    mentions: Mentions,
    removed: NDArray[np.bool_],
    vocabulary: Vocabulary,
    *,
    mlm_probability: float,
    length: int,
    seed: int,
) -> Text:
    """Mask tokens, mask all tokens of removed mentions, and pack.

    A removed mention is all masks, no token of it is predicted, and E^KM is merged at no mention of its
    entity in the whole record: the answer would be visible there.

    Args:
        records: whose mentions `mentions` are.
        mentions: the linked ones.
        removed: [mentions].
        vocabulary: the tokenizer's.
        mlm_probability: share of the tokens that are predicted; 0: none.
        length: tokens of a row.
        seed: of the masks.
    """
    masked = mask_share(
        records, vocabulary, share=mlm_probability, slots_only=False, seed=seed, stream="jaket"
    )
    masked = mask_mentions(masked, records, mentions, removed, mask=vocabulary.mask)
    predicted = masked.predicted
    sizes = np.array([len(record.ids) for record in records], np.int64)
    first, last = _places(records, mentions)
    packed = pack(masked.ids, sizes, length=length, pad=vocabulary.pad)
    barred = np.isin(_whose(mentions), _whose(mentions)[removed])
    places, which = _tokens(first[~barred], last[~barred])
    # Where mentions overlap, the first one's entity is merged.
    places, once = np.unique(places, return_index=True)
    inputs: dict[str, NDArray[Any]] = {
        "ids": packed.ids,
        "segments": packed.segments,
        "positions": packed.positions,
        "token_places": packed.flat[predicted],
        "token_labels": masked.labels[predicted].astype(np.int64),
        "first_places": packed.flat[first[removed]],
        "last_places": packed.flat[last[removed]],
        "places": packed.flat[places],
    }
    chosen = Mentions(**{name: column[removed] for name, column in vars(mentions).items()})
    return Text(inputs, mentions.entity[~barred][which][once], chosen)


def mask_mentions(
    masked: Masked,
    records: Sequence[MentionRecord],
    mentions: Mentions,
    removed: NDArray[np.bool_],
    *,
    mask: int,
) -> Masked:
    """Replace each token of a removed mention by the mask; these tokens are not predicted."""
    first, last = _places(records, mentions)
    masked_tokens, _ = _tokens(first[removed], last[removed])
    ids, predicted = masked.ids.copy(), masked.predicted.copy()
    ids[masked_tokens], predicted[masked_tokens] = mask, False
    return Masked(ids, masked.labels, predicted)


def _places(
    records: Sequence[MentionRecord], mentions: Mentions
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The mentions' first and last tokens among all tokens of the records."""
    sizes = np.array([len(record.ids) for record in records], np.int64)
    begins = (np.cumsum(sizes) - sizes)[mentions.record]
    return begins + mentions.first, begins + mentions.last


def _whose(mentions: Mentions) -> NDArray[np.int64]:
    """A number for each pair of a record and an entity."""
    return mentions.record * (1 + mentions.entity.max(initial=0)) + mentions.entity


def _tokens(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All tokens of the spans, and of which span each one is."""
    sizes = last - first + 1
    which = np.repeat(np.arange(len(first)), sizes)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return first[which] + within, which


def read_passages(
    corpus: Path,
    tokenizer: "PreTrainedTokenizerFast",
    *,
    splits: Sequence[str],
    length: int,
    limit: int | None,
) -> dict[str, list[MentionRecord]]:
    """split -> passages of `jaket_text`, `limit` at most, cut to `length` tokens; each is read once."""
    mask = str(tokenizer.mask_token)
    files = ensure_tokens(corpus, "jaket_text", tokenizer.backend_tokenizer, mask_token=mask, splits=splits)
    found = {}
    for split in splits:
        stream = ShardStream[MentionRecord](files[split], name="jaket-once", seed=0, max_length=length)
        found[split] = stream.take(min(stream.rows, limit or stream.rows))
    return found
