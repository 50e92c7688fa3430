"""Whole runs through the command: what they leave, how they resume, and what they must not read."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.manifest import load_manifest
from tests.trainer.toy import write_corpus
from trainer.config import TrainingConfig
from trainer.transe.embeddings import open_embeddings
from trainer.transe.evaluate import score_vectors
from trainer.transe.train import train_transe

PEOPLE, CITIES, COUNTRIES = 120, 12, 4
ENTITIES = PEOPLE + CITIES + COUNTRIES


def world() -> list[tuple[str, str, str]]:
    """People, the city (P1) and the country (P2) they live in, and the country of a city (P3)."""
    city = [f"Q{PEOPLE + i}" for i in range(CITIES)]
    country = [f"Q{PEOPLE + CITIES + i}" for i in range(COUNTRIES)]
    lives = [(f"Q{i}", "P1", city[i % CITIES]) for i in range(PEOPLE)]
    citizen = [(f"Q{i}", "P2", country[i % COUNTRIES]) for i in range(PEOPLE)]
    return lives + citizen + [(city[i], "P3", country[i % COUNTRIES]) for i in range(CITIES)]


def rows(facts) -> list[dict]:
    return [dict(zip("hrt", fact, strict=True)) for fact in facts]


def settings(**transe) -> TrainingConfig:
    small = {"dim": 16, "facts_per_step": 64, "negatives": 64, "steps": 30}
    return TrainingConfig(checkpoint_every=10, transe={**small, **transe})


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus", {"triples": rows(world())})


def test_a_run_learns_the_graph_and_predicts_links_left_out(tmp_path):
    facts = world()
    test = [fact for fact in facts if fact[1] == "P2"][::7]
    train = [fact for fact in facts if fact not in test]
    corpus = write_corpus(tmp_path / "corpus", {"triples": rows(train)})
    for part, part_facts in (("train", train), ("valid", test[:1]), ("test", [*test, ("Q1", "P1", "Qx")])):
        (tmp_path / f"{part}.txt").write_text("".join("\t".join(fact) + "\n" for fact in part_facts))
    model = train_transe(corpus, tmp_path / "run", settings(steps=400))
    found = score_vectors(str(model), str(tmp_path))
    assert (found["n"], found["unknown"]) == (len(test), 1)
    assert found["chance"] == pytest.approx(sum(1 / k for k in range(1, ENTITIES + 1)) / ENTITIES)
    assert found["mrr"] > 0.5


def test_vectors_of_other_bytes_than_the_run_wrote_are_refused(corpus, tmp_path):
    out = tmp_path / "run"
    train_transe(corpus, out, settings(), max_steps=2)
    vectors = np.load(out / "model" / "entities.npy")
    vectors[0, 0] += 1
    np.save(out / "model" / "entities.npy", vectors)
    for read in (
        lambda: open_embeddings(out / "model"),
        lambda: train_transe(corpus, out, settings(), max_steps=2),
    ):
        with pytest.raises(InputError, match=r"model: is damaged \(the bytes of entities\.npy"):
            read()


def test_a_run_leaves_what_the_contract_says(corpus, tmp_path):
    out = tmp_path / "run"
    assert train_transe(corpus, out, settings(), max_steps=12) == out / "model"
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert lines[-1]["loss"] < lines[0]["loss"]
    # 252 facts in steps of 64: the fourth reads the 60 that are left.
    assert [line["facts"] for line in lines[:5]] == [64, 64, 64, 60, 64]
    for line in lines:
        assert line["facts_per_second"] == pytest.approx(line["facts"] / line["seconds"])
        assert 0 <= line["data_share"] < 1
        assert line["peak_memory_mib"] > 50
    assert [path.name for path in sorted((out / "checkpoints").iterdir())] == [
        "step-00000010",
        "step-00000012",
    ]
    assert json.loads((out / "run.json").read_text())["objective"] == "transe"
    embeddings = open_embeddings(out / "model")
    assert embeddings.entities.shape == (ENTITIES, 16)
    assert embeddings.entities.dtype == np.float32
    assert isinstance(embeddings.entities, np.memmap)
    assert (embeddings.dim, embeddings.norm, embeddings.steps) == (16, 2, 12)
    assert embeddings.entity_ids[:3] == ["Q0", "Q1", "Q2"]
    assert embeddings.entity_index["Q100"] == 100
    assert embeddings.relation_index == {"P1": 0, "P2": 1, "P3": 2}
    np.testing.assert_allclose(np.linalg.norm(embeddings.entities, axis=1), 1, atol=1e-5)


def test_a_finished_run_is_left_alone_and_goes_on_further(corpus, tmp_path):
    out = tmp_path / "run"
    model = train_transe(corpus, out, settings(), max_steps=7)
    before = (model / "entities.npy").stat().st_mtime_ns
    train_transe(corpus, out, settings(), max_steps=7)
    assert (model / "entities.npy").stat().st_mtime_ns == before
    train_transe(corpus, out, settings(), max_steps=25)
    train_transe(corpus, tmp_path / "whole", settings(), max_steps=25)
    for name in ("entities.npy", "relations.npy"):
        assert (model / name).read_bytes() == (tmp_path / "whole" / "model" / name).read_bytes()
    with pytest.raises(UsageError, match="has done 25 steps"):
        train_transe(corpus, out, settings(), max_steps=20)
    with pytest.raises(UsageError, match=r"config\.transe\.lr"):
        train_transe(corpus, out, settings(lr=0.5), max_steps=30)


@pytest.mark.slow
def test_a_killed_run_gives_the_same_bytes(corpus, tmp_path):
    def command(out):
        options = ("transe.dim=16", "transe.facts_per_step=8", "transe.steps=400", "checkpoint_every=7")
        sets = [part for option in options for part in ("--set", option)]
        return [sys.executable, "-m", "kgcorpus", "train", "transe", "--corpus", corpus, "--out", out, *sets]

    subprocess.run(command(tmp_path / "whole"), check=True)
    killed = tmp_path / "killed"
    for kill in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
        seen = len(list((killed / "checkpoints").glob("step-*")))
        newest = max((killed / "checkpoints").glob("step-*"), default=None)
        process = subprocess.Popen(command(killed))
        while process.poll() is None and (
            len(list((killed / "checkpoints").glob("step-*"))) == seen
            if newest is None
            else max((killed / "checkpoints").glob("step-*")) == newest
        ):
            time.sleep(0.002)
        process.send_signal(kill)
        assert process.wait() in (-signal.SIGKILL, 143, 0)
    subprocess.run(command(killed), check=True)
    for name in ("model/entities.npy", "model/relations.npy", "model/entities.txt", "model/embeddings.json"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    losses = [
        [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
        for out in (killed, tmp_path / "whole")
    ]
    assert losses[0] == losses[1]


def xlr_row(h: str, t: str, *alike: tuple[str, str]) -> dict:
    return {
        "id": f"{h}{t}",
        "lang": "en",
        "context": "",
        "question": {"h": h, "t": t, "h_label": "", "t_label": ""},
        "choices": [],
        "answer": 0,
        "triples": [],
        "unseen_combination": False,
        "held_out": [{"h": one, "t": other} for one, other in alike],
    }


def test_held_out_facts_are_not_trained_on(tmp_path):
    facts = [
        ("Q1", "P1", "Q2"),
        ("Q2", "P2", "Q1"),
        ("Q2", "P1", "Q10"),
        ("Q10", "P1", "Q3"),
        ("Q10", "P2", "Q3"),
        ("Q9", "P1", "Q3"),
        ("Q11", "P1", "Q12"),
    ]
    # Q11 and Q12 are named as Q1 and Q2 are.
    questions = [xlr_row("Q2", "Q1", ("Q1", "Q2"), ("Q11", "Q12")), xlr_row("Q7", "Q2")]
    corpus = write_corpus(tmp_path / "corpus", {"triples": rows(facts), "xlr": questions})
    held_out = tmp_path / "held_out.txt"
    held_out.write_text("Q10\tP2\tQ3\nQ3\tP1\tQ9\nQ5\tP1\tQ1\tmore\n")
    out = tmp_path / "run"
    train_transe(corpus, out, settings(held_out=str(held_out)), max_steps=1)
    stored = np.load(out / "triples" / "facts.npy")
    embeddings = open_embeddings(out / "model")
    read = {
        (embeddings.entity_ids[h], embeddings.relation_ids[r], embeddings.entity_ids[t]) for h, r, t in stored
    }
    # Both directions of the asked pair are gone, with P2's last fact P2, and the pair of the same names; the
    # reverse of a fact stays.
    assert read == {("Q2", "P1", "Q10"), ("Q10", "P1", "Q3"), ("Q9", "P1", "Q3")}
    assert list(embeddings.entity_ids) == ["Q2", "Q3", "Q9", "Q10"]
    assert list(embeddings.relation_ids) == ["P1"]
    left_out = json.loads((out / "triples" / "left_out.json").read_text())
    assert left_out == {"xlr_pair": 3, "held_out": 1}


def test_a_corpus_or_a_file_that_does_not_serve_is_an_error(tmp_path):
    without = write_corpus(tmp_path / "without", {"plain_text": []})
    with pytest.raises(InputError, match=r"holds no table triples\. Run kgcorpus build-corpus triples"):
        train_transe(without, tmp_path / "a", settings())
    corpus = write_corpus(tmp_path / "corpus", {"triples": rows([("Q1", "P1", "Q2")])})
    assert "triples" in load_manifest(corpus).tables
    bad = tmp_path / "bad.txt"
    bad.write_text("Q1\tP1\tQ2\nQ1 P1 Q2\n")
    with pytest.raises(InputError, match=r"bad\.txt, line 2"):
        train_transe(corpus, tmp_path / "b", settings(held_out=str(bad)))
    bad.write_text("Q1\tP1\tQ2\n")
    with pytest.raises(InputError, match="no fact to train on"):
        train_transe(corpus, tmp_path / "c", settings(held_out=str(bad)))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: is no regular file"):
        train_transe(corpus, tmp_path / "d", settings(held_out=str(tmp_path / "pipe")))
    with pytest.raises(InputError, match="holds no embeddings"):
        open_embeddings(tmp_path)
