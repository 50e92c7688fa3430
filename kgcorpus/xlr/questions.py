"""Which cycles become questions, and of which split."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kgcorpus.contracts.draws import Draw, hash64
from kgcorpus.contracts.splits import split_of_pairs
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.names import Names
from kgcorpus.kg.readers import TripleRow
from kgcorpus.xlr.candidates import Candidate, Cycle, Pair, pair_of, shortlist
from kgcorpus.xlr.choices import WrongChoices
from kgcorpus.xlr.relations import RelationFacts

_SPARE = 2  # pairs shortlisted of each relation for each question asked for


@dataclass(frozen=True, kw_only=True)
class Question:
    """A cycle, of which one triple's relation is asked for.

    Attributes:
        question_id: hash of the cycle and the triple.
        left_out: the triple whose relation is the answer.
        context: the cycle's other triples, in drawn order.
        choices: 6 relation ids.
        answer: the place of the left-out relation among them.
        languages: those in which every entity and relation has a label, and no two entities the same.
        unseen_combination: no cycle left in the training split has these relations (as a multiset), and of a
            validation or test question no training question either.
    """

    question_id: str
    cycle_id: str
    split: str
    left_out: TripleRow
    context: tuple[TripleRow, ...]
    choices: tuple[str, ...]
    answer: int
    languages: tuple[str, ...]
    unseen_combination: bool

    @property
    def combination(self) -> tuple[str, ...]:
        """The cycle's relations, sorted."""
        return _combination((self.left_out, *self.context))


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

    A pair is asked about once, and only if it has one relation. A pair asked about in one split stands in no
    question of another, not even in its context. Every split takes the relation it has asked for least; the
    splits fill up in proportion.

    Args:
        cycles: called twice; gives the rows of the table `cycles`, in any order.
        graph: the triples that the cycles are of.
        sizes: questions asked for, by split.
        tally: counts by split: `asked`, `questions`, `answer.<id>`, of these the largest as `majority`, and
            `unseen_combination`; also `held_out_pairs`. Drops: see `shortlist`; of candidates
            `too_few_choices` and `same_names` (in every language); of pairs, each time a split would have
            taken them, `in_another_split`.
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
    writer = _Writer(entities, relations, WrongChoices(facts, relations, languages), languages, seed, tally)
    questions = _Allotment(candidates, writer, seed, tally).fill(sizes)
    questions = _mark_unseen(questions, cycles(), seed)
    for split, size in sizes.items():
        own = [question for question in questions if question.split == split]
        answers = Counter(question.left_out.r for question in own)
        tally.count(f"asked.{split}", size)
        tally.count(f"questions.{split}", len(own))
        tally.count(f"majority.{split}", max(answers.values(), default=0))
        tally.count(f"unseen_combination.{split}", sum(question.unseen_combination for question in own))
        for relation, n in answers.items():
            tally.count(f"answer.{split}.{relation}", n)
    tally.count("held_out_pairs", len(questions))
    return questions


def held_out_pairs(questions: Iterable[Question]) -> set[Pair]:
    """The pairs asked about, the smaller id first: whatever states a fact of theirs must leave training."""
    return {pair_of(question.left_out) for question in questions}


def is_held_out(triples: Iterable[Mapping[str, str]], pairs: Collection[Pair]) -> bool:
    """Is a triple, one of a cycle's or a record's, on such a pair, whatever its relation and direction?"""
    return any((min(t["h"], t["t"]), max(t["h"], t["t"])) in pairs for t in triples)


class _Writer:
    """A candidate as a question, if it has choices."""

    def __init__(
        self,
        entities: Names,
        relations: Names,
        wrong: WrongChoices,
        languages: Sequence[str],
        seed: int,
        tally: Tally,
    ) -> None:
        self._entities, self._relations, self._wrong = entities, relations, wrong
        self._languages, self._seed, self._tally = languages, seed, tally
        self._written: dict[Candidate, Question | None] = {}

    def question(self, candidate: Candidate) -> Question | None:
        """The question, its split left open."""
        if candidate not in self._written:
            self._written[candidate] = self._write(candidate)
        return self._written[candidate]

    def _write(self, candidate: Candidate) -> Question | None:
        left_out, context = candidate.left_out, list(candidate.context)
        triples = (left_out, *context)
        languages = tuple(lang for lang in self._languages if self._tells_apart(triples, lang))
        if not languages:
            self._tally.drop("same_names")
            return None
        draw = Draw(self._seed, "xlr-question", candidate.cycle_id, *left_out)
        choices = self._wrong.choose(left_out, context, languages=languages, draw=draw)
        if choices is None:
            self._tally.drop("too_few_choices")
            return None
        draw.shuffle(context)
        return Question(
            question_id=f"{hash64('xlr', candidate.cycle_id, *left_out):016x}",
            cycle_id=candidate.cycle_id,
            split="",
            left_out=left_out,
            context=tuple(context),
            choices=tuple(choices),
            answer=choices.index(left_out.r),
            languages=languages,
            unseen_combination=False,
        )

    def _tells_apart(self, triples: Sequence[TripleRow], lang: str) -> bool:
        """Are all named, and the entities each by a name of its own?"""
        entities = {entity for triple in triples for entity in (triple.h, triple.t)}
        labels = [self._entities.label(entity, lang) for entity in entities]
        relations = [self._relations.label(triple.r, lang) for triple in triples]
        return all(labels) and all(relations) and len(set(labels)) == len(labels)


class _Allotment:
    """Pairs to splits, one at a time; what a split has once refused it would always refuse."""

    def __init__(
        self, candidates: Mapping[str, list[list[Candidate]]], writer: _Writer, seed: int, tally: Tally
    ) -> None:
        self._candidates, self._writer, self._seed, self._tally = candidates, writer, seed, tally
        self._asked: dict[Pair, str] = {}
        self._shown: defaultdict[Pair, set[str]] = defaultdict(set)

    def fill(self, sizes: Mapping[str, int]) -> list[Question]:
        """Fill the splits in proportion to their sizes."""
        questions: list[Question] = []
        filled = Counter[str]()
        streams = {split: self._balanced(split) for split, size in sizes.items() if size}
        while streams:
            split = min(streams, key=lambda split: filled[split] / sizes[split])
            question = next(streams[split], None)
            if question is not None:
                questions.append(question)
                filled[split] += 1
            if question is None or filled[split] == sizes[split]:
                del streams[split]
        return questions

    def _balanced(self, split: str) -> Iterator[Question]:
        """Ask for the relation asked for least, for as long as it has pairs; ties by hash."""
        streams = {relation: self._of_relation(relation, split) for relation in self._candidates}
        ties = {relation: hash64(self._seed, "xlr-relation", split, relation) for relation in streams}
        asked = Counter[str]()
        while streams:
            relation = min(streams, key=lambda relation: (asked[relation], ties[relation]))
            question = next(streams[relation], None)
            if question is None:
                del streams[relation]
                continue
            asked[relation] += 1
            yield question

    def _of_relation(self, relation: str, split: str) -> Iterator[Question]:
        for candidates in self._candidates[relation]:
            pair = pair_of(candidates[0].left_out)
            if pair in self._asked:
                continue
            question = self._take(candidates, split)
            if question is not None:
                self._asked[pair] = split
                for triple in question.context:
                    self._shown[pair_of(triple)].add(split)
                yield question

    def _take(self, candidates: list[Candidate], split: str) -> Question | None:
        crossing = not self._shown[pair_of(candidates[0].left_out)] <= {split}
        if not crossing:
            for candidate in candidates:
                question = self._writer.question(candidate)
                if question is None:
                    continue
                if all(self._asked.get(pair_of(triple), split) == split for triple in question.context):
                    return replace(question, split=split)
                crossing = True
        if crossing:
            self._tally.drop("in_another_split")
        return None


def _combination(triples: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted(triple.r for triple in triples))


def _mark_unseen(questions: Sequence[Question], cycles: Iterable[Cycle], seed: int) -> list[Question]:
    open_ = {question.combination for question in questions}
    asked_in_training = {question.combination for question in questions if question.split == "train"}
    pairs = held_out_pairs(questions)
    for cycle in cycles:
        relations = tuple(sorted(triple["r"] for triple in cycle["triples"]))
        if relations not in open_ or is_held_out(cycle["triples"], pairs):
            continue
        if split_of_pairs(seed, ((triple["h"], triple["t"]) for triple in cycle["triples"])) == "train":
            open_.discard(relations)
    return [
        replace(
            question,
            unseen_combination=question.combination in open_
            and (question.split == "train" or question.combination not in asked_in_training),
        )
        for question in questions
    ]
