"""Where the memory's local part starts with `trelm.memory.literal`: at pre-trained embeddings (eq. 5)."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgcorpus.contracts.shards import read_batches
from kgcorpus.tokens import REMADE_BY
from trainer.trelm.labels import LabelTokens, joined
from trainer.trelm.words import WordFinder


def pretrained_embeddings(
    entities: Sequence[str], words: Sequence[tuple[int, ...]], labels: LabelTokens, *, table: Tensor
) -> Callable[[NDArray[np.int64]], Tensor]:
    """The mean word embedding of a slot's tokens: of an entity's label, or of the word itself.

    The print names the pre-trained embedding and does not say which one an entity of several tokens has.

    Args:
        entities: of the first slots.
        words: tokens of each word, of the slots behind them.
        labels: entity -> tokens of its label; an entity without a label starts at zero.
        table: [vocabulary, hidden], the language model's word embeddings before training.

    Returns:
        Slots [n], ascending -> [n, hidden].
    """
    table = table.detach().float().cpu()

    def of(slots: NDArray[np.int64]) -> Tensor:
        named, rest = np.split(slots, [np.searchsorted(slots, len(entities))])
        tokens = labels.of_all([entities[slot] for slot in named.tolist()])
        ids, starts = joined([*tokens, *(words[slot - len(entities)] for slot in rest.tolist())])
        return torch.nn.functional.embedding_bag(
            torch.from_numpy(ids), table, torch.from_numpy(starts), mode="mean"
        )

    return of


def tokens_of_words(
    files: Sequence[Path], hashes: NDArray[np.uint64], finder: WordFinder
) -> list[tuple[int, ...]]:
    """The tokens of the words with these hashes [n], ascending, by one pass over the token files.

    Raises:
        InputError: a file is damaged.
    """
    found: list[tuple[int, ...]] = [()] * len(hashes)
    for file in files:
        for batch in read_batches(file, ["ids"], command=REMADE_BY):
            ids = pc.list_flatten(batch.column("ids")).to_numpy()
            words = finder.find(ids)
            distinct, first = np.unique(words.hashes, return_index=True)
            _, places, at = np.intersect1d(hashes, distinct, assume_unique=True, return_indices=True)
            for place, word in zip(places.tolist(), first[at].tolist(), strict=True):
                found[place] = tuple(ids[words.starts[word] : words.ends[word]].tolist())
    return found
