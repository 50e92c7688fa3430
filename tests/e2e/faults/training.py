"""Faults of a build that is trained on, and of a run's disk."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from tests.e2e.commands import run
from tests.e2e.faults.place import (
    NO_MODEL,
    SMALL_DISK,
    Done,
    Fault,
    Place,
    cut_short,
    damage_reasoning,
    small_disk,
)


def corpus_not_built(place: Place) -> Done:
    return place.train(place.folder)


def truncated_shard_in_training(place: Place) -> Done:
    out = place.copy()
    shard = next((out / "data" / "reasoning").glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:-20])
    return place.train(out)


def damaged_shard_in_training(place: Place) -> Done:
    out = place.copy()
    damage_reasoning(out)
    return place.train(out)


def training_after_a_build_cut_short(place: Place) -> Done:
    done = place.train(cut_short(place))
    # The former build's inputs, and its end.
    place.ends_alike()
    return done


def missing_column_in_training(place: Place) -> Done:
    out = place.copy()
    shard = next((out / "data" / "reasoning").glob("train-*"))
    pq.write_table(pq.read_table(shard).drop_columns(["slots"]), shard)
    manifest = json.loads((out / "manifest.json").read_text())
    for file in manifest["tables"]["reasoning"]["files"]:
        if file["path"].endswith(shard.name):
            file["bytes"] = shard.stat().st_size
    (out / "manifest.json").write_text(json.dumps(manifest))
    return place.train(out)


def full_disk_in_training(place: Place) -> Done:
    with small_disk(place) as disk:
        done = run("train", "kmlm", "--corpus", place.built, "--out", disk / "RUN", "--max-steps", "2")
        assert not list((disk / "RUN").glob("checkpoints/step-*"))
        return done


def too_few_steps(place: Place) -> Done:
    assert place.train(place.built).returncode == 0
    before = (place.folder / "RUN" / "model" / "model.safetensors").read_bytes()
    done = place.train(place.built, "--max-steps", "1")
    assert (place.folder / "RUN" / "model" / "model.safetensors").read_bytes() == before
    return done


class MakesAFolder:
    """Pickled, an instruction to make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def code_in_a_checkpoint(place: Place) -> Done:
    checkpoint = place.folder / "BASE"
    checkpoint.mkdir()
    evil = {"weight": MakesAFolder(place.folder / "MADE")}
    (checkpoint / "pytorch_model.bin").write_bytes(pickle.dumps(evil, protocol=2))
    done = run("convert", checkpoint, "--to", place.folder / "NEW")
    assert not (place.folder / "MADE").exists()
    assert not (place.folder / "NEW").exists()
    return done


def weights_in_bin_alone(place: Place) -> Done:
    base = place.folder / "BASE"
    assert place.train(place.built).returncode == 0
    shutil.copytree(place.folder / "RUN" / "model", base)
    shutil.rmtree(place.folder / "RUN")
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    return place.train(place.built, "--set", f"base_model={base}")


FAULTS = (
    Fault("training without a build", "`--corpus` an empty folder", 3, corpus_not_built, NO_MODEL),
    Fault("training on a truncated shard", "20 bytes cut off", 3, truncated_shard_in_training, NO_MODEL),
    Fault(
        "training on a damaged shard",
        "all pages zeroed, the length kept",
        3,
        damaged_shard_in_training,
        NO_MODEL,
    ),
    Fault(
        "training after a build cut short",
        "other triples built, then labels that are not UTF-8",
        3,
        training_after_a_build_cut_short,
        "no model is written; the former build, run again, ends with the same bytes",
    ),
    Fault(
        "training on a shard without a column",
        "`slots` left out, the manifest adapted",
        3,
        missing_column_in_training,
        NO_MODEL,
    ),
    Fault(
        "a full disk in training",
        f"RUN on a disk of {SMALL_DISK}B",
        4,
        full_disk_in_training,
        "no half checkpoint",
    ),
    Fault(
        "a base model in .bin",
        "`base_model` without safetensors",
        2,
        weights_in_bin_alone,
        NO_MODEL,
    ),
    Fault(
        "code in a checkpoint",
        "a pickle that makes a folder, as pytorch_model.bin, to `kgcorpus convert`",
        3,
        code_in_a_checkpoint,
        "it does not run, and nothing is written",
    ),
    Fault("fewer steps than are done", "`--max-steps 1` after 2", 2, too_few_steps, "RUN/model stays"),
)
