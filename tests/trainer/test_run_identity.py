"""A run goes on with what it was started with: files are compared by content, and may have moved."""

import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file

from kgcorpus.contracts.errors import UsageError
from tests.trainer.toy import rows_of, write_corpus
from tests.trainer.trelm.made import SMALL, config_of, options_of
from tests.trainer.trelm.world import triples_of, write_vectors, write_world
from trainer.config import TrainingConfig
from trainer.run import train
from trainer.transe.config import TranseConfig


def base_config(base):
    return TrainingConfig(base_model=str(base), records_per_step=8, schedule_steps=4, max_length=64)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A corpus and a trained model."""
    folder = tmp_path_factory.mktemp("plain")
    write_corpus(folder / "corpus", rows_of(20))
    config = TrainingConfig(
        model=SMALL.model_copy(update={"vocab_size": 400}), schedule_steps=4, max_length=64
    )
    train("kmlm", corpus=folder / "corpus", out=folder / "base", config=config, max_steps=1)
    return folder


def test_another_base_model_under_the_same_path_is_refused_and_a_moved_one_is_not(plain, tmp_path):
    base, out = shutil.copytree(plain / "base" / "model", tmp_path / "base"), tmp_path / "run"
    train("kmlm", corpus=plain / "corpus", out=out, config=base_config(base), max_steps=1)
    (base / "README.md").write_text("no file that transformers reads")
    moved = base.rename(tmp_path / "moved")
    train("kmlm", corpus=plain / "corpus", out=out, config=base_config(moved), max_steps=2)
    settings = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**settings, "hidden_dropout_prob": 0.5}))
    with pytest.raises(UsageError, match="holds a run with another base_model"):
        train("kmlm", corpus=plain / "corpus", out=out, config=base_config(moved), max_steps=3)


def test_another_tokenizer_in_the_run_s_folder_is_refused(plain, tmp_path):
    out = shutil.copytree(plain / "base", tmp_path / "run")
    settings = json.loads((out / "tokenizer" / "tokenizer.json").read_text())
    settings["normalizer"] = {"type": "Lowercase"}
    (out / "tokenizer" / "tokenizer.json").write_text(json.dumps(settings))
    config = TrainingConfig(
        model=SMALL.model_copy(update={"vocab_size": 400}), schedule_steps=4, max_length=64
    )
    with pytest.raises(UsageError, match="holds a run with another tokenizer"):
        train("kmlm", corpus=plain / "corpus", out=out, config=config, max_steps=2)


def test_tables_of_other_bytes_are_refused(plain, tmp_path):
    corpus, out = tmp_path / "corpus", tmp_path / "run"
    config = base_config(plain / "base" / "model")
    train("kmlm", corpus=write_corpus(corpus, rows_of(20)), out=out, config=config, max_steps=1)
    shutil.rmtree(corpus)
    write_corpus(corpus, rows_of(20, seed=1))
    with pytest.raises(
        UsageError, match=r"holds a run with another corpus\.code_switched, corpus\.plain_text"
    ):
        train("kmlm", corpus=corpus, out=out, config=config, max_steps=2)


def test_other_vectors_under_the_same_path_are_refused(tmp_path):
    world, kge, out = write_world(tmp_path / "world"), write_vectors(tmp_path / "kge"), tmp_path / "run"
    config = config_of(trelm=options_of(kge=str(kge)))
    train("trelm", corpus=world, out=out, config=config, max_steps=1)
    kge = kge.rename(tmp_path / "moved")
    config = config_of(trelm=options_of(kge=str(kge)))
    train("trelm", corpus=world, out=out, config=config, max_steps=2)
    vectors = np.load(kge / "model" / "entities.npy")
    np.save(kge / "model" / "entities.npy", vectors[::-1])
    with pytest.raises(UsageError, match=r"holds a run with another trelm\.kge"):
        train("trelm", corpus=world, out=out, config=config, max_steps=3)


def test_other_facts_held_out_under_the_same_path_are_refused(tmp_path):
    world, out, held = write_world(tmp_path / "world"), tmp_path / "run", tmp_path / "held.txt"
    held.write_text("\t".join(triples_of()[0]) + "\n")
    config = TrainingConfig(transe=TranseConfig(held_out=str(held), dim=8, facts_per_step=8, negatives=4))
    train("transe", corpus=world, out=out, config=config, max_steps=1)
    held.write_text("\t".join(triples_of()[1]) + "\n")
    with pytest.raises(UsageError, match=r"holds a run with another transe\.held_out"):
        train("transe", corpus=world, out=out, config=config, max_steps=2)
    held.write_text("\t".join(triples_of()[0]) + "\n")
    train("transe", corpus=world, out=out, config=config, max_steps=2)


def test_a_run_in_two_parts_under_a_moved_base_ends_in_the_same_weights(plain, tmp_path):
    bases = [shutil.copytree(plain / "base" / "model", tmp_path / name) for name in ("one", "two")]
    for out, parts in (("whole", [(0, 3)]), ("parts", [(0, 1), (1, 3)])):
        for base, steps in parts:
            config = base_config(bases[base])
            train("kmlm", corpus=plain / "corpus", out=tmp_path / out, config=config, max_steps=steps)
    whole, parts = (load_file(tmp_path / out / "model" / "model.safetensors") for out in ("whole", "parts"))
    assert all((parts[name] == weight).all() for name, weight in whole.items())
