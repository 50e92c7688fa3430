"""The tokens of labels, in the form that they have inside a sentence."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer


class LabelTokens:
    """Id -> tokens of its label, tokenised when first asked for and kept.

    Args:
        label_of: id -> label, or None.
        tokenizer: padding and truncation off.
    """

    def __init__(self, label_of: Callable[[str], str | None], tokenizer: Tokenizer) -> None:
        self._label_of, self._tokenizer = label_of, tokenizer
        self._known: dict[str, tuple[int, ...]] = {}

    def of(self, ident: str) -> tuple[int, ...]:
        """The label's tokens; none without a label."""
        return self.of_all([ident])[0]

    def of_all(self, idents: Sequence[str]) -> list[tuple[int, ...]]:
        """The same of several."""
        unknown = [ident for ident in dict.fromkeys(idents) if ident not in self._known]
        if unknown:
            self._tokenize(unknown)
        return [self._known[ident] for ident in idents]

    def _tokenize(self, unknown: Sequence[str]) -> None:
        labels = {ident: label for ident in unknown if (label := self._label_of(ident))}
        encodings = self._tokenizer.encode_batch_fast(
            # RoBERTa's tokens of a word inside a sentence begin with its space.
            [f" {label}" for label in labels.values()],
            add_special_tokens=False,
        )
        self._known |= dict.fromkeys(unknown, ())
        self._known |= {ident: tuple(encoding.ids) for ident, encoding in zip(labels, encodings, strict=True)}


def joined(lists: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lists one after the other, and where each starts: what an embedding bag reads."""
    starts = [0, *accumulate(map(len, lists))][:-1] if lists else []
    return np.array([x for part in lists for x in part], np.int64), np.array(starts, np.int64)
