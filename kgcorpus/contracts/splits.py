"""Train, validation and test by hash: a page's or an entity pair's split never depends on the build."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64, hash64_rows

SPLITS = ("train", "validation", "test")
# Only for the number of shards: roughly what the two rules below give.
SPLIT_SHARES = {"train": 0.9, "validation": 0.05, "test": 0.05}


def split_of_page(seed: int, lang: str, page_id: int) -> str:
    """90 / 5 / 5 by page."""
    u = hash64(seed, "page-split", lang, page_id) / 2.0**64
    return "train" if u < 0.90 else "validation" if u < 0.95 else "test"


def split_of_pair(seed: int, a: str, b: str) -> str:
    """96 / 2 / 2 by unordered entity pair."""
    return SPLITS[pair_splits(seed, [a], [b])[0]]


def pair_splits(seed: int, a: Sequence[str], b: Sequence[str]) -> NDArray[np.int8]:
    """[n] the splits of the pairs (a, b), as their places in `SPLITS`."""
    first, second = map(min, a, b), map(max, a, b)
    u = hash64_rows((seed, "pair-split"), list(first), list(second)) / 2.0**64
    return np.searchsorted([0.96, 0.98], u, side="right").astype(np.int8)


def split_of_pairs(seed: int, pairs: Iterable[tuple[str, str]]) -> str:
    """Test if any pair is a test pair, else validation if any is one, else train.

    So no test pair is ever read in training.
    """
    found = {split_of_pair(seed, a, b) for a, b in pairs}
    return next(split for split in ("test", "validation", "train") if split in found or split == "train")
