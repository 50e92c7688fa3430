import pytest

from kgcorpus.tokens import ensure_tokens
from tests.trainer.toy import rows_of, write_corpus
from trainer.kmlm.config import STREAM_TABLES
from trainer.tokenizer import make_tokenizer

ROWS = 400


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A corpus of `ROWS` records a stream, in small row groups."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), rows_of(ROWS), row_group=70)


@pytest.fixture(scope="session")
def tokenizer():
    texts = [row["text"].replace("[mask]", " ") for rows in rows_of(200).values() for row in rows]
    return make_tokenizer(texts, vocab_size=400, max_length=128)


@pytest.fixture(scope="session")
def files(corpus, tokenizer):
    """Stream -> token files of the training split."""
    return {
        stream: ensure_tokens(corpus, table, tokenizer.backend_tokenizer, mask_token="[MASK]")["train"]
        for stream, table in STREAM_TABLES.items()
    }
