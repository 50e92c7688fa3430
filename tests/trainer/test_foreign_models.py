"""Base models that are damaged, incomplete or hostile end in one line, wherever one is opened."""

import json
import sys
import types

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM

from kgcorpus.cli import run_app
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.importance.encoder import load_encoder
from pipelines.lookup import token_counter
from tests.trainer.toy import rows_of, write_corpus
from trainer.config import TrainingConfig
from trainer.evaluate.fine_tuning.finetune import open_base
from trainer.masked_lm import open_lm
from trainer.run import train
from trainer.tokenizer import make_tokenizer

EVIL = {"type": "Split", "pattern": {"Regex": r"(\w+\s?)+$x"}, "behavior": "Isolated", "invert": False}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), rows_of(4))


@pytest.fixture
def model(tmp_path):
    """A whole model with its tokenizer."""
    return write_model(tmp_path / "model")


def write_model(folder, *, embeddings=300, tokenizer=True):
    made = make_tokenizer(["the cat sat on the mat and the dog ate the hat"] * 9, vocab_size=300)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=embeddings, max_position_embeddings=64, pad_token_id=0, **size)
    BertForMaskedLM(config).save_pretrained(folder)
    if tokenizer:
        made.save_pretrained(folder)
    return folder


def edit(path, **fields):
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in {**kept, **fields}.items() if v is not None}))


def run(folder):
    config = TrainingConfig(base_model=str(folder), records_per_step=4, max_length=48)
    return train(
        "kmlm", corpus=folder.parent / "corpus", out=folder.parent / "RUN", config=config, max_steps=1
    )


def refused(folder, corpus, *, opened=("train", "model", "tuned", "encoder")):
    """The errors' texts of all that opens a model there."""
    (folder.parent / "corpus").symlink_to(corpus)
    ways = {"train": run, "model": open_lm, "tuned": open_base, "encoder": lambda f: load_encoder(str(f))}
    found = {}
    for name in opened:
        with pytest.raises((UsageError, InputError)) as error:
            ways[name](folder)
        found[name] = str(error.value)
        assert "\n" not in found[name]
    return set(found.values())


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(tmp_path, corpus):
    found = refused(write_model(tmp_path / "model", embeddings=100), corpus)
    assert all("but the model has 100 embeddings" in text for text in found)


def test_a_model_without_a_tokenizer_is_refused(tmp_path, corpus):
    found = refused(write_model(tmp_path / "model", tokenizer=False), corpus)
    assert all("has no tokenizer" in text for text in found)


def test_a_tokenizer_without_a_padding_token_is_refused(model, corpus):
    edit(model / "tokenizer_config.json", pad_token=None)
    found = refused(model, corpus)
    assert all("tokenizer has no pad" in text for text in found)


def test_a_regular_expression_that_backtracks_is_refused(model, corpus):
    edit(model / "tokenizer.json", pre_tokenizer=EVIL)
    assert all("its tokenizer fails on a text" in text for text in refused(model, corpus))
    with pytest.raises(InputError, match="its tokenizer fails on a text"):
        token_counter(str(model))


def test_a_regular_expression_without_end_is_refused_in_time(model, monkeypatch):
    monkeypatch.setattr("kgcorpus.importance.tokenizers._LIMIT", 0.02)
    edit(model / "tokenizer.json", pre_tokenizer=EVIL)
    with pytest.raises(UsageError, match="backtracks without end"):
        open_lm(model)


def test_a_panic_while_a_text_is_read_is_told_in_one_line(model):
    encoder = load_encoder(str(model))
    panic = type("PanicException", (BaseException,), {})("retry-limit-in-match\nover")

    class Panicking:
        name_or_path = "there"

        def __call__(self, *_, **__):
            raise panic

    object.__setattr__(encoder, "tokenizer", Panicking())
    with pytest.raises(InputError, match=r"^there: the tokenizer fails \(retry-limit-in-match over\)"):
        encoder.tokenize(["a"])


def test_a_panic_that_nobody_foresaw_ends_the_command_in_one_line(capsys):
    def application():
        raise type("PanicException", (BaseException,), {})("index out of\nbounds")

    assert run_app(application) == 3
    told = capsys.readouterr().err.strip()
    assert told.startswith("error: a library for tokenizers or weights failed (index out of bounds)")
    assert "\n" not in told


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_told_and_not_the_records(model, corpus, value):
    weights = load_file(model / "model.safetensors")
    name = "bert.encoder.layer.0.output.dense.weight"
    weights[name] = weights[name].index_fill(0, torch.tensor([3]), value)
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    found = refused(model, corpus)
    assert all("its weights hold NaN or infinity (in " in text for text in found)


@pytest.mark.parametrize("field", ["_attn_implementation", "attn_implementation", "_experts_implementation"])
def test_no_kernel_that_a_config_names_is_fetched(model, corpus, monkeypatch, field):
    fetched = []
    module = types.ModuleType("kernels")
    module.get_kernel = lambda *name, **_: fetched.append(name)
    monkeypatch.setitem(sys.modules, "kernels", module)
    edit(model / "config.json", **{field: "evil-org/evil-kernel"})
    (model.parent / "corpus").symlink_to(corpus)
    run(model)
    for opened in (open_lm, open_base, lambda folder: load_encoder(str(folder))):
        opened(model)
    assert not fetched


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        (
            "adapter_config.json",
            {"base_model_name_or_path": "evil/base", "peft_type": "LORA"},
            "is an adapter",
        ),
        ("config.json", {"quantization_config": {"quant_method": "bitsandbytes"}}, "is quantised"),
    ],
)
def test_adapters_and_quantised_models_are_refused(model, corpus, name, fields, said):
    if not (model / name).exists():
        (model / name).write_text("{}")
    edit(model / name, **fields)
    assert all(said in text for text in refused(model, corpus))


def test_the_whole_model_is_opened_by_all(model, corpus):
    (model.parent / "corpus").symlink_to(corpus)
    assert run(model)
    for opened in (open_lm, open_base, lambda folder: load_encoder(str(folder))):
        assert opened(model)
