"""Code that came with a model is never run, and nobody is asked whether it may."""

import json

import pytest

from kgcorpus.contracts.errors import UsageError
from tests.trainer.toy import rows_of, write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.evaluate.fine_tuning.finetune import open_base
from trainer.jaket.model import JaketModelConfig, open_jaket
from trainer.masked_lm import load_lm, open_lm
from trainer.run import train

CODE = """
from pathlib import Path
(Path({folder!r}) / "ran").touch()
from transformers import PretrainedConfig
class Config(PretrainedConfig):
    model_type = "foreign"
class Model: pass
class Tokenizer: pass
"""


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A folder whose config names classes of a file that lies beside it; who asks is told yes."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "foreign.py").write_text(CODE.format(folder=str(tmp_path)))
    classes = {"AutoConfig": "Config", "AutoModel": "Model", "AutoModelForMaskedLM": "Model"}
    mapped = {name: f"foreign.{kind}" for name, kind in classes.items()}
    mapped["AutoTokenizer"] = [None, "foreign.Tokenizer"]
    (folder / "config.json").write_text(json.dumps({"model_type": "foreign", "auto_map": mapped}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": mapped}))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return folder


def base_of(folder):
    return TrainingConfig(base_model=str(folder), model=ModelConfig(hidden=16, layers=1, heads=2))


def jaket(folder):
    # Of the right kind, so that nothing but the tokenizer's class is foreign.
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = JaketModelConfig.model_type
    (folder / "config.json").write_text(json.dumps(config))
    return open_jaket(folder)


def run(folder):
    corpus = folder.parent / "corpus"
    write_corpus(corpus, rows_of(4))
    return train("kmlm", corpus=corpus, out=folder.parent / "RUN", config=base_of(folder), max_steps=1)


OPENED = {
    "model": open_lm,
    "tuned": open_base,
    "base model": lambda folder: load_lm(base_of(folder), None, longest=8),
    "its tokenizer": run,
    "jaket": jaket,
}


@pytest.mark.parametrize("opened", OPENED.values(), ids=OPENED)
def test_a_models_own_code_is_refused_in_one_line_and_not_run(foreign, opened):
    with pytest.raises(UsageError, match=r"comes with code of its own, which is not run\. Name") as told:
        opened(foreign)
    assert "\n" not in str(told.value)
    assert not (foreign.parent / "ran").exists()


def test_a_folder_without_a_model_is_told_in_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be loaded: .*\. Name a folder") as told:
        open_lm(tmp_path)
    assert "\n" not in str(told.value)
