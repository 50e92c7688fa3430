from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from kgcorpus.tokens import ensure_tokens
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import Entities, GraphStore
from trainer.jaket.graph import Graph
from trainer.jaket.model import JaketModel
from trainer.jaket.tasks import Tasks
from trainer.masked_lm import load_lm
from trainer.masking import Vocabulary
from trainer.shards import MentionRecord, Record, ShardStream
from trainer.tokenizer import make_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@pytest.fixture(scope="session")
def jaket_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("jaket"), jaket_rows(), row_group=20)


@pytest.fixture(scope="session")
def jaket_tokenizer() -> "PreTrainedTokenizerFast":
    texts = [row["text"] for table in ("jaket_entities", "jaket_text") for row in jaket_rows()[table]]
    return make_tokenizer(texts, vocab_size=400, max_length=64)


@pytest.fixture(scope="session")
def store(jaket_corpus: Path, jaket_tokenizer: "PreTrainedTokenizerFast") -> GraphStore:
    return GraphStore(jaket_corpus, jaket_tokenizer, 16)


@pytest.fixture(scope="session")
def entities(store: GraphStore) -> Entities:
    return store.entities()


@pytest.fixture(scope="session")
def graph(store: GraphStore, entities: Entities) -> Graph:
    return store.graph(entities, directions="both", seen=None)


@pytest.fixture
def jaket(entities: Entities, jaket_tokenizer: "PreTrainedTokenizerFast") -> JaketModel:
    """A small untrained model with dropout, in evaluation mode."""
    torch.manual_seed(0)
    config = TrainingConfig(model=ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400, dropout=0.1))
    return JaketModel.around(
        load_lm(config, jaket_tokenizer, longest=64),
        JaketConfig(gat_heads=2),
        relations=entities.relation_names,
        categories=entities.category_names,
        seed=0,
    ).eval()


@pytest.fixture
def tasks(entities: Entities, graph: Graph) -> Tasks:
    return Tasks(entities, graph, JaketConfig(gat_heads=2), np.arange(len(entities)), 0)


@pytest.fixture
def records(
    jaket_corpus: Path, jaket_tokenizer: "PreTrainedTokenizerFast"
) -> Sequence[Record | MentionRecord]:
    """The passages of the toy, from its token files."""
    files = ensure_tokens(jaket_corpus, "jaket_text", jaket_tokenizer.backend_tokenizer, mask_token="[MASK]")[
        "train"
    ]
    stream = ShardStream(files, name="jaket", seed=0, max_length=64)
    return stream.take(stream.rows)


@pytest.fixture
def vocabulary(jaket_tokenizer: "PreTrainedTokenizerFast") -> Vocabulary:
    return Vocabulary.of(
        size=len(jaket_tokenizer),
        mask=jaket_tokenizer.mask_token_id,
        pad=jaket_tokenizer.pad_token_id,
        special_ids=jaket_tokenizer.all_special_ids,
    )
