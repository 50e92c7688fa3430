from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from kgcorpus.tokens import ensure_tokens
from tests.trainer.toy import rows_of, write_corpus
from trainer.kmlm.config import STREAM_TABLES
from trainer.tokenizer import make_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ROWS = 400
WORDS = (
    "Ulm Rome Paris Lima Oslo river city lake the of in a is was born died Ada Bob Carl Dora town it good bad"
)
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.2,
}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of `ROWS` records a stream, in small row groups."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), rows_of(ROWS), row_group=70)


@pytest.fixture(scope="session")
def tokenizer() -> "PreTrainedTokenizerFast":
    texts = [row["text"].replace("[mask]", " ") for rows in rows_of(200).values() for row in rows]
    return make_tokenizer(texts, vocab_size=400, max_length=128)


@pytest.fixture(scope="session")
def files(corpus: Path, tokenizer: "PreTrainedTokenizerFast") -> dict[str, list[Path]]:
    """Stream -> token files of the training split."""
    return {
        stream: ensure_tokens(corpus, table, tokenizer.backend_tokenizer, mask_token="[MASK]")["train"]
        for stream, table in STREAM_TABLES.items()
    }


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with random weights and its tokenizer, as a folder."""
    from transformers import BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("bert")
    tokenizer = make_tokenizer([WORDS] * 3, vocab_size=420, max_length=64)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **SIZES)
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa with random weights and a byte-level tokenizer, as a folder."""
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizerFast

    folder = tmp_path_factory.mktemp("roberta")
    bpe = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator([WORDS] * 3, vocab_size=420, special_tokens=special, show_progress=False)
    bpe._tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer = RobertaTokenizerFast(tokenizer_object=bpe._tokenizer)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, **SIZES
    )
    RobertaForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
