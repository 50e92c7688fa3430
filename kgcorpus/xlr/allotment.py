"""Assignment of question pairs to splits: balanced by relation, in proportion, no pair in two splits."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.tally import Tally
from kgcorpus.xlr.candidates import Candidate, Pair, pair_of
from kgcorpus.xlr.homonyms import Homonyms
from kgcorpus.xlr.questions import Question, QuestionWriter
from kgcorpus.xlr.relations import RelationFacts


class Allotment:
    """Greedy assignment, one pair at a time. A pair that a split has rejected is never accepted later.

    Pairs whose entities share their names are treated as one pair, because their sentences are identical. If
    such pairs have different relations, a question about them has several answers and is not asked.

    Args:
        candidates: relation -> pairs -> candidates of the pair, in order of preference.
        facts: the relations of each pair.
        homonyms: finds pairs with equal names.
        tally: drops `in_another_split` (pairs, once for each split that would have taken them) and
            `several_relations_by_name` (pairs).
    """

    def __init__(
        self,
        candidates: Mapping[str, Sequence[Sequence[Candidate]]],
        writer: QuestionWriter,
        *,
        facts: RelationFacts,
        homonyms: Homonyms,
        seed: int,
        tally: Tally,
    ) -> None:
        self._candidates, self._writer, self._seed, self._tally = candidates, writer, seed, tally
        self._only_relation, self._alike = facts.only_relation, homonyms.alike
        self._ambiguous: set[Pair] = set()
        self._asked_in: dict[Pair, str] = {}
        self._shown_in: defaultdict[Pair, set[str]] = defaultdict(set)

    def fill(self, sizes: Mapping[str, int]) -> Iterator[Question]:
        """Yield questions until every split has its size or has no candidate pairs left."""
        filled = Counter[str]()
        streams = {split: self._balanced(split) for split, size in sizes.items() if size}
        while streams:
            split = min(streams, key=lambda split: filled[split] / sizes[split])
            question = next(streams[split], None)
            if question is not None:
                yield question
                filled[split] += 1
            if question is None or filled[split] == sizes[split]:
                del streams[split]

    def _balanced(self, split: str) -> Iterator[Question]:
        """Yield questions of one split, always from the relation with the fewest so far; ties by hash."""
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
            alike = self._alike(pair_of(candidates[0].left_out))
            if any(pair in self._asked_in for pair in alike) or self._is_ambiguous(alike, candidates[0]):
                continue
            question = self._take(candidates, split)
            if question is not None:
                self._asked_in[question.pair] = split
                for triple in question.context:
                    self._shown_in[pair_of(triple)].add(split)
                yield question

    def _is_ambiguous(self, alike: Sequence[Pair], candidate: Candidate) -> bool:
        """Whether another pair with the same names has a different relation."""
        relations = {self._only_relation(*pair) for pair in alike}
        if relations == {candidate.left_out.r}:
            return False
        pair = pair_of(candidate.left_out)
        if pair not in self._ambiguous:
            self._ambiguous.add(pair)
            self._tally.drop("several_relations_by_name")
        return True

    def _take(self, candidates: Sequence[Candidate], split: str) -> Question | None:
        """Return the first candidate that shares no pair with a question of another split."""
        alike = self._alike(pair_of(candidates[0].left_out))
        crossing = any(not self._shown_in.get(pair, set()) <= {split} for pair in alike)
        for candidate in () if crossing else candidates:
            question = self._writer.write(candidate, split)
            if question is None:
                continue
            shown = (pair for triple in question.context for pair in self._alike(pair_of(triple)))
            if all(self._asked_in.get(pair, split) == split for pair in shown):
                return replace(question, split=split, held_out=alike)
            crossing = True
        if crossing:
            self._tally.drop("in_another_split")
        return None
