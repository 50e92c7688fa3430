"""By brute force: no fact asked for is stated in training, in any language, by any name, in any direction."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.xlr import held_out_pairs, is_held_out

from .knowledge import LANGUAGES, check_questions, random_knowledge


@given(st.integers(0, 40))
@settings(max_examples=15)
def test_no_name_in_any_language_states_a_question_pair_in_training(seed):
    knowledge = random_knowledge(seed)
    questions = knowledge.choose()
    assert len(questions) >= 20
    check_questions(knowledge, questions)
    asked = {frozenset((question.left_out.h, question.left_out.t)) for question in questions}
    sentences = defaultdict(dict)
    for record in knowledge.training_records(questions):
        for slot in record["slots"]:
            # By the written name and not the id: names are unique here, and an alias tells its entity.
            name = record["text"][slot["start"] : slot["end"]]
            sentences[record["id"], slot["sentence"]][slot["slot"]] = name.split(":")[0]
    assert sentences
    stated = {frozenset((sentence[1], sentence[3])) for sentence in sentences.values()}
    assert not stated & asked
    everything = {frozenset((triple.h, triple.t)) for triple in knowledge.triples}
    assert len(stated) > len(everything) / 3


def test_nothing_but_what_touches_a_question_pair_is_removed():
    knowledge = random_knowledge(0)
    questions = knowledge.choose()
    pairs = held_out_pairs(questions)
    asked = {frozenset((question.left_out.h, question.left_out.t)) for question in questions}
    assert {frozenset(pair) for pair in pairs} == asked
    for triple in knowledge.triples:
        assert is_held_out([triple._asdict()], pairs) == (frozenset((triple.h, triple.t)) in asked)
        assert is_held_out([{"h": triple.t, "r": "P0", "t": triple.h}], pairs) == (
            frozenset((triple.h, triple.t)) in asked
        )
    removed = [cycle for cycle in knowledge.cycles if is_held_out(cycle["triples"], pairs)]
    assert 0 < len(removed) < len(knowledge.cycles)
    assert not is_held_out([], pairs)


def check_no_leak(knowledge, questions, languages):
    """No record that training can read, in any of the languages, holds a triple on a question's pair."""
    check_questions(knowledge, questions)
    asked = {frozenset((question.left_out.h, question.left_out.t)) for question in questions}
    entities = set().union(*asked)
    # A record without two entities of questions cannot leak; writing the others would take minutes.
    near = [triple for triple in knowledge.triples if {triple.h, triple.t} <= entities]
    records = Counter()
    for record in knowledge.training_records(questions, triples=near, languages=languages):
        records[record["lang"]] += 1
        assert not any(frozenset((triple["h"], triple["t"])) in asked for triple in record["triples"])
    assert set(records) == set(languages)
    assert records.total() > 1000


def test_no_leak_on_a_real_graph(demo):
    sizes = {"train": 300, "validation": 100, "test": 105}
    questions = demo.choose(sizes)
    assert Counter(question.split for question in questions) == sizes
    check_no_leak(demo, questions, ("en", "ja"))


@pytest.mark.slow
def test_questions_of_the_papers_number_in_ten_languages(load):
    knowledge = load("kg-real")
    sizes = {"train": 3000, "validation": 1000, "test": 1050}
    questions = knowledge.choose(sizes)
    assert Counter(question.split for question in questions) == sizes
    check_no_leak(knowledge, questions, LANGUAGES)
    # German and Italian have the fewest labels there: 26,875 and 23,818 entities of 172,588.
    in_language = Counter(lang for question in questions for lang in question.languages)
    assert set(in_language) == set(LANGUAGES)
    assert min(in_language.values()) > 2500
    assert sum(len(question.languages) == 10 for question in questions) > 2000


def test_the_embedded_world(embedded):
    questions = embedded.choose({"train": 60, "validation": 20, "test": 20})
    assert len(questions) == 100
    check_questions(embedded, questions)
    everywhere = sum(set(question.languages) == set(LANGUAGES) for question in questions)
    assert everywhere > 90
