"""Training of a fast tokenizer on the corpus, for models that start from scratch."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kgcorpus.contracts.errors import InputError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
BYTES = 256
# A Han character, a run of one kana script, of Hangul, of other letters or of digits, or one sign. Chinese
# and Japanese have no spaces: where the script changes is where most of their mentions begin and end.
_WORD = (
    r"\p{Han}|\p{Hiragana}+|[\p{Katakana}ー]+|\p{Hangul}+|\p{N}+"
    r"|[\p{L}\p{M}&&[^\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]]+|[^\s\p{L}\p{M}\p{N}]"
)


def make_tokenizer(
    texts: Iterable[str], *, vocab_size: int, max_length: int = 512
) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE tokenizer (Sennrich et al. 2016) with BERT's special tokens.

    Every word is cut off by script and carries the marker `Ġ` in front, wherever it occurs, so a label has
    the same tokens alone and inside a sentence, as in BERT. Bytes are the alphabet: no text is unknown.
    Decoding gives the text with one space between words, as in BERT. The same texts in the same order give
    the same file.

    Args:
        texts: the training text, read once.
        vocab_size: the size at most, special tokens and 256 bytes included.
        max_length: `model_max_length`, in tokens.

    Returns:
        A tokenizer that frames a text as `[CLS] x [SEP]` and a pair as `[CLS] x [SEP] y [SEP]`; its offsets
        are code points of the text as given.

    Raises:
        UsageError: `vocab_size` does not hold the special tokens and the bytes.
        InputError: the texts hold nothing to learn from.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if vocab_size < BYTES + len(SPECIAL_TOKENS):
        raise UsageError(
            f"a vocabulary of {vocab_size} is too small",
            where="vocab_size",
            hint=f"It holds {BYTES} bytes and {len(SPECIAL_TOKENS)} special tokens before any word",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), "removed"),
            pre_tokenizers.Split(Regex(_WORD), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS.values()),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() == BYTES + len(SPECIAL_TOKENS):
        raise InputError("no two letters occur together twice", where="texts", hint="Give more text")
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS.values()}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **SPECIAL_TOKENS,
    )
