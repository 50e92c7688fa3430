"""Checkpoints in .bin become safetensors, and code in them never runs."""

import json
import os
import pickle
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.importance.encoder import load_encoder
from kgcorpus.importance.pretrained import INDEX, WHOLE
from trainer.convert import convert
from trainer.pretrained import load_model


@pytest.fixture
def published(tmp_path):
    """A BERT as it was published in 2018: one pickle, the norms' weights named gamma and beta."""
    folder = tmp_path / "published"
    torch.manual_seed(0)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8
        )
    )
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    # As published, the embeddings are held twice, in one memory.
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in model.state_dict().items()
    }
    torch.save(tensors, folder / WHOLE)
    (folder / "vocab.txt").write_text("[PAD]\n")
    (folder / "modeling.py").write_text("raise SystemExit\n")
    return folder, model


def split(folder, parts=2):
    """The same checkpoint in several files with an index."""
    tensors = torch.load(folder / WHOLE, weights_only=True)
    names = [f"pytorch_model-{i + 1:05d}-of-{parts:05d}.bin" for i in range(parts)]
    weight_map = {name: names[i % parts] for i, name in enumerate(tensors)}
    for file in names:
        torch.save({name: tensors[name] for name in tensors if weight_map[name] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (folder / WHOLE).unlink()
    return names


def same(folder, model):
    again = load_model(BertForMaskedLM, folder, where="base_model")
    mine, theirs = model.state_dict(), again.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "kgcorpus", "convert", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_converted_checkpoint_is_the_published_model(published, tmp_path):
    folder, model = published
    with pytest.raises(UsageError, match=rf"kgcorpus convert {folder} --to FOLDER"):
        load_model(BertForMaskedLM, folder, where="base_model")
    with pytest.raises(InputError, match=rf"kgcorpus convert {folder} --to FOLDER"):
        load_encoder(str(folder))
    done = command(folder, "--to", tmp_path / "new")
    assert (done.returncode, done.stdout) == (0, f"model: {tmp_path / 'new'}\n"), done.stderr
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "config.json",
        "model.safetensors",
        "state.json",
        "vocab.txt",
    ]
    assert same(tmp_path / "new", model)


def test_parts_with_an_index_become_parts_with_an_index(published, tmp_path):
    folder, model = published
    split(folder, parts=3)
    convert(folder, tmp_path / "new")
    index = json.loads((tmp_path / "new" / "model.safetensors.index.json").read_text())
    for name, file in index["weight_map"].items():
        assert name in load_file(tmp_path / "new" / file)
    assert len(set(index["weight_map"].values())) == 3
    assert same(tmp_path / "new", model)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["zip", "pickle", "part"])
def test_code_in_a_pickle_is_refused_and_does_not_run(published, tmp_path, form):
    folder, _ = published
    evil = {"weight": torch.zeros(2), "other": Evil(tmp_path / "ran")}
    if form == "pickle":
        (folder / WHOLE).write_bytes(pickle.dumps(evil))
    else:
        torch.save(evil, folder / (split(folder)[1] if form == "part" else WHOLE))
    done = command(folder, "--to", tmp_path / "new")
    assert done.returncode == 3, done.stderr
    assert "could run code" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))
    # The pickle does run code where it is opened without care.
    pickle.loads(pickle.dumps(evil["other"]))
    assert (tmp_path / "ran").exists()


def test_wrong_checkpoints_are_refused(published, tmp_path):
    folder, _ = published
    target = tmp_path / "new"
    for name in ("../evil.bin", "/evil.bin", "evil.pkl"):
        (tmp_path / "index").mkdir(exist_ok=True)
        (tmp_path / "index" / INDEX).write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(InputError, match="not an index"):
            convert(tmp_path / "index", target)
    with pytest.raises(UsageError, match="holds neither"):
        convert(tmp_path, target)
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        convert(folder, tmp_path / "there")
    whole = (folder / WHOLE).read_bytes()
    (folder / WHOLE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        convert(folder, target)
    torch.save({"epoch": 3, "model": {"weight": torch.zeros(2)}}, folder / WHOLE)
    with pytest.raises(InputError, match="not a checkpoint's tensors by name"):
        convert(folder, target)
    (folder / WHOLE).write_bytes(whole)
    (folder / split(folder)[0]).unlink()
    with pytest.raises(InputError, match="is missing"):
        convert(folder, target)
    assert not target.exists()
