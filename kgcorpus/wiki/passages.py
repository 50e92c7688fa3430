"""Passages: consecutive sentences of one page, up to N tokens, what TRELM and JAKET train on.

Passages are made by the batch, as columns. Each sentence is tokenized once for all kinds of passages.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.arrays import Int64s
from kgcorpus.contracts.columns import ranges, runs, sums
from kgcorpus.contracts.scripts import is_unspaced
from kgcorpus.contracts.tables import SPAN, table
from kgcorpus.contracts.tally import Tally

_SCHEMA = table("passages").schema
_KEY = table("passages").key
_TEXTS = 10_000  # tokenized at once


@dataclass(frozen=True)
class TokenCounter:
    """How long texts are.

    Attributes:
        count: from texts to their lengths in tokens, special tokens left out.
        added: special tokens that the tokenizer adds to a text.
        splits_at_spaces: no token holds text on both sides of the first space of a run. So the length of
            `a b` is that of `a` and that of ` b`.
        ignores_first_space: ` a` is as long as `a`.
    """

    count: Callable[[list[str]], list[int]]
    added: int = 0
    splits_at_spaces: bool = False
    ignores_first_space: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of passage.

    Attributes:
        name: part of the passages' ids.
        max_tokens: tokens of a passage at most, special tokens included. A longer sentence is a passage by
            itself, uncut.
        min_entities: passages with fewer mentions are dropped (ERNIE-THU: 3).
    """

    name: str
    max_tokens: int
    min_entities: int = 0


def passage_batches(
    sentences: pa.RecordBatch,
    *,
    kinds: Sequence[Kind],
    counter: TokenCounter,
    min_page_characters: int = 0,
    tally: Tally,
    rows: int = 20_000,
) -> Iterator[pa.RecordBatch]:
    """Fill passages greedily with each page's sentences; for each kind every sentence is in exactly one.

    A passage and the special tokens around it fit in `max_tokens`. The sum of the sentences' own lengths
    gives its end; the passage is then measured as a whole, and loses its last sentences while it is too
    long, since tokens at the borders of sentences may differ.

    Args:
        sentences: rows of table `linked_sentences` in any order, all of each page. The text may have 64-bit
            offsets.
        kinds: of passages.
        counter: measures the texts.
        min_page_characters: pages with fewer characters give no passage (ERNIE-THU: 100).
        tally: counts `long_sentence`; `few_entities` (passages) and `short_page` (pages) as drops, once for
            each kind.
        rows: maximum rows of a batch.

    Yields:
        Rows of table `passages`, in the order of its key.
    """
    if not len(sentences):
        return
    pages = _Pages(sentences, counter)
    found = [_cut(pages, kind, min_page_characters, tally) for kind in kinds]
    first, stop, tokens = (np.concatenate([part[k] for part in found]) for k in range(3))
    names = pa.array([kind.name for kind in kinds])
    heads = pages.sentences.select(["lang", "page_id", "ordinal"]).take(pa.array(first))
    kind = names.take(pa.array(np.repeat(np.arange(len(kinds)), [len(part[0]) for part in found])))
    lang, page, ordinal = heads.columns
    number = [column.cast(pa.string()) for column in (page, ordinal)]
    ids = pc.binary_join_element_wise(kind, lang, *number, ":")
    keys = pa.table({"kind": kind, "lang": lang, "page_id": page, "passage_id": ids})
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in _KEY]).to_numpy()
    keys, first, stop, tokens = keys.take(pa.array(order)), first[order], stop[order], tokens[order]
    sizes = pages.characters[stop] - pages.characters[first]
    for start, end in runs(sizes, rows):
        columns = keys.slice(start, end - start).combine_chunks().to_batches()[0].columns
        known = dict(zip(keys.column_names, columns, strict=True))
        known["tokens"] = pa.array(tokens[start:end], pa.int32())
        known |= pages.joined(first[start:end], stop[start:end])
        yield pa.RecordBatch.from_arrays([known[name] for name in _SCHEMA.names], schema=_SCHEMA)


class _Cut(NamedTuple):
    """Passages: [n] the first sentence of each, the one behind its last, its tokens."""

    first: Int64s
    stop: Int64s
    tokens: Int64s


class _Pages:
    """The sentences of some pages, in order, and what is known of their lengths.

    Attributes:
        sentences: sorted.
        bounds: [pages + 1] each page's first sentence.
        characters: [n + 1] the characters before each sentence.
        mentions: [n + 1] the mentions before each sentence.
        added: special tokens around a text.
        before: [n + 1] the tokens before each sentence, each measured with the separator before it.
    """

    def __init__(self, sentences: pa.RecordBatch, counter: TokenCounter) -> None:
        keys = sentences.select(["lang", "page_id", "ordinal"])
        order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.schema.names])
        self.sentences = sentences.take(order)
        lang, page = (self.sentences.column(name) for name in ("lang", "page_id"))
        langs, numbers = lang.dictionary_encode(), page.to_numpy()
        codes = langs.indices.to_numpy()
        changes = (codes[1:] != codes[:-1]) | (numbers[1:] != numbers[:-1])
        self.bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), len(codes)]
        text = self.sentences.column("text")
        self.characters = sums(pc.utf8_length(text).to_numpy())
        lists = self.sentences.column("mentions")
        self.mentions = (lists.offsets.to_numpy() - lists.offsets[0].as_py()).astype(np.int64)
        self._unspaced = np.array([*map(is_unspaced, langs.dictionary.to_pylist())], np.bool_)[codes]
        self._separators = pa.array(["", " "]).take(pa.array((~self._unspaced).astype(np.int64)))
        self.added = counter.added
        self._counter, self._known = counter, dict[tuple[int, int], int]()
        nothing = pa.scalar("", text.type)
        separated = pc.binary_join_element_wise(self._separators.cast(text.type), text, nothing)
        lengths = self._count(separated)
        self.before: list[int] = sums(lengths).tolist()
        self._bare: list[int] = []
        if counter.splits_at_spaces:
            self._bare = (lengths if counter.ignores_first_space else self._count(text)).tolist()

    def _count(self, texts: pa.Array) -> Int64s:
        slices = (texts.slice(at, _TEXTS).to_pylist() for at in range(0, len(texts), _TEXTS))
        return np.array([n for some in slices for n in self._counter.count(some)], np.int64)

    def tokens(self, first: int, stop: int) -> int:
        """The length of a passage as a whole."""
        if self._bare and not self._unspaced[first]:
            return self._bare[first] + self.before[stop] - self.before[first + 1]
        if (first, stop) not in self._known:
            separator = self._separators[first].as_py()
            text = separator.join(self.sentences.column("text").slice(first, stop - first).to_pylist())
            (self._known[first, stop],) = self._counter.count([text])
        return self._known[first, stop]

    def joined(self, first: Int64s, stop: Int64s) -> dict[str, pa.Array]:
        """The columns `text`, `sentences`, `sentence_ids` and `mentions` of passages."""
        sizes = stop - first
        bounds = sums(sizes)
        rows = ranges(first, sizes)
        taken = pa.array(rows)
        text = self.sentences.column("text").take(taken)
        separators = self._separators.take(pa.array(first))
        lengths = self.characters[rows + 1] - self.characters[rows]
        gaps = np.repeat(np.where(self._unspaced[first], 0, 1), sizes)
        ends = np.cumsum(lengths + gaps) - gaps
        ends -= np.repeat((ends - lengths)[bounds[:-1]], sizes)
        starts = ends - lengths
        counts = self.mentions[rows + 1] - self.mentions[rows]
        mentions = self.sentences.column("mentions").flatten()
        mentions = mentions.take(pa.array(ranges(self.mentions[rows], counts)))
        shift = pa.array(np.repeat(starts, counts), pa.int32())
        moved = [
            pc.add(column, shift) if field.name in ("start", "end") else column
            for field, column in zip(mentions.type, mentions.flatten(), strict=True)
        ]
        spans = [pa.array(ends_, pa.int32()) for ends_ in (starts, ends)]
        offsets = pa.array(bounds, pa.int32())
        lists = pa.LargeListArray if pa.types.is_large_string(text.type) else pa.ListArray
        return {
            "text": pc.binary_join(lists.from_arrays(bounds, text), separators.cast(text.type)).cast(
                pa.string()
            ),
            "sentences": pa.ListArray.from_arrays(
                offsets, pa.StructArray.from_arrays(spans, fields=list(SPAN))
            ),
            "sentence_ids": pa.ListArray.from_arrays(
                offsets, self.sentences.column("sentence_id").take(taken)
            ),
            "mentions": pa.ListArray.from_arrays(
                pa.array(sums(counts)[bounds], pa.int32()),
                pa.StructArray.from_arrays(moved, fields=list(mentions.type)),
            ),
        }


def _cut(pages: _Pages, kind: Kind, min_page_characters: int, tally: Tally) -> _Cut:
    room = kind.max_tokens - pages.added
    before = pages.before
    found: list[tuple[int, int, int]] = []
    long = short = 0
    for start, end in zip(pages.bounds, pages.bounds[1:], strict=False):
        if pages.characters[end] - pages.characters[start] < min_page_characters:
            short += 1
            continue
        first = start
        while first < end:
            stop = max(first + 1, bisect_right(before, before[first] + room, first + 1, end + 1) - 1)
            while (tokens := pages.tokens(first, stop)) > room and stop > first + 1:
                stop -= 1
            long += tokens > room
            found.append((first, stop, tokens))
            first = stop
    if short:
        tally.drop("short_page", short)
    tally.count("long_sentence", long)
    cut = np.array(found, np.int64).reshape(-1, 3)
    kept = pages.mentions[cut[:, 1]] - pages.mentions[cut[:, 0]] >= kind.min_entities
    if few := int((~kept).sum()):
        tally.drop("few_entities", few)
    return _Cut(*cut[kept].T)
