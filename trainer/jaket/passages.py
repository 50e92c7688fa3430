"""Passages of a build for what is not training."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kgcorpus.tokens import ensure_tokens
from trainer.shards import MentionRecord, ShardStream

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def read_passages(
    corpus: Path,
    tokenizer: "PreTrainedTokenizerFast",
    *,
    splits: Sequence[str],
    length: int,
    limit: int | None,
) -> dict[str, list[MentionRecord]]:
    """split -> passages of `jaket_text`, `limit` at most, cut to `length` tokens; each is read once."""
    mask = str(tokenizer.mask_token)
    files = ensure_tokens(corpus, "jaket_text", tokenizer.backend_tokenizer, mask_token=mask, splits=splits)
    found = {}
    for split in splits:
        stream = ShardStream[MentionRecord](files[split], name="jaket-once", seed=0, max_length=length)
        found[split] = stream.take(min(stream.rows, limit or stream.rows))
    return found
