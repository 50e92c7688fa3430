"""The six choices: where they come from, and that none of the wrong ones is true of its pair."""

from collections import Counter, defaultdict

import pytest

from kgcorpus.contracts.tally import Tally
from kgcorpus.xlr.relations import RelationFacts

from .knowledge import knowledge_of, named, star


def test_every_place_is_as_likely_the_answers(demo):
    questions = demo.choose({"train": 900, "validation": 150, "test": 150})
    places = Counter(question.answer for question in questions)
    expected = len(questions) / 6
    assert sum((places[i] - expected) ** 2 / expected for i in range(6)) < 20.5  # p = .001, 5 degrees


def test_choices_come_first_from_the_cycle_and_its_entities(demo):
    facts = RelationFacts(demo.graph)
    incident = defaultdict(set)
    for h, r, t in demo.triples:
        incident[h].add(r)
        incident[t].add(r)
    from_context = 0
    for question in demo.choose():
        h, r, t = question.left_out
        near = {triple.r for triple in question.context} | incident[h] | incident[t]
        fillers = set(question.choices) - near - {r}
        assert fillers <= set(facts.of_like_range(r))
        if fillers:
            assert len(near - {r}) - len(near & {p for p in near if facts.go_together(r, p)}) <= 5
        from_context += any(triple.r in question.choices for triple in question.context)
    assert from_context > 40


def test_an_inverse_is_no_wrong_choice():
    triples, ids, _, languages = star(12)
    relations = sorted({r for _, r, _ in triples})
    one, inverse = "P100", "P101"
    a, b = next((h, t) for h, r, t in triples if r == one)
    before = knowledge_of(triples, ids, named(relations, languages), languages)
    after = knowledge_of([*triples, (b, inverse, a)], ids, named(relations, languages), languages)

    def together(knowledge):
        questions = knowledge.choose({"train": 60, "validation": 0, "test": 0})
        asked = [question for question in questions if question.left_out.r in (one, inverse)]
        assert asked
        return sum({one, inverse} <= set(question.choices) for question in asked)

    assert together(before) > 0
    assert together(after) == 0


@pytest.mark.parametrize(
    "names",
    [
        {"en": ["is in"], "fr": ["IS IN", "x"]},
        {"en": ["other", "Is In"], "fr": ["autre"]},
        {"en": ["other"], "fr": ["dans"]},
        {"en": ["other"]},
    ],
)
def test_a_relation_of_the_same_name_or_without_one_is_no_wrong_choice(names):
    triples, ids, _, languages = star(12)
    relations = sorted({r for _, r, _ in triples})
    given = {"P100": {"en": ["is in"], "fr": ["dans"]}, "P101": names}
    knowledge = knowledge_of(triples, ids, named(relations, languages, **given), languages)
    asked = [q for q in knowledge.choose({"train": 60, "validation": 0, "test": 0}) if q.left_out.r == "P100"]
    assert asked
    for question in asked:
        if {triple.r for triple in question.context} & {"P101"} and "fr" not in question.languages:
            continue
        assert "P101" not in question.choices


def test_too_few_relations_give_no_question():
    triples, ids, _, languages = star(5)
    relations = sorted({r for _, r, _ in triples})
    tally = Tally()
    knowledge = knowledge_of(triples, ids, named(relations, languages), languages)
    assert knowledge.choose(tally=tally) == []
    assert tally.drops["too_few_choices"] > 0
    assert (tally.counts["asked.test"], tally.counts["questions.test"]) == (10, 0)
