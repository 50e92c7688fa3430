"""Questions made from candidates, and the pairs that are held out of training for them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kgcorpus.contracts.draws import Draw, hash64
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import LabelIndex
from kgcorpus.kg.readers import TripleRow
from kgcorpus.xlr.candidates import Candidate, Pair, pair_of
from kgcorpus.xlr.choices import WrongChoices


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question for the relation of one triple of a cycle, given the cycle's other triples.

    Attributes:
        question_id: hash of the cycle and the left-out triple.
        split: train | validation | test.
        left_out: the triple whose relation is the answer.
        context: the cycle's other triples, in random order.
        choices: 6 relation ids.
        answer: index of the correct relation in `choices`.
        languages: languages in which every entity and relation has a label and all entity labels differ.
        held_out: the pair and the connected pairs with equal names, each with the smaller id first.
        unseen_combination: no cycle in the training split has this multiset of relations. For validation and
            test questions, no training question has it either.
    """

    question_id: str
    cycle_id: str
    split: str
    left_out: TripleRow
    context: tuple[TripleRow, ...]
    choices: tuple[str, ...]
    answer: int
    languages: tuple[str, ...]
    held_out: tuple[Pair, ...] = ()
    unseen_combination: bool = False

    @property
    def pair(self) -> Pair:
        """The two entities of the left-out triple, the smaller id first."""
        return pair_of(self.left_out)

    @property
    def combination(self) -> tuple[str, ...]:
        """The cycle's relations, sorted."""
        return tuple(sorted(triple.r for triple in (self.left_out, *self.context)))


class QuestionWriter:
    """Turns candidates into questions: selects the choices and the languages."""

    def __init__(
        self,
        wrong: WrongChoices,
        *,
        entities: LabelIndex,
        relations: LabelIndex,
        languages: Sequence[str],
        seed: int,
        tally: Tally,
    ) -> None:
        self._wrong, self._entities, self._relations = wrong, entities, relations
        self._languages, self._seed, self._tally = languages, seed, tally
        self._written: dict[Candidate, Question | None] = {}

    def write(self, candidate: Candidate, split: str) -> Question | None:
        """Return the question; None if entity labels collide in every language or there are too few choices.

        Results are cached: several splits may try the same candidate, and the tally counts it once.
        """
        if candidate not in self._written:
            self._written[candidate] = self._write(candidate, split)
        return self._written[candidate]

    def _write(self, candidate: Candidate, split: str) -> Question | None:
        left_out, context = candidate.left_out, sorted(candidate.context)
        languages = [lang for lang in self._languages if self._tells_apart((left_out, *context), lang)]
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
            split=split,
            left_out=left_out,
            context=tuple(context),
            choices=tuple(choices),
            answer=choices.index(left_out.r),
            languages=tuple(languages),
        )

    def _tells_apart(self, triples: Sequence[TripleRow], lang: str) -> bool:
        entities = {entity for triple in triples for entity in (triple.h, triple.t)}
        labels = [self._entities.label(entity, lang) for entity in entities]
        relations = [self._relations.label(triple.r, lang) for triple in triples]
        return all(labels) and all(relations) and len(set(labels)) == len(labels)


def held_out_pairs(questions: Iterable[Question]) -> set[Pair]:
    """Pairs whose triples must not occur in training: the questions' pairs and pairs with equal names."""
    return {pair for question in questions for pair in question.held_out}


def is_held_out(triples: Iterable[Mapping[str, str]], pairs: Collection[Pair]) -> bool:
    """Whether any of the triples connects a held-out pair, in either direction, with any relation."""
    return any((min(t["h"], t["t"]), max(t["h"], t["t"])) in pairs for t in triples)
