"""Pairs to splits: balanced by relation, filled in proportion, and without a pair that crosses."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.tally import Tally
from kgcorpus.xlr.candidates import Candidate, Pair, pair_of
from kgcorpus.xlr.questions import Question, QuestionWriter


class Allotment:
    """Asks one pair at a time; what a split has once refused it would always refuse.

    Args:
        candidates: from each relation to its pairs, from each pair to its candidates, in order of preference.
        tally: drops `in_another_split`: pairs, once for each split that would have taken them.
    """

    def __init__(
        self,
        candidates: Mapping[str, Sequence[Sequence[Candidate]]],
        writer: QuestionWriter,
        *,
        seed: int,
        tally: Tally,
    ) -> None:
        self._candidates, self._writer, self._seed, self._tally = candidates, writer, seed, tally
        self._asked_in: dict[Pair, str] = {}
        self._shown_in: defaultdict[Pair, set[str]] = defaultdict(set)

    def fill(self, sizes: Mapping[str, int]) -> Iterator[Question]:
        """Yield questions until every split has its size or no pair is left for it."""
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
            if pair_of(candidates[0].left_out) in self._asked_in:
                continue
            question = self._take(candidates, split)
            if question is not None:
                self._asked_in[question.pair] = split
                for triple in question.context:
                    self._shown_in[pair_of(triple)].add(split)
                yield question

    def _take(self, candidates: Sequence[Candidate], split: str) -> Question | None:
        """The first candidate that shares no pair with a question of another split."""
        crossing = not self._shown_in[pair_of(candidates[0].left_out)] <= {split}
        for candidate in () if crossing else candidates:
            question = self._writer.write(candidate, split)
            if question is None:
                continue
            if all(self._asked_in.get(pair_of(triple), split) == split for triple in question.context):
                return replace(question, split=split)
            crossing = True
        if crossing:
            self._tally.drop("in_another_split")
        return None
