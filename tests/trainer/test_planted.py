"""Pickles planted in every place of a run's folder and of a corpus's caches: no code of theirs runs."""

import os
import pickle
import shutil

import numpy as np
import pytest
import torch

from kgcorpus.contracts.digests import SEAL
from kgcorpus.contracts.digests import seal as seal_files
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.model_files import seal
from tests.trainer.trelm.made import config_of, options_of
from tests.trainer.trelm.world import write_world
from trainer.arrays import derived
from trainer.checkpoint import Checkpoints
from trainer.evaluate import run_benchmark
from trainer.run import train
from trainer.transe.config import TranseConfig
from trainer.trelm.config import RoutingConfig


class Planted:
    """Leaves a file when it is unpickled."""

    def __init__(self, sign):
        self.sign = str(sign)

    def __reduce__(self):
        return (open, (self.sign, "w"))


def plant(path, sign, how):
    """Write a pickle in one of the forms that a reader might unpickle."""
    planted = Planted(sign)
    if how == "torch":
        torch.save({"state": {}, "param_groups": [], "x": planted}, path)
    elif how == "npy":
        with path.open("wb") as stream:
            np.save(stream, np.array([planted], object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(planted))


CONFIG = config_of(
    trelm=options_of(routing=RoutingConfig(), warmup_steps=1, reroute_every=2),
    transe=TranseConfig(steps=4, dim=8, facts_per_step=8, negatives=4),
    keep=1,
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A world, and a run of three steps that has every file that a run may have."""
    folder = tmp_path_factory.mktemp("ended")
    world = write_world(folder / "world")
    train("trelm", corpus=world, out=folder / "run", config=CONFIG, max_steps=3)
    return folder


PLACES = [
    "checkpoints/step-00000003/optimizer.pt",
    "checkpoints/step-00000003/model.safetensors",
    "checkpoints/step-00000003/trelm.safetensors",
    "checkpoints/step-00000003/router.safetensors",
    "checkpoints/step-00000003/state.json",
    "tokenizer/tokenizer.json",
    "run.json",
    "kge/model/entities.npy",
    "kge/model/relations.npy",
    "kge/model/entities.txt",
    "kge/model/embeddings.json",
    "kge/triples/facts.npy",
    "kge/checkpoints/step-00000004/optimizer.pt",
    "kge/checkpoints/step-00000004/entities.npy",
]


@pytest.mark.parametrize(
    "place",
    [
        "run.json",
        "metrics.jsonl",
        "routes.jsonl",
        "tokenizer/tokenizer.json",
        *(
            f"checkpoints/step-00000003/{name}"
            for name in ("state.json", "model.safetensors", "optimizer.pt")
        ),
    ],
)
def test_a_pipe_in_a_run_s_folder_is_refused_and_does_not_hang(ended, tmp_path, place):
    run = shutil.copytree(ended / "run", tmp_path / "run")
    (run / place).unlink()
    os.mkfifo(run / place)
    with pytest.raises(InputError, match="is no regular file but a pipe"):
        train("trelm", corpus=ended / "world", out=run, config=CONFIG, max_steps=4)


@pytest.mark.parametrize("how", ["torch", "npy", "pickle"])
@pytest.mark.parametrize("place", PLACES)
def test_no_pickle_in_a_run_s_folder_is_run(ended, tmp_path, place, how):
    run, sign = shutil.copytree(ended / "run", tmp_path / "run"), tmp_path / "ran"
    plant(run / place, sign, how)
    folder = (run / place).parent
    # Whoever plants a file can write its hash too.
    if folder.parent.name == "checkpoints" and not place.endswith("state.json"):
        seal(folder, {key: value for key, value in _state(ended / "run" / place).items() if key != "files"})
    if place == "kge/triples/facts.npy":
        seal_files(folder, [path.name for path in folder.iterdir() if path.name != SEAL])
    if place.startswith("kge/checkpoints"):
        shutil.rmtree(run / "kge" / "model")
    with pytest.raises((InputError, UsageError)) as error:
        train("trelm", corpus=ended / "world", out=run, config=CONFIG, max_steps=4)
    assert "\n" not in str(error.value)
    assert not sign.exists()


def _state(path):
    import json

    return {
        key: value
        for key, value in json.loads((path.parent / "state.json").read_text()).items()
        if key != "sha256"
    }


@pytest.mark.parametrize("name", ["model.safetensors", "trelm.safetensors", "pytorch_model.bin"])
def test_no_pickle_in_a_model_s_folder_is_run(ended, tmp_path, name):
    run, sign = shutil.copytree(ended / "run", tmp_path / "run"), tmp_path / "ran"
    plant(run / "model" / name, sign, "torch")
    if name == "pytorch_model.bin":
        (run / "model" / "model.safetensors").unlink()
    with pytest.raises((InputError, UsageError)):
        run_benchmark("cka", model=str(run / "model"), data=str(ended / "world"), out=tmp_path / "found.json")
    assert not sign.exists()


def test_a_planted_cache_of_arrays_is_made_again(tmp_path):
    made = {"numbers": np.arange(9, dtype=np.int32)}
    for _ in range(2):
        assert derived(tmp_path / "cache", lambda: made)["numbers"].tolist() == list(range(9))
    plant(tmp_path / "cache" / "numbers.npy", tmp_path / "ran", "npy")
    assert derived(tmp_path / "cache", lambda: made)["numbers"].tolist() == list(range(9))
    assert not (tmp_path / "ran").exists()


class _Folder:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_pickle_is_run_of_a_checkpoint_whose_author_sealed_it(tmp_path):
    folder = tmp_path / "step-00000001"
    folder.mkdir()
    torch.save({"state": _Folder(tmp_path / "made")}, folder / "optimizer.pt")
    seal(folder, {"step": 1, "objective": {}})
    with pytest.raises(InputError, match="cannot be read"):
        Checkpoints(tmp_path, keep=1).restore(None)
    assert not (tmp_path / "made").exists()
