import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from kgcorpus.contracts.errors import InputError
from tests.trainer.jaket.toy import jaket_rows, relation_rows
from tests.trainer.toy import write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.evaluate import run_benchmark
from trainer.evaluate.config import EvaluationConfig
from trainer.jaket.config import JaketConfig
from trainer.jaket.model import FIRST_LOWER, MEMORY, open_jaket
from trainer.run import train

ARMS = ("joint", "stale_memory", "random_memory", "no_graph")
JAKET = JaketConfig(passages=8, roots=16, gat_heads=2, unseen_share=0.4)
CONFIG = TrainingConfig(
    model=ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400), max_length=64, jaket=JAKET
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), jaket_rows())


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory):
    return train("jaket", corpus=corpus, out=tmp_path_factory.mktemp("run"), config=CONFIG, max_steps=8)


def score(model, corpus, out, **options):
    config = EvaluationConfig(**options)
    run_benchmark("jaket-memory", model=str(model), data=str(corpus), out=out, config=config)
    return json.loads(out.read_text())


def test_all_arms_are_asked_the_same_about_the_unseen(model, corpus, tmp_path):
    found = score(model, corpus, tmp_path / "a.json")
    jaket, _ = open_jaket(model)
    assert jaket.config.unseen_share == 0.4
    assert found["primary"] == "category"
    for task in ("category", "masked_entity"):
        assert set(found[task]["accuracy"]) == set(ARMS)
        assert all(0 <= value <= 1 for value in found[task]["accuracy"].values())
        for arm in ARMS[1:]:
            against = found[task]["joint_against"][arm]
            assert against["n"] == found[task]["n"]
            assert against["baseline"] == pytest.approx(found[task]["accuracy"][arm])
    assert [found[arm] for arm in ARMS] == [found["category"]["accuracy"][arm] for arm in ARMS]
    assert set(found["masked_entity"]["by_split"]) == {"train"}
    assert 10 < found["category"]["n"] < 40
    assert score(model, corpus, tmp_path / "b.json") == found
    assert score(model, corpus, tmp_path / "c.json", limit=5)["category"]["n"] == 5


def test_the_stale_memory_is_that_of_lm1_before_training(model, corpus, tmp_path):
    """On another build, with the trained LM1 in the place of the first, stale and joint are the same."""
    copy = shutil.copytree(model, tmp_path / "model", ignore=shutil.ignore_patterns("state.json"))
    trained = load_file(copy / "model.safetensors")
    first = load_file(copy / FIRST_LOWER)
    save_file({name: trained[f"lm.{name}"].clone() for name in first}, copy / FIRST_LOWER)
    rows = jaket_rows()
    other = write_corpus(tmp_path / "other", {**rows, "jaket_entities": rows["jaket_entities"][:-1]})
    found = score(copy, other, tmp_path / "a.json")
    for task in ("category", "masked_entity"):
        accuracy = found[task]["accuracy"]
        assert accuracy["stale_memory"] == accuracy["joint"]
    assert score(model, other, tmp_path / "b.json") != found


def test_on_the_run_s_own_build_its_memory_is_read(model, corpus, tmp_path):
    copy = shutil.copytree(model, tmp_path / "model", ignore=shutil.ignore_patterns("state.json"))
    memory = load_file(copy / MEMORY)["context"]
    save_file({"context": torch.randn_like(memory)}, copy / MEMORY)
    own, changed = (score(m, corpus, tmp_path / "a.json")["masked_entity"]["accuracy"] for m in (model, copy))
    assert own["joint"] != changed["joint"]
    assert own["stale_memory"] == changed["stale_memory"]


@pytest.mark.parametrize("kind", ["texts", "trained"])
def test_relation_vectors_are_read_on_the_runs_own_build_and_on_another(tmp_path, kind):
    rows = {**jaket_rows(), "relations": relation_rows()}
    corpus = write_corpus(tmp_path / "own", rows)
    config = CONFIG.model_copy(update={"jaket": JAKET.model_copy(update={"relation_embeddings": kind})})
    model = train("jaket", corpus=corpus, out=tmp_path / "run", config=config, max_steps=2)
    assert score(model, corpus, tmp_path / "a.json")["category"]["n"] > 10
    assert ("relations" in load_file(model / MEMORY)) == (kind == "texts")
    # A relation that training did not have comes first, so ids differ.
    edges = [*rows["jaket_edges"], {"h": "Q1", "r": "P0", "t": "Q9"}]
    other = write_corpus(tmp_path / "other", {**rows, "jaket_edges": edges})
    assert score(model, other, tmp_path / "b.json")["category"]["n"] > 10


def test_entities_of_a_category_unknown_to_training_are_left_out(model, tmp_path):
    rows = jaket_rows()
    other = [{**row, "category": f"new{row['category']}"} for row in rows["jaket_entities"]]
    corpus = write_corpus(tmp_path / "corpus", {**rows, "jaket_entities": other})
    found = score(model, corpus, tmp_path / "a.json")
    assert found["category"]["n"] == 0
    assert found["primary"] == "masked_entity"
    assert found["joint"] == found["masked_entity"]["accuracy"]["joint"]


def test_a_run_that_saw_everything_has_nothing_to_ask(corpus, tmp_path):
    config = CONFIG.model_copy(update={"jaket": JAKET.model_copy(update={"unseen_share": 0.0})})
    model = train("jaket", corpus=corpus, out=tmp_path / "run", config=config, max_steps=1)
    with pytest.raises(InputError, match="set aside none"):
        score(model, corpus, tmp_path / "a.json")
