"""Train, validation and test splits by hash: they depend on the page or entity pair and the seed only."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, hash64_rows

Split = Literal["train", "validation", "test"]
SPLITS = ("train", "validation", "test")
# Approximate shares of the two rules below, used only to choose the number of shards.
SPLIT_SHARES = {"train": 0.9, "validation": 0.05, "test": 0.05}


def split_of_page(seed: int, lang: str, page_id: int) -> Split:
    """Return the split of a page: 90 / 5 / 5 %."""
    u = hash64(seed, "page-split", lang, page_id) / 2.0**64
    return "train" if u < 0.90 else "validation" if u < 0.95 else "test"


def split_of_pair(seed: int, a: str, b: str) -> str:
    """Return the split of an unordered entity pair: 96 / 2 / 2 %."""
    return SPLITS[pair_splits(seed, [a], [b])[0]]


def pair_splits(seed: int, a: Sequence[str], b: Sequence[str]) -> NDArray[np.int8]:
    """Return [n] the splits of the pairs (a, b), as indices into `SPLITS`."""
    first, second = map(min, a, b), map(max, a, b)
    u = hash64_rows((seed, "pair-split"), list(first), list(second)) / 2.0**64
    return np.searchsorted([0.96, 0.98], u, side="right").astype(np.int8)


def split_of_pairs(seed: int, pairs: Iterable[tuple[str, str]]) -> str:
    """Return `test` if any pair is a test pair, else `validation` if any is one, else `train`.

    Training records therefore never contain a test or validation pair.
    """
    found = {split_of_pair(seed, a, b) for a, b in pairs}
    return next(split for split in ("test", "validation", "train") if split in found or split == "train")
