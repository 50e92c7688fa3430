"""A model without some of its weights is not taken for whole."""

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, BertConfig, PreTrainedTokenizerFast

from kgcorpus.contracts.errors import InputError
from trainer.config import TrainingConfig
from trainer.masked_lm import load_lm, open_lm


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    """A masked language model with its tokenizer."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def leave_out(model: Path, part: str) -> None:
    weights = load_file(model / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if part not in name}
    assert len(kept) < len(weights)
    save_file(kept, model / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("part", ["layer.0.output.dense.weight", "cls."])
def test_a_model_without_some_weights_is_not_evaluated(model: Path, part: str) -> None:
    open_lm(model)
    leave_out(model, part)
    with pytest.raises(InputError, match="lacks the weights"):
        open_lm(model)


def test_a_base_model_without_a_layer_is_refused(model: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    leave_out(model, "layer.0.output.dense.weight")
    with pytest.raises(InputError, match=r"lacks the weights bert\.encoder\.layer\.0"):
        load_lm(TrainingConfig(base_model=str(model)), tokenizer, longest=32)


def test_a_base_model_without_a_head_is_given_one_by_the_seed(
    model: Path, tokenizer: PreTrainedTokenizerFast, caplog: pytest.LogCaptureFixture
) -> None:
    leave_out(model, "cls.")
    config = TrainingConfig(base_model=str(model))
    with caplog.at_level(logging.INFO, "trainer"):
        one, other = (load_lm(config, tokenizer, longest=32).state_dict() for _ in range(2))
    assert "lacks cls.predictions.bias" in caplog.text
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_cut_weights_are_named(model: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="its weights cannot be read"):
        open_lm(model)
    with pytest.raises(InputError, match="its weights cannot be read"):
        load_lm(TrainingConfig(base_model=str(model)), tokenizer, longest=32)
