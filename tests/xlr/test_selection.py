"""Which pairs are asked about: balanced, bounded, in proportion, whatever the order."""

from collections import Counter, defaultdict
from random import Random

import pytest

from kgcorpus.contracts.splits import split_of_pairs
from kgcorpus.contracts.tally import Tally
from kgcorpus.xlr import held_out_pairs, is_held_out
from kgcorpus.xlr.candidates import shortlist
from kgcorpus.xlr.relations import RelationFacts

from .knowledge import LANGUAGES, SIZES, check_questions, graph_of, knowledge_of, named, random_knowledge


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_cycles_and_triples_changes_nothing(seed):
    random, knowledge = Random(seed), random_knowledge(seed)
    cycles, triples = list(knowledge.cycles), list(knowledge.triples)
    random.shuffle(cycles)
    random.shuffle(triples)
    one, other = Tally(), Tally()
    # Small sizes, so that the shortlist is pruned on the way.
    sizes = {"train": 2, "validation": 1, "test": 1}
    expected = knowledge.choose(sizes, tally=one)
    assert knowledge.choose(sizes, cycles=cycles, graph=graph_of(triples), tally=other) == expected
    assert list(one.rows()) == list(other.rows())
    assert knowledge.choose(sizes, seed=4) != expected


def test_the_shortlist_is_the_head_of_all_candidates(demo):
    def listed(per_relation, cycles):
        return shortlist(
            cycles,
            facts=RelationFacts(demo.graph),
            names=demo.names,
            relations=demo.relations,
            languages=LANGUAGES,
            per_relation=per_relation,
            seed=3,
            tally=Tally(),
        )

    everything = listed(10**6, demo.cycles)
    assert max(map(len, everything.values())) > 100
    head = {relation: pairs[:10] for relation, pairs in everything.items()}
    assert listed(10, demo.cycles) == listed(10, demo.cycles[::-1]) == head


def test_a_relation_is_asked_for_no_more_than_its_share(demo):
    sizes = {"train": 300, "validation": 100, "test": 105}
    tally = Tally()
    questions = demo.choose(sizes, tally=tally)
    few_choices = tally.drops["too_few_choices"]
    pairs = defaultdict(set)
    for cycle in demo.cycles:
        for h, r, t in (triple.values() for triple in cycle["triples"]):
            if len(demo.between[frozenset((h, t))]) == 1:
                pairs[r].add(frozenset((h, t)))
    asked = {frozenset(question.pair) for question in questions}
    shown = {frozenset((triple.h, triple.t)) for question in questions for triple in question.context}
    for split, size in sizes.items():
        answers = Counter(question.left_out.r for question in questions if question.split == split)
        most = max(answers.values())
        for relation, n in answers.items():
            # Below the share of the largest stays only a relation of which every pair is asked or in the way.
            assert n >= most - 1 or len(pairs[relation] - asked - shown) <= few_choices
        assert len(answers) > 25
        assert most < size / 12
        assert tally.counts[f"majority.{split}"] == most
        assert tally.counts[f"questions.{split}"] == size
        assert {r: tally.counts[f"answer.{split}.{r}"] for r in answers} == answers


def test_a_graph_that_gives_too_little_fills_its_splits_in_proportion(embedded):
    sizes, tally = {"train": 3000, "validation": 1000, "test": 1050}, Tally()
    questions = embedded.choose(sizes, tally=tally)
    check_questions(embedded, questions)
    given = Counter(question.split for question in questions)
    assert given.total() > 400
    assert 2 < given["train"] / given["test"] < 4
    assert tally.drops["in_another_split"] > 0
    for split, size in sizes.items():
        assert (tally.counts[f"asked.{split}"], tally.counts[f"questions.{split}"]) == (size, given[split])


def test_no_cycles_no_questions():
    languages = ("en",)
    for triples in ([], [("Q1", "P1", "Q2")]):
        knowledge = knowledge_of(triples, ["Q1", "Q2"], named(["P1"], languages), languages)
        assert knowledge.choose() == []
    assert random_knowledge(0).choose(dict.fromkeys(SIZES, 0)) == []


def test_a_combination_is_unseen_if_no_training_cycle_has_it(demo):
    questions = demo.choose({"train": 300, "validation": 100, "test": 105})
    pairs = held_out_pairs(questions)
    seen = {
        tuple(sorted(triple["r"] for triple in cycle["triples"]))
        for cycle in demo.cycles
        if not is_held_out(cycle["triples"], pairs)
        and split_of_pairs(3, [(triple["h"], triple["t"]) for triple in cycle["triples"]]) == "train"
    }
    asked = {question.combination for question in questions if question.split == "train"}
    for question in questions:
        known = seen if question.split == "train" else seen | asked
        assert question.unseen_combination == (question.combination not in known)
    assert 0 < sum(question.unseen_combination for question in questions) < len(questions)
