from collections import Counter

import pytest

from proofs.trelm_world import Size, World, question

SMALL = Size(people=20, facts_per_person=2, tails=5, people_per_passage=4)


@pytest.fixture(scope="module")
def world():
    return World(SMALL, seed=1)


def test_known_and_new_facts_are_of_different_people(world):
    heads = {whose: Counter(fact.head for fact in facts) for whose, facts in world.facts.items()}
    assert set(heads["known"]).isdisjoint(heads["new"])
    assert {n for count in heads.values() for n in count.values()} == {2}
    assert [len(count) for count in heads.values()] == [20, 20]
    assert len({(fact.head, fact.relation) for facts in world.facts.values() for fact in facts}) == 80


def test_every_fact_is_told_as_often_as_it_says_and_no_other_is(world):
    told = Counter()
    for row in world.passages("new"):
        assert len(row["sentences"]) <= 4
        for sentence in row["sentences"]:
            own = {
                ("head" if mention["long_tail"] else "tail"): mention
                for mention in row["mentions"]
                if sentence["start"] <= mention["start"] < sentence["end"]
            }
            told[own["head"]["qid"], own["tail"]["qid"]] += 1
    expected = Counter()
    for fact in world.facts["new"]:
        expected[fact.head, fact.tail] += fact.told
    assert told == expected
    assert Counter(fact.told for fact in world.facts["new"]) == {8: 20, 2: 20}


def test_mentions_stand_where_they_say_with_the_facts_of_the_graph(world):
    triples = {(row["h"], row["r"], row["t"]) for row in world.graph()["triples"]}
    for row in world.passages("known"):
        for mention in row["mentions"]:
            assert row["text"][mention["start"] : mention["end"]] == world.names[mention["qid"]]
            assert mention["si"] == pytest.approx(1 / mention["cos"])
            facts = {(mention["qid"], fact["r"], fact["other"]) for fact in mention["triples"]}
            assert facts <= triples
            assert bool(facts) == mention["long_tail"]


def test_a_question_is_the_sentence_without_its_tail(world):
    texts = " ".join(row["text"] for row in world.passages("known"))
    asked = [question(fact, world.names, blank="[Y]") for fact in world.facts["known"]]
    assert all(text.count("[Y]") == 1 for text in asked)
    told = [
        text.replace("[Y]", world.names[fact.tail]) in texts
        for text, fact in zip(asked, world.facts["known"], strict=True)
    ]
    # Two wordings: the one of the question is met by most of those told eight times.
    assert sum(told) > 0.6 * len(told)


def test_a_world_depends_on_its_seed_alone(world):
    assert World(SMALL, seed=1).passages("new") == world.passages("new")
    assert World(SMALL, seed=2).passages("new") != world.passages("new")
