"""Whole words in rows of token ids, each known by a hash, so that a corpus is counted without its text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import mix64_array

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# What tokenizers put in front of a word's first token: byte-level BPE, SentencePiece.
_MARKERS = ("Ġ", "▁")
# What WordPiece puts in front of every other token.
_CONTINUATION = "##"


@dataclass(frozen=True)
class Words:
    """The words of a row of tokens, specials among them.

    Attributes:
        starts, ends: [words] token spans.
        hashes: [words] equal for equal tokens.
        content: [words] whether a letter stands in the word.
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
