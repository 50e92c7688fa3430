"""By brute force: no fact asked for is stated in training, in any language, by any name, in any direction."""

import re
import unicodedata
from collections import Counter, defaultdict
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally
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
            sentences[record["id"], slot["sentence"]][slot["slot"]] = name.split("é")[0]
    assert sentences
    stated = {frozenset((sentence[1], sentence[3])) for sentence in sentences.values()}
    assert not stated & asked
    everything = {frozenset((triple.h, triple.t)) for triple in knowledge.triples}
    assert len(stated) > len(everything) / 3


def plain(name):
    """The name as a reader takes it, by steps of its own: width, case, marks, invisible signs, spaces."""
    name = unicodedata.normalize("NFKD", name).casefold()
    name = unicodedata.normalize("NFC", "".join(c for c in name if unicodedata.category(c) != "Cf"))
    return re.sub(r"\s+", " ", name).strip()


def stated_names(records):
    """The unordered pairs of plain names that the records' sentences join."""
    for record in records:
        sentences = defaultdict(dict)
        for slot in record["slots"]:
            name = record["text"][slot["start"] : slot["end"]]
            sentences[slot["sentence"]][slot["slot"]] = plain(name)
        yield from (frozenset((sentence[1], sentence[3])) for sentence in sentences.values())


def names_of(knowledge, entity):
    found = {knowledge.names.label(entity, lang) for lang in knowledge.languages} - {None}
    aliases = {name for lang in knowledge.languages for name in knowledge.names.aliases(entity, lang)}
    return {plain(name) for name in found | aliases}


def asked_names(knowledge, question):
    """All pairs of plain names, in any of the languages, that state the question's pair."""
    h, _, t = question.left_out
    ends = product(names_of(knowledge, h), names_of(knowledge, t))
    return {frozenset(pair) for pair in ends}


@pytest.mark.parametrize("seed", range(4))
def test_no_homonym_states_a_question_pair_in_training(seed):
    knowledge = random_knowledge(seed, homonyms=True)
    questions = knowledge.choose()
    assert len(questions) >= 15
    by_id = [question.held_out for question in questions]
    asked = set().union(*(asked_names(knowledge, question) for question in questions))
    assert not asked & set(stated_names(knowledge.training_records(questions)))
    # Nor does a question, by its context or the pair it asks about, state what another split asks.
    for question in questions:
        shown = {frozenset((plain(a), plain(b))) for a, b in written(knowledge, question)}
        for other in questions:
            if other.split != question.split:
                assert not shown & asked_names(knowledge, other)
    # By brute force: the pairs that are held out are those with a name of each end in common, no others.
    connected = {tuple(sorted((triple.h, triple.t))) for triple in knowledge.triples}
    for question, held_out in zip(questions, by_id, strict=True):
        names = [names_of(knowledge, end) for end in (question.left_out.h, question.left_out.t)]
        alike = {
            pair
            for pair in connected
            for a, b in (pair, pair[::-1])
            if names_of(knowledge, a) & names[0] and names_of(knowledge, b) & names[1]
        }
        assert set(held_out) == alike
        # So the answer is the only relation that holds of these names.
        assert {r for pair in alike for r in knowledge.between[frozenset(pair)]} == {question.left_out.r}


def written(knowledge, question):
    """The names of both ends of each sentence of a question, in every language it is asked in."""
    for lang in question.languages:
        for triple in (question.left_out, *question.context):
            yield knowledge.names.label(triple.h, lang), knowledge.names.label(triple.t, lang)


def test_homonyms_are_met_in_the_random_graphs():
    tally = Tally()
    every = [q for seed in range(4) for q in random_knowledge(seed, homonyms=True).choose(tally=tally)]
    assert tally.drops["several_relations_by_name"] > 5
    assert sum(len(question.held_out) > 1 for question in every) > 5
    apart = random_knowledge(0).choose()
    assert all(question.held_out == (question.pair,) for question in apart)


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
    """No record that training can read, in any of the languages, states a question's pair.

    Neither by the ids of its triples nor by the names in its sentences.
    """
    check_questions(knowledge, questions)
    asked = {frozenset((question.left_out.h, question.left_out.t)) for question in questions}
    names = {entity: names_of(knowledge, entity) for entity in set().union(*asked)}
    stated = {
        frozenset(pair)
        for question in questions
        for pair in product(names[question.left_out.h], names[question.left_out.t])
    }
    every = set().union(*names.values())
    # A record without two names of questions' entities cannot leak; writing the others would take minutes.
    named = {
        entity
        for entity in {end for triple in knowledge.triples for end in (triple.h, triple.t)}
        if entity in names or not every.isdisjoint(names_of(knowledge, entity))
    }
    near = [triple for triple in knowledge.triples if {triple.h, triple.t} <= named]
    records = Counter()
    for record in knowledge.training_records(questions, triples=near, languages=languages):
        records[record["lang"]] += 1
        assert not any(frozenset((triple["h"], triple["t"])) in asked for triple in record["triples"])
        assert stated.isdisjoint(stated_names([record]))
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
    assert sum(len(question.languages) == 10 for question in questions) > 1900


def test_the_embedded_world(embedded):
    questions = embedded.choose({"train": 60, "validation": 20, "test": 20})
    assert len(questions) == 100
    check_questions(embedded, questions)
    everywhere = sum(set(question.languages) == set(LANGUAGES) for question in questions)
    assert everywhere > 90
