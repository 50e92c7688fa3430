"""Train, validation and test by hash: a page's or an entity pair's split never depends on the build."""

from collections.abc import Iterable

from kgcorpus.contracts.draws import hash64

SPLITS = ("train", "validation", "test")
# Only for the number of shards: roughly what the two rules below give.
SPLIT_SHARES = {"train": 0.9, "validation": 0.05, "test": 0.05}


def split_of_page(seed: int, lang: str, page_id: int) -> str:
    """90 / 5 / 5 by page."""
    u = hash64(seed, "page-split", lang, page_id) / 2.0**64
    return "train" if u < 0.90 else "validation" if u < 0.95 else "test"


def split_of_pair(seed: int, a: str, b: str) -> str:
    """96 / 2 / 2 by unordered entity pair."""
    first, second = sorted((a, b))
    u = hash64(seed, "pair-split", first, second) / 2.0**64
    return "train" if u < 0.96 else "validation" if u < 0.98 else "test"


def split_of_pairs(seed: int, pairs: Iterable[tuple[str, str]]) -> str:
    """Test if any pair is a test pair, else validation if any is one, else train.

    So no test pair is ever read in training.
    """
    found = {split_of_pair(seed, a, b) for a, b in pairs}
    return next(split for split in ("test", "validation", "train") if split in found or split == "train")
