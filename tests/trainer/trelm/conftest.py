from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kgcorpus.tokens import ensure_tokens
from tests.trainer.trelm.world import LABELS, passages_of, write_vectors, write_world
from trainer.tokenizer import make_tokenizer
from trainer.trelm.graph import Graph, open_graph

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build of 60 training and 12 held-out passages."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RUN of a graph embedding."""
    return write_vectors(tmp_path_factory.mktemp("kge"))


@pytest.fixture(scope="session")
def tokenizer() -> "PreTrainedTokenizerFast":
    texts = [row["text"] for row in passages_of(60)] + list(LABELS.values())
    return make_tokenizer(texts, vocab_size=340, max_length=128)


@pytest.fixture(scope="session")
def graph(world: Path) -> Graph:
    return open_graph(world, relation_names=True)


@pytest.fixture(scope="session")
def files(world: Path, tokenizer: "PreTrainedTokenizerFast") -> list[Path]:
    """Token files of the training split."""
    return ensure_tokens(world, "trelm", tokenizer.backend_tokenizer, mask_token="[MASK]")["train"]
