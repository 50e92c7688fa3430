"""Counts of one pass over the training records: tokens, whole words, entities."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, mix64_array
from kgcorpus.contracts.shards import damage_named, read_batches
from kgcorpus.tokens import REMADE_BY
from trainer.arrays import derived
from trainer.trelm.config import TrelmConfig
from trainer.trelm.targets import is_of_class

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# What tokenizers put in front of a word's first token: byte-level BPE, SentencePiece.
_MARKERS = ("Ġ", "▁")
# What WordPiece puts in front of every other token.
_CONTINUATION = "##"
# Raised when the same records are counted otherwise.
_VERSION = 1


@dataclass(frozen=True)
class Words:
    """The words of a row of tokens, specials among them.

    Attributes:
        starts, ends: [words] token spans.
        hashes: [words] equal for equal tokens.
        content: [words] whether the word contains a letter.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    content: NDArray[np.bool_]


class WordFinder:
    """Finds the words by what the vocabulary says of each token.

    Args:
        tokenizer: of the byte-level BPE, SentencePiece or WordPiece kind.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast") -> None:
        tokens = [str(tokenizer.convert_ids_to_tokens(i)) for i in range(len(tokenizer))]
        special = np.zeros(len(tokens), bool)
        special[tokenizer.all_special_ids] = True
        if any(token.startswith(_CONTINUATION) for token in tokens):
            begins = [not token.startswith(_CONTINUATION) for token in tokens]
        else:
            begins = [token.startswith(_MARKERS) for token in tokens]
        self._special, self._begins = special, special | np.array(begins)
        self._letter = ~special & np.array([any(map(str.isalpha, _bare(token))) for token in tokens])

    def find(self, ids: NDArray[np.int32], *, records: NDArray[np.int64] | None = None) -> Words:
        """The words of ids [tokens] of one record, or of several, one after the other.

        Args:
            ids: of the tokens, special ones included.
            records: where each record begins; not needed where each begins with a special token.
        """
        if not len(ids):
            none = np.empty(0, np.int64)
            return Words(none, none, none.astype(np.uint64), none.astype(bool))
        first = self._begins[ids]
        # RoBERTa does not mark a text's first word.
        first[1:] |= self._special[ids[:-1]]
        first[0] = True
        if records is not None:
            first[records] = True
        starts = np.flatnonzero(first)
        ends = np.append(starts[1:], len(ids))
        within = np.arange(len(ids)) - np.repeat(starts, ends - starts)
        keyed = mix64_array(ids.astype(np.uint64) | (within.astype(np.uint64) << np.uint64(32)))
        letters = np.logical_or.reduceat(self._letter[ids], starts)
        return Words(starts, ends, np.add.reduceat(keyed, starts), letters)


def _bare(token: str) -> str:
    """Without the marker, which is a letter to Unicode."""
    return token.lstrip("".join(_MARKERS))


@dataclass(frozen=True)
class Inventory:
    """The training records in numbers.

    Attributes:
        unigrams: [vocabulary] occurrences of each token, 0 of special ones.
        entities: those mentioned that are of the class of targets, in the order of their ids.
        words: [n] hashes of the long-tail words, ascending.
        min_si: the semantic importance below which a mention is never chosen.
        counts: records, tokens, words, mentions, long-tail mentions.
    """

    unigrams: NDArray[np.int64]
    entities: tuple[str, ...]
    words: NDArray[np.uint64]
    min_si: float
    counts: dict[str, int]


def take_inventory(
    files: Sequence[Path],
    config: TrelmConfig,
    *,
    words: WordFinder,
    vocabulary: int,
    special_ids: Sequence[int],
) -> Inventory:
    """Read the token files once, or what was found in them before: it is kept beside them.

    Args:
        files: of the training split, in one folder.
        config: the class of targets, the quantile of importance, the band of long-tail words.
        words: finds them.
        vocabulary: size of the vocabulary.
        special_ids: the special tokens.

    Raises:
        InputError: a file is damaged.
    """
    options = {
        "config": config.model_dump(mode="json", include={"inject": True, "min_si": True, "memory": True}),
        "vocabulary": [vocabulary, *sorted(special_ids)],
    }
    key = hash64(_VERSION, json.dumps(options), *(part for file in files for part in _source_of(file)))

    def make() -> dict[str, NDArray[Any]]:
        return _arrays(_read(files, config, words=words, vocabulary=vocabulary, special_ids=special_ids))

    arrays = derived(files[0].parent / f"inventory-{key:016x}", make)
    names = [name.decode() for name in arrays["count_names"].tolist()]
    return Inventory(
        arrays["unigrams"],
        tuple(entity.decode() for entity in arrays["entities"].tolist()),
        arrays["words"],
        float(arrays["min_si"][0]),
        dict(zip(names, arrays["counts"].tolist(), strict=True)),
    )


def _source_of(file: Path) -> tuple[str, str]:
    """What a token file was made from: its name, and the hash of its shard."""
    with damage_named(file, command=REMADE_BY):
        metadata = pq.read_schema(file).metadata or {}
    return file.name, metadata.get(b"source_sha256", b"").decode()


def _arrays(found: Inventory) -> dict[str, NDArray[Any]]:
    return {
        "unigrams": found.unigrams,
        "entities": np.array([entity.encode() for entity in found.entities], np.bytes_),
        "words": found.words,
        "min_si": np.array([found.min_si]),
        "count_names": np.array([name.encode() for name in found.counts], np.bytes_),
        "counts": np.array(list(found.counts.values()), np.int64),
    }


def _read(
    files: Sequence[Path],
    config: TrelmConfig,
    *,
    words: WordFinder,
    vocabulary: int,
    special_ids: Sequence[int],
) -> Inventory:
    unigrams = np.zeros(vocabulary, np.int64)
    hashes, times = np.empty(0, np.uint64), np.empty(0, np.int64)
    importance: list[NDArray[np.float32]] = []
    entities: set[str] = set()
    counts: Counter[str] = Counter()
    for file in files:
        for batch in read_batches(file, ["ids", "mentions"], command=REMADE_BY):
            ids = pc.list_flatten(batch.column("ids")).to_numpy()
            unigrams += np.bincount(ids, minlength=vocabulary)
            found = words.find(ids)
            content = found.hashes[found.content]
            hashes, times = _merge(hashes, times, content)
            mentions = pc.list_flatten(batch.column("mentions"))
            importance.append(mentions.field("si").drop_null().to_numpy())
            long_tail = mentions.field("long_tail").to_numpy(zero_copy_only=False)
            chosen = pa.array([is_of_class(flag, config.inject) for flag in long_tail], pa.bool_())
            entities |= set(pc.unique(mentions.field("qid").filter(chosen)).to_pylist())
            counts.update(
                records=len(batch),
                tokens=len(ids),
                words=len(content),
                mentions=len(mentions),
                long_tail_mentions=int(long_tail.sum()),
            )
    unigrams[list(special_ids)] = 0
    found_si = np.concatenate([np.empty(0, np.float32), *importance])
    threshold = float(np.quantile(found_si, config.min_si)) if len(found_si) else 0.0
    return Inventory(
        unigrams,
        tuple(sorted(entities)),
        _rare(hashes, times, config) if config.memory.enabled else np.empty(0, np.uint64),
        threshold,
        dict(counts),
    )


def _merge(
    hashes: NDArray[np.uint64], times: NDArray[np.int64], more: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    found, count = np.unique(more, return_counts=True)
    merged, owner = np.unique(np.concatenate([hashes, found]), return_inverse=True)
    weights = np.concatenate([times, count])
    return merged, np.bincount(owner, weights=weights, minlength=len(merged)).astype(np.int64)


def _rare(hashes: NDArray[np.uint64], times: NDArray[np.int64], config: TrelmConfig) -> NDArray[np.uint64]:
    """The words of the band per million; where its upper end is below two occurrences, of the quantiles."""
    low, high = (share * times.sum() / 1e6 for share in config.memory.words_per_million)
    if high < 2 and len(times):
        low, high = np.quantile(times, config.memory.word_quantiles)
        # A word that never returns has nothing to remember.
        low = max(low, 2)
    return hashes[(times >= low) & (times <= high)]
