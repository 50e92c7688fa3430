"""A build's records for other trainers: a `torch.utils.data` dataset, and collators with the papers' masks.

    records = RecordDataset("OUT", ("plain_text", "code_switched", "reasoning"), tokenizer)
    loader = DataLoader(records, batch_size=96, collate_fn=KmlmCollator(tokenizer))

Every draw (order, masks, removed mentions) depends only on the seed, the epoch and the record, so that a run
gives the same batches again, and the same as `kgcorpus train`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgcorpus.contracts.own_packages import require_own_package

require_own_package("trainer")

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.remote import local_folder
from kgcorpus.contracts.tables import table
from kgcorpus.corpus import Corpus
from kgcorpus.tokens import ensure_tokens
from trainer.jaket.text import draw_removed, link, mask_mentions
from trainer.kmlm.config import STREAM_TABLES
from trainer.kmlm.masking import mask_cycles
from trainer.masking import Masked, Vocabulary, mask_share
from trainer.shards import MentionRecord, Record, ShardStream
from trainer.trelm.config import Inject
from trainer.trelm.targets import Target, TargetChooser

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["JaketCollator", "KmlmCollator", "RecordDataset", "TrelmCollator", "kmlm_loss"]

# The names that key the order of the records in `kgcorpus train`.
_STREAMS = {**{shard: stream for stream, shard in STREAM_TABLES.items()}, "jaket_text": "jaket"}
# KMLM's terms, in the order of `terms` in a batch, and the stream names that key their masks.
KMLM_TERMS = ("plain", "code_switched", "reasoning")
IGNORED = -100
Batch = dict[str, Tensor]


class RecordDataset(IterableDataset[Record | MentionRecord]):
    """The tokenised records of one or several shard configs, epoch after epoch, without end.

    Of several configs the records alternate; each has its own order and epochs. Every rank walks the same
    order and keeps each `world`-th record, and so do the workers of a `DataLoader`: all read disjoint
    records. A trainer that distributes batches itself (accelerate, and so the Trainer of transformers) needs
    rank 0 and world 1.

    Args:
        corpus: a finished build, or its folder; the tokens are made once, below OUT/tokens.
        shards: shard configs: `plain_text`, `code_switched`, `reasoning`; or `trelm`, or `jaket_text`.
        tokenizer: a fast tokenizer with a mask and a padding token.
        split: train, validation or test.
        max_length: a longer record of slots is left out, a longer text is cut, special tokens counted.
        seed: of the order.
        rank: which share of the records this process reads, from 0.
        world: the number of shares.
        language_exponent: share of a language with n records: n^exponent (XLM-R, section 3.1), in the texts.

    Raises:
        UsageError: no such shard config, or `corpus` is empty or a URL.
        InputError: no finished build, or a config without records.
    """

    def __init__(
        self,
        corpus: Corpus | str | Path,
        shards: str | Sequence[str],
        tokenizer: "PreTrainedTokenizerFast",
        *,
        split: str = "train",
        max_length: int = 512,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        language_exponent: float = 1.0,
    ) -> None:
        self._corpus = corpus.path if isinstance(corpus, Corpus) else local_folder(corpus)
        self._names = (shards,) if isinstance(shards, str) else tuple(shards)
        self._rank, self._world = rank, world
        self._options: dict[str, Any] = {"seed": seed, "max_length": max_length}
        self._exponent = language_exponent
        mask, backend = str(tokenizer.mask_token), tokenizer.backend_tokenizer
        self._files: dict[str, list[Path]] = {}
        for name in self._names:
            made = ensure_tokens(self._corpus, table(name).name, backend, mask_token=mask, splits=(split,))
            if not made[split]:
                raise InputError(
                    f"has no {split} records of {name}",
                    where=str(self._corpus),
                    hint=f"Run kgcorpus build-corpus {name}",
                )
            self._files[name] = made[split]
        self._streams: list[ShardStream[Any]] = self._open(rank, world)
        self._next = 0

    def _open(self, rank: int, world: int) -> list[ShardStream[Any]]:
        streams = []
        for name in self._names:
            # The name keys the order: these are the names of `kgcorpus train`.
            stream: ShardStream[Any] = ShardStream(
                self._files[name],
                name=_STREAMS.get(name, name),
                rank=rank,
                world=world,
                language_exponent=self._exponent if name == "plain_text" else 1.0,
                **self._options,
            )
            if not stream.rows:
                raise InputError(
                    f"has no record of {name} within max_length", where=str(self._corpus), hint="Raise it"
                )
            streams.append(stream)
        return streams

    @property
    def rows(self) -> dict[str, int]:
        """Shard config -> records of an epoch, over all ranks."""
        return {name: stream.rows for name, stream in zip(self._names, self._streams, strict=True)}

    def __iter__(self) -> Iterator[Record | MentionRecord]:
        streams, world, following = self._streams, self._world, self._next
        if worker := get_worker_info():
            world = self._world * worker.num_workers
            streams = self._open(self._rank * worker.num_workers + worker.id, world)
            for stream, at in zip(streams, self._streams, strict=True):
                stream.load_state(at.state())
            # Of this worker's copy, whose state a stateful loader asks for.
            self._streams = streams
        while True:
            stream = streams[following]
            following = (following + 1) % len(streams)
            (record,) = stream.take(world)
            self._next = following
            yield record

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the records; valid for any number of ranks that have read equally many."""
        return {"next": self._next, "streams": [stream.state() for stream in self._streams]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state` was taken.

        Raises:
            ValueError: there is no such place.
        """
        self._next = state["next"]
        for stream, place in zip(self._streams, state["streams"], strict=True):
            stream.load_state(place)


class KmlmCollator:
    """KMLM's masks (section 3.2) by each record's kind.

    Plain text: a share of the tokens. Code-switched text: a share of the slots' tokens. Both: 80 % become the
    mask, 10 % another token, 10 % stay. Cycles: whole relations and entities become masks.

    A batch holds `input_ids`, `attention_mask`, `labels` [records, length], -100 where nothing is predicted;
    and with `with_terms` also `terms` [records]: 0 plain, 1 code-switched, 2 reasoning, for `kmlm_loss`.

    Args:
        tokenizer: the one of the records.
        mlm_probability: the share.
        reasoning_mask: `relations`, or `plain` to mask cycles as code-switched text.
        seed: of the masks.
        with_terms: leave it out for a model that takes no other inputs.
        pad_to_multiple_of: round the length up.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerFast",
        *,
        mlm_probability: float = 0.15,
        reasoning_mask: str = "relations",
        seed: int = 0,
        with_terms: bool = False,
        pad_to_multiple_of: int = 1,
    ) -> None:
        self._vocabulary = Vocabulary.of_tokenizer(tokenizer)
        self._share, self._reasoning_mask, self._seed = mlm_probability, reasoning_mask, seed
        self._with_terms, self._multiple = with_terms, pad_to_multiple_of

    def __call__(self, records: Sequence[Record]) -> Batch:
        """A batch of records, in their order."""
        terms = np.array([_term_of(record.kind) for record in records], np.int64)
        parts: list[tuple[NDArray[np.int32], NDArray[np.int64]]] = [_NOTHING] * len(records)
        for term, stream in enumerate(KMLM_TERMS):
            chosen = np.flatnonzero(terms == term).tolist()
            if chosen:
                masked = self._mask([records[i] for i in chosen], stream)
                for i, part in zip(chosen, _split(masked, [records[i] for i in chosen]), strict=True):
                    parts[i] = part
        batch = _padded(parts, self._vocabulary.pad, self._multiple)
        return {**batch, "terms": torch.from_numpy(terms)} if self._with_terms else batch

    def _mask(self, records: Sequence[Record], stream: str) -> Masked:
        if stream == "reasoning" and self._reasoning_mask == "relations":
            return mask_cycles(records, self._vocabulary, seed=self._seed, stream=stream)
        return mask_share(
            records,
            self._vocabulary,
            share=self._share,
            slots_only=stream != "plain",
            seed=self._seed,
            stream=stream,
        )


def kmlm_loss(logits: Tensor, labels: Tensor, terms: Tensor, *, alpha: float = 0.3) -> Tensor:
    """L_plain + alpha (L_code_switched + L_reasoning), each a mean over its own labels (KMLM, section 3.2).

    Args:
        logits: [records, length, vocabulary].
        labels: [records, length], -100 where nothing is predicted.
        terms: [records], of `KmlmCollator`.
        alpha: weight of the knowledge terms.
    """
    predicted = labels != IGNORED
    losses = torch.nn.functional.cross_entropy(logits[predicted].float(), labels[predicted], reduction="none")
    term = terms[:, None].expand_as(labels)[predicted]
    loss = logits.new_zeros((), dtype=torch.float32)
    for number in range(len(KMLM_TERMS)):
        own = losses[term == number]
        if len(own):
            loss = loss + (1.0 if number == 0 else alpha) * own.mean()
    return loss


class TrelmCollator:
    """TRELM's inputs: masked passages, the target mentions, and the fact that each of them carries.

    A batch holds `input_ids`, `attention_mask`, `labels` [passages, length], and for each target:
    `target_spans` [targets, 3] (passage, first token, one past the last), `target_entity`, `fact_relation`
    and `fact_other` [targets], the ids of `entities` and `relations`, and `fact_direction` [targets], 1 where
    `fact_other` is the fact's tail, -1 where it is its head. What is injected at a target (section 3.2) is a
    function of the last three: with TransE, other - direction * relation.

    Args:
        tokenizer: the one of the records.
        entities: id of the graph -> row of the embeddings; facts of others are not drawn.
        relations: likewise.
        mlm_probability: share of the tokens that are predicted.
        inject: `longtail`, `frequent` or `both`.
        min_si: a mention of lower semantic importance (eq. 1) is no target.
        seed: of the masks and facts.
        pad_to_multiple_of: round the length up.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerFast",
        *,
        entities: Mapping[str, int],
        relations: Mapping[str, int],
        mlm_probability: float = 0.15,
        inject: Inject = "longtail",
        min_si: float = 0.0,
        seed: int = 0,
        pad_to_multiple_of: int = 1,
    ) -> None:
        self._vocabulary = Vocabulary.of_tokenizer(tokenizer)
        self._entities, self._relations = entities, relations
        self._share, self._seed, self._multiple = mlm_probability, seed, pad_to_multiple_of
        self._chooser = TargetChooser(
            inject=inject,
            min_si=min_si,
            known=lambda fact: fact["other"] in entities and fact["r"] in relations,
            seed=seed,
        )

    def __call__(self, records: Sequence[MentionRecord]) -> Batch:
        """A batch of passages, in their order."""
        masked = mask_share(
            records, self._vocabulary, share=self._share, slots_only=False, seed=self._seed, stream="trelm"
        )
        found = [
            (i, target) for i, record in enumerate(records) for target in self._chooser.choose(record).targets
        ]
        return {
            **_padded(_split(masked, records), self._vocabulary.pad, self._multiple),
            "target_spans": _integers([(i, target.start, target.end) for i, target in found], 3),
            "target_entity": _integers([self._entities.get(target.qid, -1) for _, target in found]),
            "fact_relation": _integers([self._relations[target.asked["r"]] for _, target in found]),
            "fact_other": _integers([self._entities[target.asked["other"]] for _, target in found]),
            "fact_direction": _integers([_direction(target) for _, target in found]),
        }


class JaketCollator:
    """JAKET's masks (section 3.6): predicted tokens, linked mentions, and mentions that are removed.

    A batch holds `input_ids`, `attention_mask`, `labels` [passages, length], and for each linked mention
    `mention_spans` [mentions, 3] (passage, first token, one past the last), `mention_entity` [mentions] and
    `removed` [mentions]: whether it is hidden by masks, for the model to name its entity. No token of a
    removed mention has a label; its entity's embedding must be merged nowhere in the passage.

    Args:
        tokenizer: the one of the records.
        entities: ids of the graph -> rows of the embeddings; mentions of others are not linked.
        mlm_probability: share of the tokens that are predicted.
        removed_share: share of the mentions that are removed.
        seed: of the draws.
        pad_to_multiple_of: round the length up.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerFast",
        *,
        entities: Mapping[str, int],
        mlm_probability: float = 0.15,
        removed_share: float = 0.15,
        seed: int = 0,
        pad_to_multiple_of: int = 1,
    ) -> None:
        self._vocabulary, self._entities = Vocabulary.of_tokenizer(tokenizer), _Rows(entities)
        self._share, self._removed, self._seed = mlm_probability, removed_share, seed
        self._multiple = pad_to_multiple_of

    def __call__(self, records: Sequence[MentionRecord]) -> Batch:
        """A batch of passages, in their order."""
        masked = mask_share(
            records, self._vocabulary, share=self._share, slots_only=False, seed=self._seed, stream="jaket"
        )
        mentions = link(records, self._entities, seed=self._seed)
        removed = draw_removed(mentions, self._removed)
        masked = mask_mentions(masked, records, mentions, removed, mask=self._vocabulary.mask)
        spans = np.stack([mentions.record, mentions.first, mentions.last + 1], axis=1)
        return {
            **_padded(_split(masked, records), self._vocabulary.pad, self._multiple),
            "mention_spans": torch.from_numpy(spans),
            "mention_entity": torch.from_numpy(mentions.entity),
            "removed": torch.from_numpy(removed),
        }


class _Rows:
    """Finds entities in a mapping, as `trainer.jaket.entities.Entities` does in a table."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        self._rows = rows

    def find(self, qids: Sequence[str]) -> NDArray[np.int64]:
        return np.array([self._rows.get(qid, -1) for qid in qids], np.int64)


_NOTHING = (np.empty(0, np.int32), np.empty(0, np.int64))


def _term_of(kind: str) -> int:
    return 0 if kind == "plain" else 2 if kind.startswith("cycle") else 1


def _direction(target: Target) -> int:
    return 1 if target.asked["direction"] == "tail" else -1


def _split(
    masked: Masked, records: Sequence[Record] | Sequence[MentionRecord]
) -> list[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """The ids and labels of each record."""
    labels = np.where(masked.predicted, masked.labels, IGNORED).astype(np.int64)
    cuts = np.cumsum([len(record.ids) for record in records])[:-1]
    return list(zip(np.split(masked.ids, cuts), np.split(labels, cuts), strict=True))


def _padded(parts: Sequence[tuple[NDArray[np.int32], NDArray[np.int64]]], pad: int, multiple: int) -> Batch:
    longest = max(len(ids) for ids, _ in parts)
    shape = (len(parts), -(-longest // multiple) * multiple)
    found = {
        "input_ids": np.full(shape, pad, np.int64),
        "attention_mask": np.zeros(shape, np.int64),
        "labels": np.full(shape, IGNORED, np.int64),
    }
    for i, (ids, labels) in enumerate(parts):
        found["input_ids"][i, : len(ids)] = ids
        found["attention_mask"][i, : len(ids)] = 1
        found["labels"][i, : len(ids)] = labels
    return {name: torch.from_numpy(array) for name, array in found.items()}


def _integers(values: Sequence[Any], width: int | None = None) -> Tensor:
    array = np.array(values, np.int64)
    return torch.from_numpy(array.reshape(-1, width) if width else array)
