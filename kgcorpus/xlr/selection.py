"""Selection of XLR questions for all splits from the cycles of a graph."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from kgcorpus.contracts.splits import split_of_pairs
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.names import LabelIndex
from kgcorpus.xlr.allotment import Allotment
from kgcorpus.xlr.candidates import Cycle, shortlist
from kgcorpus.xlr.choices import WrongChoices
from kgcorpus.xlr.homonyms import Homonyms
from kgcorpus.xlr.questions import Question, QuestionWriter, held_out_pairs, is_held_out
from kgcorpus.xlr.relations import RelationFacts

_SPARE = 2  # shortlisted pairs of each relation, relative to the number of requested questions


def choose_questions(
    cycles: Callable[[], Iterable[Cycle]],
    *,
    graph: Graph,
    entities: LabelIndex,
    relations: LabelIndex,
    languages: Sequence[str],
    sizes: Mapping[str, int],
    seed: int,
    tally: Tally,
) -> list[Question]:
    """Select questions for each split, up to the requested number (KMLM, section 4.5).

    Each pair is used for at most one question, and only if the pair and all connected pairs with the same
    names have a single relation. The pair of a question in one split occurs in no question of another split,
    not even in a context or as a pair of other ids with the same names. Each split takes its next question
    from the relation it has used least, and the splits grow in proportion to their sizes.

    Args:
        cycles: called twice; returns the rows of the table `cycles`, in any order.
        graph: the triples from which the cycles were mined.
        sizes: requested questions by split.
        tally: counts by split: `asked` (requested), `questions`, `answer.<id>`, `majority` (the most frequent
            answer's count) and `unseen_combination`. Drops: `names_missing` and `several_relations` (triples
            of cycles), `several_relations_by_name` (pairs), `same_names` in every language and
            `too_few_choices` (candidates), `in_another_split` (pairs, once for each split).
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
