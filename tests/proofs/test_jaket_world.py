from collections import Counter

import pytest

from proofs.jaket_cells import Training, write_world
from proofs.jaket_world import TRADES, Size, World
from trainer.jaket.entities import is_unseen

SIZE = Size(people=200, towns=30, houses=30, passages=300)


@pytest.fixture(scope="module")
def world():
    return World(SIZE, seed=1)


def test_the_profession_is_that_of_the_house_and_stands_nowhere_else(world):
    entities = {row["qid"]: row for row in world.entities()}
    works = {edge["h"]: edge["t"] for edge in world.edges() if edge["r"] == "P2"}
    assert len(works) == SIZE.people
    for person, house in works.items():
        trade = TRADES[int(entities[person]["category"].removeprefix("Q9"))]
        assert trade in entities[house]["text"]
        assert not any(trade in entities[person]["text"] for trade in TRADES)
    assert all(row["category"] is None for qid, row in entities.items() if qid not in works)
    texts = [row["text"] for row in world.passages(set())]
    assert not any(word in text for text in texts for trade in TRADES for word in trade.split()[:1])


def test_names_and_spans_are_right_and_names_tell_no_kind(world):
    entities = world.entities()
    assert len({row["text"].split(" is ")[0] for row in entities}) == len(entities)
    for row in entities:
        assert row["text"][row["start"] : row["end"]] == world.names[row["qid"]]
    words = [
        {w for row in entities if part in row["text"] for w in world.names[row["qid"]].split()}
        for part in ("is a person", "is a town")
    ]
    assert len(words[0] & words[1]) > 0.5 * len(words[1])
    for row in world.passages(set()):
        for m in row["mentions"]:
            assert row["text"][m["start"] : m["end"]] == world.names[m["qid"]]


def test_no_training_passage_names_an_unseen_entity(world):
    qids = [row["qid"] for row in world.entities()]
    unseen = {q for q, yes in zip(qids, is_unseen(qids, share=0.15, seed=1), strict=True) if yes}
    passages = world.passages(unseen)
    assert Counter(row["split"] for row in passages)["train"] == SIZE.passages
    named = {"train": set(), "test": set()}
    for row in passages:
        named[row["split"]].update(m["qid"] for m in row["mentions"])
        if row["split"] == "test":
            assert unseen & {m["qid"] for m in row["mentions"]}
    assert not named["train"] & unseen
    people = {edge["h"] for edge in world.edges()}
    assert unseen & people <= named["test"]
    texts = [f" {row['text']} " for row in passages if row["split"] == "train"]
    assert not any(f" {world.names[qid]} " in text for qid in unseen for text in texts)


def test_a_seed_s_corpus_is_the_same_each_time(tmp_path):
    for name in "ab":
        write_world(World(SIZE, seed=1), tmp_path / name, seed=1, training=Training())
    one, other = ((tmp_path / name / "manifest.json").read_bytes() for name in "ab")
    assert one == other
