import json

import numpy as np
import pytest
import torch

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError, UsageError
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.evaluate import run_benchmark
from trainer.evaluate.config import AdaptationConfig, EvaluationConfig
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import GraphStore
from trainer.jaket.evaluate.arms import memories_of, open_arm
from trainer.jaket.evaluate.entity_classification import split
from trainer.jaket.relations import relation_labels
from trainer.masked_lm import open_lm
from trainer.run import train

EVERYONE = np.ones(160, bool)
CONFIG = TrainingConfig(
    model=ModelConfig(hidden=32, layers=2, heads=2, vocab_size=400),
    max_length=80,
    jaket=JaketConfig(passages=8, roots=16, gat_heads=2),
)


def world(n, *, seed, named=True):
    """Facts that stand in the graph alone: a class is drawn, and its entities have edges of one relation.

    If not `named`, descriptions do not mention their entity.
    """
    draw = Draw(seed, "classes")
    drawn = [draw.below(2) for _ in range(n)]
    rows = jaket_rows(n, seed=seed)
    for i, row in enumerate(rows["jaket_entities"]):
        row["text"] = f"Name{i} stands here."
        row["start"], row["end"] = (0, len(f"Name{i}")) if named else (None, None)
        row["category"] = f"Q9{drawn[i]}"
    members = [[i for i in range(n) if drawn[i] == kind] for kind in (0, 1)]
    rows["jaket_edges"] = [
        {"h": f"Q{i}", "r": f"P{1 + kind}", "t": f"Q{own[(place + step) % len(own)]}"}
        for kind, own in enumerate(members)
        for place, i in enumerate(own)
        for step in (1, 2)
    ]
    relations = [
        {"pid": f"P{i}", "names": [{"lang": "en", "label": label, "aliases": []}]}
        for i, label in ((1, "part of"), (2, "twin of"))
    ]
    return {**rows, "relations": relations}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("unseen"), world(160, seed=1))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    seen = write_corpus(tmp_path_factory.mktemp("seen"), jaket_rows())
    return train("jaket", corpus=seen, out=tmp_path_factory.mktemp("run"), config=CONFIG, max_steps=3)


@pytest.fixture(scope="module")
def entities(model, corpus):
    _, tokenizer = open_arm(model, "joint", JaketConfig(), seed=0)
    return GraphStore(corpus, tokenizer, 64).entities()


def score(model, corpus, out, *, epochs=1, lr=0.01, **jaket):
    config = EvaluationConfig(epochs=epochs, lr=lr, batch=16, jaket=AdaptationConfig(**jaket))
    run_benchmark("jaket-entities", model=str(model), data=str(corpus), out=out, config=config)
    return json.loads(out.read_text())


@pytest.mark.parametrize("arm", ["joint", "lm", "gnn", "lm+gnn", "lm+gnn+m"])
def test_every_arm_is_scored_on_the_same_entities(model, corpus, tmp_path, arm):
    found = score(model, corpus, tmp_path / "a.json", arm=arm)
    assert found["arm"] == arm
    assert found["train"] + found["validation"] + found["test"] == 160
    assert 0 <= found["accuracy"]["mean"] <= 1
    assert score(model, corpus, tmp_path / "b.json", arm=arm) == found


def accuracy(model, corpus, tmp_path, **options):
    return score(model, corpus, tmp_path / "a.json", epochs=20, lr=5e-3, **options)["accuracy"]["mean"]


@pytest.mark.slow
@pytest.mark.parametrize("read_out", ["knowledge", "text", "both"])
def test_the_graph_tells_what_the_text_does_not(model, corpus, tmp_path, read_out):
    assert accuracy(model, corpus, tmp_path, arm="joint", read_out=read_out) > 0.9
    assert accuracy(model, corpus, tmp_path, arm="lm", read_out=read_out) < 0.75


@pytest.mark.slow
def test_the_graph_reaches_entities_that_their_descriptions_do_not_mention(model, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", world(160, seed=1, named=False))
    assert accuracy(model, corpus, tmp_path, arm="joint", read_out="text") > 0.9


@pytest.mark.parametrize(
    ("arm", "asked", "read"),
    [("joint", "both", "both"), ("gnn", "both", "knowledge"), ("lm", "knowledge", "text")],
)
def test_an_arm_reads_what_it_has(model, corpus, tmp_path, arm, asked, read):
    assert score(model, corpus, tmp_path / "a.json", arm=arm, read_out=asked)["read_out"] == read


def test_a_baseline_has_a_knowledge_module_of_the_models_shape(corpus, tmp_path):
    shape = {"gat_layers": 1, "gat_heads": 4, "neighbours": 3, "directions": "out", "merge": "gate"}
    config = CONFIG.model_copy(update={"jaket": CONFIG.jaket.model_copy(update=shape)})
    model = train("jaket", corpus=corpus, out=tmp_path, config=config, max_steps=1)
    baseline, _ = open_arm(model, "lm+gnn+m", JaketConfig(), seed=0)
    assert {name: getattr(baseline.config, name) for name in shape} == shape
    other, _ = open_arm(model, "lm+gnn", JaketConfig(), seed=0, merge="norm_at_mentions")
    assert other.config.merge == "norm_at_mentions"


def test_of_the_run_s_own_build_those_that_it_left_aside_are_classified(corpus, tmp_path):
    config = CONFIG.model_copy(
        update={"jaket": CONFIG.jaket.model_copy(update={"unseen_share": 0.5, "description_length": 16})}
    )
    model = train("jaket", corpus=corpus, out=tmp_path / "run", config=config, max_steps=1)
    jaket, tokenizer = open_arm(model, "joint", JaketConfig(), seed=0)
    store = GraphStore(corpus, tokenizer, 16)
    aside = store.entities().unseen(0.5, jaket.config.unseen_seed)
    for arm in ("joint", "lm"):
        found = score(model, corpus, tmp_path / "a.json", arm=arm)
        assert found["train"] + found["validation"] + found["test"] == aside.sum() < 110
    whole = config.model_copy(update={"jaket": CONFIG.jaket.model_copy(update={"unseen_share": 0.0})})
    seen = train("jaket", corpus=corpus, out=tmp_path / "all", config=whole, max_steps=1)
    with pytest.raises(InputError, match="too few to split"):
        score(seen, corpus, tmp_path / "a.json")


def test_a_baseline_with_another_language_model_is_asked_about_the_same_entities(corpus, tmp_path, bert):
    """`bert` has a tokenizer of its own."""
    jaket = CONFIG.jaket.model_copy(update={"unseen_share": 0.5, "gat_layers": 1})
    config = CONFIG.model_copy(update={"jaket": jaket})
    model = train("jaket", corpus=corpus, out=tmp_path / "run", config=config, max_steps=1)
    options = {"arm": "lm+gnn+m", "read_out": "text"}
    own = score(model, corpus, tmp_path / "a.json", **options)
    found = score(model, corpus, tmp_path / "b.json", language_model=str(bert), **options)
    assert found["test"] == own["test"] < 80
    baseline, tokenizer = open_arm(model, "lm+gnn", JaketConfig(), seed=0, language_model=bert)
    assert baseline.config.gat_layers == 1
    weights = open_lm(bert)[0].lm.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in baseline.lm.state_dict().items())
    assert tokenizer.get_vocab() != open_arm(model, "joint", JaketConfig(), seed=0)[1].get_vocab()


def test_the_parts_are_a_split_by_hash_and_labels_a_share(entities):
    parts = split(entities, EVERYONE, label_share=1.0, seed=0)
    everything = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(everything.tolist()) == list(range(160))
    assert len(parts.test) > 80
    few = split(entities, EVERYONE, label_share=0.2, seed=0)
    assert set(few.train) < set(parts.train)
    assert len(few.train) < 0.5 * len(parts.train)
    assert few.test.tolist() == parts.test.tolist()
    assert split(entities, EVERYONE, label_share=1.0, seed=1).test.tolist() != parts.test.tolist()
    with pytest.raises(InputError, match="too few to split"):
        split(entities, EVERYONE, label_share=1e-9, seed=0)


def test_relation_memories_are_made_of_labels_and_read_differently_backwards(model, corpus, entities):
    jaket, tokenizer = open_arm(model, "joint", JaketConfig(), seed=0)
    labels = relation_labels(corpus)
    assert labels == {"P1": "part of", "P2": "twin of"}
    options = {"arm": "joint", "relation_memory": "raw", "seed": 0}
    made = memories_of(jaket, tokenizer, entities, relation_texts=labels, **options)
    assert made.relations.shape == (4, 32)
    assert len({tuple(row) for row in made.relations.tolist()}) == 4
    # By transformers' own forward pass: the mean over the label's tokens after the first layer.
    ids = tokenizer("twin of", return_tensors="pt")["input_ids"]
    alone = jaket.lm.to("cpu")(ids, output_hidden_states=True).hidden_states[1][0, 1:-1].mean(dim=0)
    torch.testing.assert_close(made.relations[1].cpu(), alone, rtol=1e-4, atol=1e-5)
    assert memories_of(jaket, tokenizer, entities, relation_texts=None, **options).relations is None


def test_drawn_memories_know_nothing_of_the_texts(model, entities):
    jaket, tokenizer = open_arm(model, "gnn", JaketConfig(), seed=0)
    one, other = (
        memories_of(jaket, tokenizer, entities, arm="gnn", relation_texts={}, seed=seed) for seed in (0, 1)
    )
    assert one.context.shape == (160, 32)
    assert not torch.equal(one.context, other.context)


def test_a_plain_language_model_serves_the_baselines_alone(model, tmp_path, corpus):
    jaket, tokenizer = open_arm(model, "joint", JaketConfig(), seed=0)
    jaket.lm.save_pretrained(tmp_path / "lm")
    tokenizer.save_pretrained(tmp_path / "lm")
    plain, _ = open_arm(tmp_path / "lm", "lm+gnn", JaketConfig(gat_heads=2), seed=0)
    of_run, _ = open_arm(model, "lm+gnn", JaketConfig(), seed=0)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, of_run.state_dict()[name]), name
    # Everything but the language model is new.
    assert not torch.equal(plain.knowledge.layers[0].project.weight, jaket.knowledge.layers[0].project.weight)
    with pytest.raises(UsageError, match="no model of `train jaket`"):
        open_arm(tmp_path / "lm", "joint", JaketConfig(), seed=0)
