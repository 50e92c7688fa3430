"""The tokens of labels, in the form that they have inside a sentence."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kgcorpus.importance.tokenizers import tokenizer_panics_as_errors
from kgcorpus.kg.names import Names
from kgcorpus.special_tokens import as_plain_text, plain_ids
from trainer.arrays import derived

_BATCH = 50_000


class LabelTokens:
    """Id -> tokens of its label, in two arrays that are memory-mapped from a cache.

    A label takes 8 bytes and 4 a token; nothing is added to them later.

    Args:
        names: the ids and their labels.
        lang: the language of the labels.
        tokenizer: padding and truncation off.
        cache: a folder for the arrays, whose name holds all that they depend on; made where it is missing.

    Attributes:
        starts: [N + 1] int64, where the tokens of the id at each row begin.
        ids: [tokens] int32.
    """

    def __init__(self, names: Names, lang: str, tokenizer: Tokenizer, cache: Path) -> None:
        arrays = derived(cache, lambda: _tokenized(names.book(lang).labels, tokenizer))
        self.starts: NDArray[np.int64] = arrays["starts"]
        self.ids: NDArray[np.int32] = arrays["ids"]
        self._names, self._row_of = names, names.row_of
        # The last byte is that of row -1, an unknown id.
        self._labelled = (np.diff(self.starts) > 0).tobytes() + b"\0"

    def __contains__(self, ident: str) -> bool:
        return self._labelled[self._row_of.get(ident, -1)] > 0

    def of(self, ident: str) -> tuple[int, ...]:
        """The label's tokens; none without a label."""
        if ident not in self:
            return ()
        row = self._row_of[ident]
        return tuple(self.ids[self.starts[row] : self.starts[row + 1]].tolist())

    def of_all(self, idents: Sequence[str]) -> list[tuple[int, ...]]:
        """The same of several."""
        return [self.of(ident) for ident in idents]

    def rows(self, idents: pa.Array) -> NDArray[np.int64]:
        """[n] the rows of these ids, -1 for one that has none."""
        return self._names.places(idents)

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of tokens at each row, 0 for row -1; shaped like the argument."""
        return np.where(rows >= 0, self.starts[rows + 1] - self.starts[rows], 0)


def _tokenized(labels: pa.Array, tokenizer: Tokenizer) -> dict[str, NDArray[np.integer]]:
    parts = list(_encoded(labels, tokenizer))
    sizes = np.concatenate([np.zeros(1, np.int64), *(size for size, _ in parts)])
    return {
        "starts": np.cumsum(sizes),
        "ids": np.concatenate([np.empty(0, np.int32), *(ids for _, ids in parts)]),
    }


def _encoded(labels: pa.Array, tokenizer: Tokenizer) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """Of each batch of labels the number of tokens of each, and the tokens; a null has none."""
    for first in range(0, len(labels), _BATCH):
        part = labels[first : first + _BATCH]
        given = np.flatnonzero(pc.is_valid(part).to_numpy(zero_copy_only=False))
        with tokenizer_panics_as_errors("the labels' tokenizer"), as_plain_text(tokenizer):
            encodings = tokenizer.encode_batch_fast(
                # RoBERTa's tokens of a word inside a sentence begin with its space.
                [f" {label}" for label in part.drop_null().to_pylist()],
                add_special_tokens=False,
            )
        sizes = np.zeros(len(part), np.int64)
        rows = plain_ids(encodings, tokenizer)
        sizes[given] = [len(row) for row in rows]
        yield sizes, np.array([token for row in rows for token in row], np.int32)


def joined(lists: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lists one after the other, and where each starts: what an embedding bag reads."""
    starts = [0, *accumulate(map(len, lists))][:-1] if lists else []
    return np.array([x for part in lists for x in part], np.int64), np.array(starts, np.int64)


def ranges(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each start on, as many as its size, one range after the other."""
    before = np.cumsum(sizes) - sizes
    return np.repeat(starts - before, sizes) + np.arange(int(sizes.sum()))
