"""Small tokenizers for tests."""

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from tests.trainer.toy import rows_of


def unigram_tokenizer(mask: str = "<mask>") -> Tokenizer:
    """The layout of XLM-R: the model's own pieces include the special tokens, with the best score."""
    specials = ["<s>", "</s>", "<pad>", "<unk>", mask]
    texts = [row["text"] for rows in rows_of(40).values() for row in rows]
    pieces = sorted({*"".join(texts), *"<s>/pad[MASK]", "▁"} - {" ", mask})
    vocabulary = [(token, 0.0) for token in specials] + [(piece, -3.0) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer
