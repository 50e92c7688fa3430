"""Encoding of special tokens in input text (`[SEP]`, `<s>`) as plain text."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


@contextlib.contextmanager
def as_plain_text(tokenizer: "Tokenizer") -> Iterator[None]:
    """Make the tokenizer encode special tokens in a text, such as `[SEP]` or `<s>`, like other characters."""
    before = tokenizer.encode_special_tokens
    tokenizer.encode_special_tokens = True
    try:
        yield
    finally:
        tokenizer.encode_special_tokens = before


def plain_ids(encodings: "Sequence[Encoding]", tokenizer: "Tokenizer") -> list[list[int]]:
    """Return the ids of each encoding, with special tokens from the text replaced by the unknown token.

    `as_plain_text` only disables the matching of added tokens. A Unigram model (XLM-R) also has `<s>` or
    `<mask>` as pieces of its vocabulary and segments a text into them. Tokens that the post-processor adds
    are kept. Without an unknown token, the ids are unchanged.

    Args:
        encodings: result of `encode_batch` or `encode_batch_fast` within `as_plain_text`.
        tokenizer: the tokenizer of the encodings.
    """
    special = special_ids(tokenizer)
    unknown = _unknown_id(tokenizer)
    if unknown is None:
        return [encoding.ids for encoding in encodings]
    rows = []
    for encoding in encodings:
        ids, added = encoding.ids, encoding.special_tokens_mask
        if sum(map(special.__contains__, ids)) != sum(added):
            ids = [
                unknown if token in special and not by_processor else token
                for token, by_processor in zip(ids, added, strict=True)
            ]
        rows.append(ids)
    return rows


def special_ids(tokenizer: "Tokenizer") -> frozenset[int]:
    """Return the ids of the special tokens, without the unknown token, which any text may contain."""
    tokens = tokenizer.get_added_tokens_decoder().items()
    return frozenset(ident for ident, token in tokens if token.special) - {_unknown_id(tokenizer)}


def _unknown_id(tokenizer: "Tokenizer") -> int | None:
    # Unigram models have no attribute for the unknown token.
    names = (getattr(tokenizer.model, "unk_token", None), "<unk>", "[UNK]")
    found = (tokenizer.token_to_id(name) for name in names if name)
    return next((ident for ident in found if ident is not None), None)
