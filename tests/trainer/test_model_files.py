"""RUN/model names the hashes of its files: one that changed is refused wherever the folder is read."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, AutoTokenizer

from kgcorpus.cli import app, run_app
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.importance.encoder import load_encoder
from pipelines.lookup import token_counter
from tests.trainer.toy import rows_of, write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.convert import convert
from trainer.evaluate.fine_tuning.finetune import open_base
from trainer.jaket.model import open_jaket
from trainer.run import train
from trainer.trelm.explain import explain

SMALL = TrainingConfig(
    schedule_steps=2,
    records_per_step=8,
    rows_per_forward=8,
    model=ModelConfig(hidden=16, layers=1, heads=2, vocab_size=300),
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A corpus, and a run of KMLM."""
    folder = tmp_path_factory.mktemp("ended")
    write_corpus(folder / "corpus", rows_of(40))
    train("kmlm", corpus=folder / "corpus", out=folder / "run", config=SMALL)
    return folder


@pytest.fixture
def model(ended, tmp_path):
    """A copy of RUN/model."""
    return shutil.copytree(ended / "run" / "model", tmp_path / "model")


def change_a_weight(folder):
    """Set one weight to another finite number; the file stays a whole model."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    next(iter(tensors.values())).view(-1)[0] = 3.0
    save_file(tensors, path, metadata={"format": "pt"})


def _train_on(model, ended):
    config = SMALL.model_copy(update={"base_model": str(model)})
    train("kmlm", corpus=ended / "corpus", out=model.parent / "RUN", config=config)


READERS = {
    "base_model": _train_on,
    "explain": lambda model, ended: explain(str(model), "Ulm a [MASK]."),
    "fine-tuning": lambda model, ended: open_base(str(model)),
    "encoder": lambda model, ended: load_encoder(str(model)),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_changed_weight_is_refused_by_every_reader(ended, model, reader):
    READERS[reader](model, ended)
    change_a_weight(model)
    shutil.rmtree(model.parent / "RUN", ignore_errors=True)
    with pytest.raises(InputError, match=r"model: is damaged \(the bytes of model\.safetensors") as error:
        READERS[reader](model, ended)
    assert "\n" not in str(error.value)


def test_evaluate_refuses_a_changed_weight_in_one_line(ended, model, capsys):
    change_a_weight(model)
    command = ["evaluate", "cycles", "--model", model, "--data", ended / "corpus", "--out", model / "x.json"]
    assert run_app(lambda: app([str(word) for word in command], standalone_mode=False)) == 3
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"error: {model}: is damaged (the bytes of model.safetensors are not those")
    assert last.endswith("if you changed it on purpose, delete its state.json")


def test_a_changed_tokenizer_is_refused_by_the_passages_of_a_build(model):
    assert token_counter(str(model)).count(["Ulm"]) != [0]
    token_counter.cache_clear()
    path = model / "tokenizer.json"
    path.write_text(path.read_text().replace('"vocab"', ' "vocab"'))
    with pytest.raises(InputError, match=r"the bytes of tokenizer\.json"):
        token_counter(str(model))


def test_edited_settings_are_a_warning(model, caplog):
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**settings, "hidden_dropout_prob": 0.5}))
    assert load_encoder(str(model)).model.config.hidden_dropout_prob == 0.5
    assert "config.json has changed since the model was written" in caplog.text


def test_what_a_user_may_do_to_a_model_folder(ended, model):
    (model / "README.md").write_text("mine")
    (model / "generation_config.json").write_text("{}")
    load_encoder(str(model))
    # A copy without hashes, as of an older run, may be changed at will.
    (model / "state.json").unlink()
    change_a_weight(model)
    load_encoder(str(model))
    _train_on(model, ended)
    changed = AutoModelForMaskedLM.from_pretrained(model)
    changed.save_pretrained(model.parent / "published")
    AutoTokenizer.from_pretrained(model).save_pretrained(model.parent / "published")
    load_encoder(str(model.parent / "published"))


def test_a_copy_may_leave_out_files_that_its_reader_does_not_need(ended, tmp_path):
    partial = tmp_path / "partial"
    partial.mkdir()
    for name in ("state.json", "tokenizer.json"):
        shutil.copyfile(ended / "run" / "model" / name, partial / name)
    assert token_counter(str(partial)).count(["Ulm a Ulm b."])


@pytest.mark.parametrize("name", ["state.json", "model.safetensors", "config.json", "spiece.model"])
def test_a_pipe_in_a_model_folder_is_refused_and_does_not_hang(model, name):
    (model / name).unlink(missing_ok=True)
    os.mkfifo(model / name)
    with pytest.raises(InputError, match="is no regular file but a pipe"):
        load_encoder(str(model))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": {}, "sha256": "0"}', "[" * 100_000])
def test_a_damaged_list_of_hashes_is_named(model, text):
    (model / "state.json").write_text(text)
    with pytest.raises(InputError, match=r"model: is damaged \("):
        load_encoder(str(model))


HUGE_OR_WRONG = {
    "no size": {"hidden_size": 0},
    "no heads": {"num_attention_heads": 0},
    "no such activation": {"hidden_act": "nope"},
    "a padding id outside": {"pad_token_id": 10**6},
    "a billion layers": {"num_hidden_layers": 10**9},
    "layers of a part": {"text_config": {"n_layer": 10**9}},
    "a trillion labels": {"num_labels": 10**12},
}
NO_MAPPING = {"a list": "[]", "null": "null", "nested": "[" * 100_000}


@pytest.mark.parametrize("fault", [*HUGE_OR_WRONG, *NO_MAPPING])
def test_a_config_that_describes_no_model_is_refused_in_one_line(ended, model, fault):
    path = model / "config.json"
    right = json.loads(path.read_text())
    path.write_text(NO_MAPPING.get(fault) or json.dumps(right | HUGE_OR_WRONG[fault]))
    for read in (*READERS.values(), lambda folder, _: open_jaket(folder)):
        with pytest.raises((InputError, UsageError)) as error:
            read(model, ended)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("longest", ["x", 0, -1, True, []])
def test_a_longest_text_that_is_no_length_is_refused(model, longest):
    path = model / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": longest}))
    with pytest.raises(InputError, match="model_max_length in its tokenizer_config"):
        load_encoder(str(model))


def test_a_converted_model_names_its_hashes(model, tmp_path):
    (model / "state.json").unlink()
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    made = convert(model, tmp_path / "converted")
    change_a_weight(made)
    with pytest.raises(InputError, match="converted: is damaged"):
        load_encoder(str(made))
