import json

import pytest

from kgcorpus.contracts.draws import Draw
from kgcorpus.contracts.errors import InputError, UsageError
from tests.trainer.jaket.toy import jaket_rows, name
from tests.trainer.toy import write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.evaluate import run_benchmark
from trainer.evaluate.config import AdaptationConfig, EvaluationConfig
from trainer.evaluate.fine_tuning.fewrel import read_sentences
from trainer.jaket.config import JaketConfig
from trainer.jaket.entities import GraphStore
from trainer.jaket.evaluate.arms import open_arm
from trainer.jaket.evaluate.fewrel_pair import _pairs_of, draw_episode, marked_spans, split
from trainer.run import train

ENTITIES = 120
JAKET = JaketConfig(passages=8, roots=16, gat_heads=2)
RELATIONS = [f"P{i}" for i in range(6)]


def sentences():
    """Six relations, of which each has a kind of head of its own; the sentence alone tells nothing."""
    draw, found = Draw(0, "fewrel-toy"), {}
    for r, relation in enumerate(RELATIONS):
        found[relation] = []
        for _ in range(20):
            head, tail = (4 * draw.below(ENTITIES // 4) + kind % 4 for kind in (r, r + 1 + r // 4))
            tokens = ["There", name(head), "meets", name(tail), "."]
            found[relation].append(
                {"tokens": tokens, "h": [name(head), f"Q{head}", [[1]]], "t": [name(tail), f"Q{tail}", [[3]]]}
            )
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), jaket_rows(ENTITIES))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fewrel")
    (folder / "val_wiki.json").write_text(json.dumps(sentences()))
    return folder


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory):
    small = ModelConfig(hidden=16, layers=2, heads=2, vocab_size=400)
    config = TrainingConfig(model=small, max_length=80, jaket=JAKET)
    return train("jaket", corpus=corpus, out=tmp_path_factory.mktemp("run"), config=config, max_steps=3)


def score(model, data, out, **options):
    jaket = {"ways": 2, "train_episodes": 10, "test_episodes": 20, **options}
    config = EvaluationConfig(epochs=1, lr=0.01, max_length=64, jaket=AdaptationConfig(**jaket))
    run_benchmark("fewrel-pair", model=str(model), data=str(data), out=out, config=config)
    return json.loads(out.read_text())


@pytest.mark.parametrize("arm", ["joint", "lm", "gnn", "lm+gnn", "lm+gnn+m"])
def test_every_arm_is_scored_on_relations_that_it_did_not_train_on(model, data, corpus, tmp_path, arm):
    graph = None if arm == "lm" else str(corpus)
    found = score(model, data, tmp_path / "a.json", arm=arm, graph=graph)
    assert found["arm"] == arm
    parts = found["relations"]
    assert sorted(parts["train"] + parts["validation"] + parts["test"]) == RELATIONS
    assert 0 <= found["accuracy"]["mean"] <= 1
    assert found["linked"] == (0 if arm == "lm" else 1)
    assert score(model, data, tmp_path / "b.json", arm=arm, graph=graph) == found


def test_queries_whose_ends_the_graph_knows_are_scored_apart(model, data, corpus, tmp_path):
    # Half of the entities are described.
    rows = jaket_rows(ENTITIES)
    half = write_corpus(
        tmp_path / "half", {**rows, "jaket_entities": rows["jaket_entities"][: ENTITIES // 2]}
    )
    whole = score(model, data, tmp_path / "a.json", graph=str(corpus))
    assert (whole["covered"]["n"], whole["uncovered"]) == (40, {"n": 0, "accuracy": None})
    assert whole["covered"]["accuracy"] == pytest.approx(whole["accuracy"]["mean"])
    part = score(model, data, tmp_path / "b.json", graph=str(half))
    sizes = {name: part[name]["n"] for name in ("covered", "uncovered")}
    assert sum(sizes.values()) == 40
    assert 0 < sizes["covered"] < 25
    right = sum(part[name]["n"] * part[name]["accuracy"] for name in sizes)
    assert right / 40 == pytest.approx(part["accuracy"]["mean"])


def test_hidden_edges_are_those_between_the_ends_of_a_sentence(model, data, corpus):
    _, tokenizer = open_arm(model, "joint", JAKET, seed=0)
    entities = GraphStore(corpus, tokenizer, 64).entities()
    asked = read_sentences(data)
    expected = {one.qids for of_relation in asked.values() for one in of_relation}
    found = {tuple(entities.qids[i].decode() for i in pair) for pair in _pairs_of(asked, entities)}
    assert found == {tuple(pair) for pair in expected}


def test_shots_are_averaged(model, data, corpus, tmp_path):
    found = score(model, data, tmp_path / "a.json", graph=str(corpus), shots=3)
    assert (found["ways"], found["shots"]) == (2, 3)


def test_what_cannot_be_asked(model, data, tmp_path):
    with pytest.raises(UsageError, match="needs a graph"):
        score(model, data, tmp_path / "a.json")
    with pytest.raises(InputError, match="no more than 20 sentences"):
        score(model, data, tmp_path / "a.json", arm="lm", shots=20)
    with pytest.raises(InputError, match="6 relations are too few"):
        score(model, data, tmp_path / "a.json", arm="lm", ways=4)


def test_an_episode_shows_each_relation_and_asks_for_each_once():
    relations = {r: [f"{r}-{i}" for i in range(5)] for r in RELATIONS}
    episode = draw_episode(relations, 3, 2, draw=Draw(0, "episode"))
    asked = [query.partition("-")[0] for query in episode.queries]
    assert len(set(asked)) == 3
    for relation, supports, query in zip(asked, episode.supports, episode.queries, strict=True):
        assert len({*supports, query}) == 3
        assert {one.partition("-")[0] for one in supports} == {relation}
    seen = {query for i in range(300) for query in draw_episode(relations, 3, 2, draw=Draw(i)).queries}
    assert len(seen) == 30


def test_relations_are_split_by_hash_with_enough_for_an_episode():
    names = [f"P{i}" for i in range(16)]
    parts = split(names, ways=5, seed=0)
    assert {part: len(of_part) for part, of_part in parts.items()} == {
        "train": 6,
        "validation": 5,
        "test": 5,
    }
    assert sorted(name for of_part in parts.values() for name in of_part) == sorted(names)
    assert split(names[::-1], ways=5, seed=0) == parts
    assert split(names, ways=5, seed=1) != parts


@pytest.mark.parametrize(
    ("mentions", "text"),
    [
        ([(0, 2), (3, 4)], "@ New Ulm @ in # Bonn # ."),
        ([(3, 4), (0, 2)], "# New Ulm # in @ Bonn @ ."),
        ([(0, 2), (4, 5)], "@ New Ulm @ in Bonn # . #"),
        ([(0, 2), (1, 2)], "@ New # Ulm @ # in Bonn ."),
    ],
)
def test_marks_stand_around_head_and_tail(mentions, text):
    tokens = ["New", "Ulm", "in", "Bonn", "."]
    marked, spans = marked_spans(tokens, mentions)
    assert marked == text
    for (start, end), (first, last) in zip(spans, mentions, strict=True):
        assert marked[start:end].replace("# ", "") == " ".join(tokens[first:last])


def test_on_fewrel_as_published(real_data, model, tmp_path):
    from tests.trainer.evaluate.files import unpack

    unpack(real_data, "fewrel/fewrel-val.tar.xz", tmp_path)
    options = {"ways": 5, "train_episodes": 1, "test_episodes": 5}
    found = score(model, tmp_path / "data", tmp_path / "a.json", arm="lm", **options)
    assert {part: len(names) for part, names in found["relations"].items()} == {
        "train": 6,
        "validation": 5,
        "test": 5,
    }
