"""Vectors of PyKEEN, OpenKE and GraphVite, in miniatures of what each saves, train TRELM by the command."""

import gzip
import io
import json
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from kgcorpus.contracts.errors import InputError
from tests.trainer.trelm.world import LABELS, RELATIONS, write_world
from trainer.transe.embeddings import open_embeddings
from trainer.transe.foreign import read_foreign

# An entity of the corpus is missing, and one of another corpus is there; rows are in an order of their own.
ENTITIES = [*(qid for qid in sorted(LABELS, reverse=True) if qid != "Q100"), "Q999"]
RELATION_IDS = sorted(RELATIONS)
DIM = 6


def vectors(rows, *, seed):
    return np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)


E, R = vectors(len(ENTITIES), seed=0), vectors(len(RELATION_IDS), seed=1)


def pykeen(folder):
    """`result.save_to_directory`, and the model's numbers beside it."""
    (folder / "training_triples").mkdir(parents=True)
    for name, ids in (("entity", ENTITIES), ("relation", RELATION_IDS)):
        lines = ["id\tlabel", *(f"{i}\t{ident}" for i, ident in enumerate(ids))]
        with gzip.open(folder / "training_triples" / f"{name}_to_id.tsv.gz", "wt") as stream:
            stream.write("\n".join(lines) + "\n")
    (folder / "trained_model.pkl").write_bytes(b"a pickle that nobody reads")
    (folder / "metadata.json").write_text("{}")
    names = [f"{kind}_representations.0._embeddings.weight" for kind in ("entity", "relation")]
    torch.save(dict(zip(names, map(torch.from_numpy, (E, R)), strict=True)), folder / "model.pt")
    return folder


def pykeen_npy(folder):
    pykeen(folder)
    (folder / "model.pt").unlink()
    np.save(folder / "entity_embeddings.npy", E)
    np.save(folder / "relation_embeddings.npy", R)
    return folder


def openke_ids(folder):
    folder.mkdir(parents=True)
    for name, ids in (("entity", ENTITIES), ("relation", RELATION_IDS)):
        lines = [str(len(ids)), *(f"{ident}\t{i}" for i, ident in enumerate(ids))]
        (folder / f"{name}2id.txt").write_text("\n".join(lines) + "\n")
    return folder


def openke(folder):
    """The files of the data set, and `save_checkpoint`."""
    state = {"zero_const": torch.zeros(1), "ent_embeddings.weight": torch.from_numpy(E)}
    torch.save({**state, "rel_embeddings.weight": torch.from_numpy(R)}, openke_ids(folder) / "transe.ckpt")
    return folder


def openke_json(folder):
    """`save_parameters`."""
    state = {"ent_embeddings.weight": E.tolist(), "rel_embeddings.weight": R.tolist(), "pi_const": [3.14]}
    (openke_ids(folder) / "embedding.vec.json").write_text(json.dumps(state))
    return folder


def openke_published(folder):
    """The folders in which OpenKE publishes Wikidata's vectors: bare float32 numbers."""
    openke_ids(folder / "knowledge graphs")
    (folder / "embeddings" / "dimension_6" / "transe").mkdir(parents=True)
    E.tofile(folder / "embeddings" / "dimension_6" / "transe" / "entity2vec.bin")
    R.tofile(folder / "embeddings" / "dimension_6" / "transe" / "relation2vec.bin")
    return folder


def graphvite(file):
    """`save_model`: EasyDicts, pickled with the highest protocol."""
    module = types.ModuleType("easydict")

    class EasyDict(dict):
        def __init__(self, **items):
            super().__init__(items)
            self.__dict__.update(items)

    EasyDict.__module__, EasyDict.__qualname__ = "easydict", "EasyDict"
    module.EasyDict = EasyDict
    sys.modules["easydict"] = module
    graph = EasyDict(
        entity2id={ident: i for i, ident in enumerate(ENTITIES)},
        relation2id={ident: i for i, ident in enumerate(RELATION_IDS)},
        id2entity=ENTITIES,
    )
    try:
        model = EasyDict(graph=graph, solver=EasyDict(entity_embeddings=E, relation_embeddings=R, dim=DIM))
        file.parent.mkdir(parents=True)
        file.write_bytes(pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL))
    finally:
        del sys.modules["easydict"]
    return file


LAYOUTS = {
    "pykeen": pykeen,
    "pykeen-npy": pykeen_npy,
    "openke": openke,
    "openke-json": openke_json,
    "openke-published": openke_published,
    "graphvite.pkl": graphvite,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_gives_the_vectors_of_each_id(tmp_path, name):
    found = read_foreign(LAYOUTS[name](tmp_path / "kge" / name))
    assert (list(found.entity_ids), list(found.relation_ids)) == (ENTITIES, RELATION_IDS)
    np.testing.assert_allclose(found.entities, E, rtol=1e-6)
    np.testing.assert_allclose(found.relations, R, rtol=1e-6)


def train(world, out, kge, steps):
    small = ["records_per_step=12", "max_length=96", "model.hidden=16", "model.heads=2", "schedule_steps=8"]
    settings = [part for text in (*small, f"trelm.kge={kge}") for part in ("--set", text)]
    command = [sys.executable, "-m", "kgcorpus", "train", "trelm", "--corpus", str(world), "--out", str(out)]
    return subprocess.run(
        [*command, "--max-steps", str(steps), *settings], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pykeen", "openke", "graphvite.pkl"])
def test_the_command_trains_on_it_resumes_and_refuses_other_vectors(tmp_path, name):
    world, kge = write_world(tmp_path / "world"), LAYOUTS[name](tmp_path / "kge" / name)
    done = train(world, tmp_path / "run", kge, 1)
    assert done.returncode == 0, done.stderr
    assert "trelm.kge: 1 of 30 entities have no vector; their facts are left out" in " ".join(
        done.stderr.split()
    )
    copied = open_embeddings(tmp_path / "run" / "kge" / "model")
    np.testing.assert_allclose(copied.entities, E, rtol=1e-6)
    assert train(world, tmp_path / "run", kge, 2).returncode == 0
    for file in [kge] if kge.is_file() else [*kge.rglob("*.pt"), *kge.rglob("*.ckpt")]:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    refused = train(world, tmp_path / "run", kge, 3)
    assert refused.returncode == 2
    assert "holds a run with another trelm.kge" in refused.stderr


class Planted:
    def __init__(self, sign):
        self.sign = str(sign)

    def __reduce__(self):
        return (open, (self.sign, "w"))


@pytest.mark.parametrize(
    "name", ["pykeen/model.pt", "openke/transe.ckpt", "graphvite.pkl", "pykeen/trained_model.pkl"]
)
def test_a_pickle_in_the_place_of_vectors_runs_no_code(tmp_path, name):
    layout = name.partition("/")[0]
    LAYOUTS[layout](tmp_path / "kge" / layout)
    planted = {"graph": Planted(tmp_path / "ran"), "solver": {}}
    (tmp_path / "kge" / name).write_bytes(pickle.dumps(planted))
    if name == "pykeen/trained_model.pkl":
        (tmp_path / "kge" / "pykeen" / "model.pt").unlink()
    with pytest.raises(InputError, match="its vectors cannot be read") as error:
        read_foreign(tmp_path / "kge" / layout)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_an_array_of_objects_in_graphvites_file_runs_no_code(tmp_path):
    stream = io.BytesIO()
    pickle.dump(np.array([Planted(tmp_path / "ran")], object), stream)
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps({"graph": {}, "solver": {}})[:-1] + stream.getvalue())
    with pytest.raises(InputError):
        read_foreign(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("entities", "relations", "said"),
    [
        (E[:-1], R, "ids of entities, but"),
        (np.concatenate([E, E]), R, "were inverse triples trained on"),
        (E, R[:, :4], "entities have 6 numbers, relations 4"),
        (E.astype(np.complex64), R, "entities are complex"),
        (np.where(E[3, 2] == E, np.nan, E), R, "entities hold NaN or infinity"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, entities, relations, said):
    folder = pykeen_npy(tmp_path / "kge")
    np.save(folder / "entity_embeddings.npy", entities)
    np.save(folder / "relation_embeddings.npy", relations)
    with pytest.raises(InputError, match=said):
        read_foreign(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "invalid literal"),
        ("3\nQ1\t0\nQ2\t1\n", "are not the numbers from 0 to 2"),
        ("2\nQ1\t0\nQ2\t2\n", "are not the numbers from 0 to 1"),
        ("2\nQ1\t0\nQ1\t1\n", "are not the numbers from 0 to 1"),
    ],
)
def test_damaged_ids_are_refused(tmp_path, text, said):
    folder = openke(tmp_path / "kge")
    (folder / "entity2id.txt").write_text(text)
    with pytest.raises(InputError, match=said):
        read_foreign(folder)


def test_an_unknown_layout_is_told(tmp_path):
    for source in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="holds no embeddings in a known layout"):
            read_foreign(source)
