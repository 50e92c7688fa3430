"""Texts from outside that spell a tokenizer's special tokens: encoded as the text they are."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@contextlib.contextmanager
def as_plain_text(tokenizer: "Tokenizer") -> Iterator[None]:
    """Let the tokenizer encode `[SEP]`, `<s>` and the like in a text as any other characters."""
    before = tokenizer.encode_special_tokens
    tokenizer.encode_special_tokens = True
    try:
        yield
    finally:
        tokenizer.encode_special_tokens = before
