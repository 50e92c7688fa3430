"""Texts, words and marked entities as rows of tokens, and the examples made of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from kgcorpus.contracts.draws import Draw, hash64

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# The target of a token that has none.
NO_LABEL = -100
# A shuffled stretch of this many batches is sorted by length: less padding.
_STRETCH = 50
T = TypeVar("T")
HEAD, TAIL = ("<e1>", "</e1>"), ("<e2>", "</e2>")
MARKERS = (*HEAD, *TAIL)


class Row(NamedTuple):
    """A sequence as an encoder reads it: token ids, special tokens included, and the token types."""

    ids: Sequence[int]
    types: Sequence[int]


@dataclass(frozen=True)
class Example:
    """One row, or one row a choice, and its target; the target is not read when predicting.

    Attributes:
        rows: of one example.
        target: a class or choice; a number; 0. and 1. for each label; the class of each token, or `NO_LABEL`;
            the first and the last position of a span.
    """

    rows: tuple[Row, ...]
    target: int | float | Sequence[float] | Sequence[int] = 0

    @property
    def length(self) -> int:
        """Tokens of the longest row."""
        return max(len(row.ids) for row in self.rows)


def shuffled_batches(examples: Sequence[Example], size: int, draw: Draw) -> Iterator[list[Example]]:
    """Every example once, in drawn order, beside others of about its length."""
    order = list(range(len(examples)))
    draw.shuffle(order)
    batches = []
    for first in range(0, len(order), size * _STRETCH):
        stretch = sorted(order[first : first + size * _STRETCH], key=lambda i: examples[i].length)
        batches += [stretch[i : i + size] for i in range(0, len(stretch), size)]
    draw.shuffle(batches)
    for batch in batches:
        yield [examples[i] for i in batch]


def row_tensors(batch: Sequence[Example], *, pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, types and mask (true at tokens) of all rows of a batch, [rows, length]."""
    rows = [row for example in batch for row in example.rows]
    shape = len(rows), max(len(row.ids) for row in rows)
    ids = np.full(shape, pad, np.int64)
    types = np.zeros(shape, np.int64)
    mask = np.zeros(shape, np.bool_)
    for i, row in enumerate(rows):
        size = len(row.ids)
        ids[i, :size], types[i, :size], mask[i, :size] = row.ids, row.types, True
    return torch.from_numpy(ids), torch.from_numpy(types), torch.from_numpy(mask)


def target_tensor(batch: Sequence[Example]) -> Tensor:
    """[examples], [examples, labels or 2], or [examples, length] padded with `NO_LABEL`."""
    targets = [torch.tensor(example.target) for example in batch]
    if targets[0].ndim == 0:
        return torch.stack(targets)
    return torch.nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=NO_LABEL)


class Sampler:
    """Applies `limit` to the parts of a benchmark and records which of them it reduced.

    Args:
        limit: maximum number of examples of a part; None keeps all.

    Attributes:
        sampled: part -> {"n": examples kept, "of": examples in the file}; empty if nothing was left out.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.sampled: dict[str, dict[str, int]] = {}

    def __call__(self, part: str, items: Sequence[T]) -> list[T]:
        """At most `limit` of the part's examples, chosen by `drawn`."""
        kept = drawn(items, self._limit)
        if len(kept) < len(items):
            self.sampled[part] = {"n": len(kept), "of": len(items)}
        return kept


def drawn(items: Sequence[T], limit: int | None) -> list[T]:
    """At most `limit` of the items, drawn by their places; in their order."""
    if limit is None or len(items) <= limit:
        return list(items)
    chosen = sorted(range(len(items)), key=lambda i: hash64("evaluate-limit", i))[:limit]
    return [items[i] for i in sorted(chosen)]


def rows_of_texts(
    tokenizer: "PreTrainedTokenizerFast",
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    max_length: int,
    cut: Counter[str],
) -> list[Row]:
    """One row a text, or a text and its pair; what is longer than `max_length` is cut, the longer text first.

    Args:
        tokenizer: a fast one.
        texts, pairs: [n].
        max_length: tokens, special ones included.
        cut: `texts` counts those that were cut.
    """
    if not texts:
        return []
    encoded: Any = tokenizer(
        list(texts),
        list(pairs) if pairs is not None else None,
        truncation="longest_first",
        max_length=max_length,
        return_token_type_ids=True,
        return_overflowing_tokens=False,
    )
    cut["texts"] += sum(bool(encoding.overflowing) for encoding in encoded.encodings)
    return [
        Row(ids, types) for ids, types in zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)
    ]


def examples_of_words(
    tokenizer: "PreTrainedTokenizerFast",
    sentences: Sequence[tuple[Sequence[str], Sequence[int]]],
    *,
    max_length: int,
    cut: Counter[str],
) -> tuple[list[Example], list[list[int | None]]]:
    """One example a sentence, a word's class at its first token.

    The words are joined by spaces; the tokenizer's offsets say which token begins which word.

    Args:
        tokenizer: a fast one.
        sentences: the words and their classes.
        max_length: tokens, special ones included.
        cut: `words` counts those beyond it.

    Returns:
        The examples, and where each word's first token is: None for a word that was cut off, or that the
        tokenizer has no token for.
    """
    if not sentences:
        return [], []
    encoded: Any = tokenizer(
        [" ".join(words) for words, _ in sentences],
        truncation=True,
        max_length=max_length,
        return_token_type_ids=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    examples, places = [], []
    for i, (words, classes) in enumerate(sentences):
        ids = encoded["input_ids"][i]
        first = _first_tokens(words, encoded["offset_mapping"][i], encoded["special_tokens_mask"][i])
        target = [NO_LABEL] * len(ids)
        for place, label in zip(first, classes, strict=True):
            if place is None:
                cut["words"] += 1
            else:
                target[place] = label
        examples.append(Example((Row(ids, encoded["token_type_ids"][i]),), target))
        places.append(first)
    return examples, places


def _first_tokens(
    words: Sequence[str], offsets: Sequence[tuple[int, int]], special: Sequence[int]
) -> list[int | None]:
    """The first token that shares a character with each word and with no word before it."""
    first: list[int | None] = []
    start, token = 0, 0
    for word in words:
        end = start + len(word)
        while token < len(offsets) and (special[token] or offsets[token][1] <= start):
            token += 1
        inside = token < len(offsets) and offsets[token][0] < end
        first.append(token if inside else None)
        token += inside
        start = end + 1
    return first


def marked(tokens: Sequence[str], head: tuple[int, int], tail: tuple[int, int]) -> str:
    """The tokens joined by spaces, with markers around two spans [start, end) of them."""
    around = [(*head, HEAD), (*tail, TAIL)]
    words = []
    for i, token in enumerate([*tokens, ""]):
        words += [marks[1] for _, end, marks in around if end == i]
        words += [marks[0] for start, _, marks in around if start == i]
        words.append(token)
    return " ".join(words).rstrip()
