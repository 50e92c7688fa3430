"""From the cycles of a graph to the questions of every split."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from kgcorpus.contracts.splits import split_of_pairs
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.names import Names
from kgcorpus.xlr.allotment import Allotment
from kgcorpus.xlr.candidates import Cycle, shortlist
from kgcorpus.xlr.choices import WrongChoices
from kgcorpus.xlr.homonyms import Homonyms
from kgcorpus.xlr.questions import Question, QuestionWriter, held_out_pairs, is_held_out
from kgcorpus.xlr.relations import RelationFacts

_SPARE = 2  # pairs shortlisted of each relation for each question asked for


def choose_questions(
    cycles: Callable[[], Iterable[Cycle]],
    *,
    graph: Graph,
    entities: Names,
    relations: Names,
    languages: Sequence[str],
    sizes: Mapping[str, int],
    seed: int,
    tally: Tally,
) -> list[Question]:
    """Draw the questions of each split, as many as asked for or as the graph gives (KMLM, section 4.5).

    A pair is asked about once, and only if it and all connected pairs of the same names have one relation. A
    pair asked about in one split stands in no question of another, not even in its context, under its own ids
    or under others with the same names. Every split takes the relation it has asked for least; the splits
    fill up in proportion to their sizes.

    Args:
        cycles: called twice; gives the rows of the table `cycles`, in any order.
        graph: the triples that the cycles are of.
        sizes: questions asked for, by split.
        tally: counts by split: `asked`, `questions`, `answer.<id>` and the largest of these as `majority`,
            `unseen_combination`. Drops: `names_missing` and `several_relations` of a cycle's triples, before
            any choice; `several_relations_by_name` of pairs; `same_names` (in every language) and
            `too_few_choices` of candidates that were tried; `in_another_split` of pairs, once for each split
            that would have taken them.
    """
    facts = RelationFacts(graph)
    candidates = shortlist(
        cycles(),
        facts=facts,
        names=entities,
        relations=relations,
        languages=languages,
        per_relation=max(1, _SPARE * sum(sizes.values())),
        seed=seed,
        tally=tally,
    )
    writer = QuestionWriter(
        WrongChoices(facts, relations, languages),
        entities=entities,
        relations=relations,
        languages=languages,
        seed=seed,
        tally=tally,
    )
    homonyms = Homonyms(graph, entities, languages)
    allotment = Allotment(candidates, writer, facts=facts, homonyms=homonyms, seed=seed, tally=tally)
    drawn = list(allotment.fill(sizes))
    questions = _mark_unseen(drawn, cycles(), seed)
    for split, size in sizes.items():
        own = [question for question in questions if question.split == split]
        answers = Counter(question.left_out.r for question in own)
        tally.count(f"asked.{split}", size)
        tally.count(f"questions.{split}", len(own))
        tally.count(f"majority.{split}", max(answers.values(), default=0))
        tally.count(f"unseen_combination.{split}", sum(question.unseen_combination for question in own))
        for relation, n in answers.items():
            tally.count(f"answer.{split}.{relation}", n)
    return questions


def _mark_unseen(questions: Sequence[Question], cycles: Iterable[Cycle], seed: int) -> list[Question]:
    pairs = held_out_pairs(questions)
    unseen = {question.combination for question in questions}
    for cycle in cycles:
        triples = cycle["triples"]
        relations = tuple(sorted(triple["r"] for triple in triples))
        if (
            relations in unseen
            and not is_held_out(triples, pairs)
            and split_of_pairs(seed, ((triple["h"], triple["t"]) for triple in triples)) == "train"
        ):
            unseen.discard(relations)
    asked_in_training = {question.combination for question in questions if question.split == "train"}
    unasked = unseen - asked_in_training
    return [
        replace(
            question,
            unseen_combination=question.combination in (unseen if question.split == "train" else unasked),
        )
        for question in questions
    ]
