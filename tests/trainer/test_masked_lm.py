"""A model without some of its weights is not taken for whole."""

import logging
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForMaskedLM, BertConfig, PreTrainedTokenizerFast

from kgcorpus.contracts.errors import InputError
from tests.trainer.measuring import LargestTensor
from trainer.config import TrainingConfig
from trainer.head import LOGITS_AT_ONCE
from trainer.masked_lm import PackedMaskedLM, load_lm, open_lm


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


@pytest.mark.parametrize(
    ("architecture", "width"),
    [("Bert", 16), ("Roberta", 16), ("Electra", 16), ("Electra", 8), ("ModernBert", 16)],
)
def test_a_new_head_reads_the_states_as_they_are(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, architecture: str, width: int
) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    narrow = {"embedding_size": width} if architecture == "Electra" else {}
    config = getattr(transformers, f"{architecture}Config")(
        **sizes, **narrow, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id
    )
    AutoModel.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = load_lm(TrainingConfig(base_model=str(tmp_path)), tokenizer, longest=32)
    dense = next(weight for weight in model.transform_parameters() if weight.dim() == 2)
    assert torch.equal(dense, torch.eye(16)) == (width == 16)


def test_cut_weights_are_named(model: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="its weights cannot be read"):
        open_lm(model)
    with pytest.raises(InputError, match="its weights cannot be read"):
        load_lm(TrainingConfig(base_model=str(model)), tokenizer, longest=32)


def head(vocabulary: int) -> PackedMaskedLM:
    """A model whose head matters alone."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=vocabulary, max_position_embeddings=8, **sizes)
    return PackedMaskedLM(AutoModelForMaskedLM.from_config(config))


def test_the_head_of_a_large_vocabulary_never_holds_all_logits() -> None:
    model, tokens = head(250_000), 300
    states = torch.randn(tokens, 8, requires_grad=True)
    with LargestTensor() as largest:
        model.losses(states, torch.arange(tokens)).sum().backward()
    assert largest.elements <= LOGITS_AT_ONCE < tokens * 250_000
    assert model.table.grad is not None


@pytest.mark.parametrize("told", [False, True])
def test_the_head_s_losses_and_gradients_are_those_of_transformers(told: bool) -> None:
    model = head(100).double()
    states = torch.randn(23, 8, dtype=torch.float64, requires_grad=True)
    labels, weights = torch.randint(0, 100, (23,)), torch.rand(23)
    parameters = [states, *model.lm.cls.parameters(), model.table]
    found = model.losses(states, labels, factors=weights if told else None)
    expected = torch.nn.functional.cross_entropy(model.lm.cls(states).float(), labels, reduction="none")
    torch.testing.assert_close(found, expected)
    ours, theirs = (torch.autograd.grad((losses * weights).sum(), parameters) for losses in (found, expected))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(model.loss(states, labels), expected.sum())
