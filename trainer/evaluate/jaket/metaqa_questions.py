"""MetaQA's questions and knowledge base (Zhang et al. 2018), as its repository's copies lay them out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.files import only_file, read_tsv

# Triples h r t by number, in files that overlap.
_TRIPLES = ("train.tsv", "dev.tsv", "test.tsv")


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        text: without the brackets around its topic.
        span: the topic's [start, end) in characters.
        topic: its entity's number.
        answers: entities' numbers.
    """

    text: str
    span: tuple[int, int]
    topic: int
    answers: tuple[int, ...]


@dataclass(frozen=True)
class KnowledgeBase:
    """The triples [n, 3] of head, relation and tail, each once, sorted.

    Attributes:
        names: of the entities; an entity's number is its place.
        relations: names, likewise.
        numbers: name -> number of the entity.
    """

    names: list[str]
    relations: list[str]
    numbers: Mapping[str, int]
    triples: NDArray[np.int64]

    def kept(self, share: float, *, seed: int) -> "KnowledgeBase":
        """Each triple stays with the chance `share`, drawn from the seed and the triple."""
        stay = [hash64(seed, "metaqa-triple", *map(int, row)) / 2.0**64 < share for row in self.triples]
        return replace(self, triples=self.triples[np.array(stay, bool)])


def read_knowledge(folder: Path) -> KnowledgeBase:
    """The union of the folder's triples.

    Raises:
        InputError: a file is missing or malformed.
    """
    try:
        entities, relations = (
            [(int(row[0]), row[1]) for row in read_tsv(only_file(folder, file))]
            for file in ("entity2text.txt", "relation2text.txt")
        )
        rows = [row for file in _TRIPLES for row in read_tsv(only_file(folder, file))]
        triples = np.unique(np.array(rows, np.int64).reshape(-1, 3), axis=0)
    except (ValueError, IndexError) as error:
        raise InputError(f"is not MetaQA's knowledge base ({error})", where=str(folder)) from None
    names, kinds = _by_number(entities), _by_number(relations)
    if triples[:, [0, 2]].max(initial=-1) >= len(names) or triples[:, 1].max(initial=-1) >= len(kinds):
        raise InputError("has triples of entities or relations without a name", where=str(folder))
    return KnowledgeBase(names, kinds, {name: i for i, name in entities}, triples)


def _by_number(named: Sequence[tuple[int, str]]) -> list[str]:
    """Each number's name; of several the first, and nothing where there is none: the public copy has both."""
    names = [""] * (1 + max(i for i, _ in named))
    for i, name in reversed(named):
        names[i] = name
    return names


def read_questions(folder: Path, hops: int, split: str, knowledge: KnowledgeBase) -> list[Question]:
    """The questions of `<hops>-hop/<split>.txt`; without those whose topic or every answer is unknown.

    Raises:
        InputError: the file is missing, or a line is malformed.
    """
    path = only_file(folder, f"{hops}-hop/{split}.txt")
    found = []
    for number, row in enumerate(read_tsv(path), 1):
        before, _, rest = row[0].partition("[")
        name, closing, after = rest.partition("]")
        if not closing or len(row) < 2:
            raise InputError("is no question of MetaQA", where=f"{path}, line {number}")
        answers = {knowledge.numbers[one] for one in row[1].split("|") if one in knowledge.numbers}
        topic = knowledge.numbers.get(name)
        if topic is not None and answers:
            span = (len(before), len(before) + len(name))
            found.append(Question(before + name + after, span, topic, tuple(sorted(answers))))
    return found


def reached(neighbours: Mapping[int, Sequence[int]], topic: int, hops: int) -> NDArray[np.int64]:
    """All entities but the topic within `hops` edges, ascending."""
    seen = {topic}
    border = [topic]
    for _ in range(hops):
        border = list({n for node in border for n in neighbours[node]} - seen)
        seen.update(border)
    return np.array(sorted(seen - {topic}), np.int64)


def adjacency(knowledge: KnowledgeBase) -> Mapping[int, Sequence[int]]:
    """Each entity's neighbours, by edges in either direction."""
    found = defaultdict[int, list[int]](list)
    for head, _, tail in knowledge.triples.tolist():
        found[head].append(tail)
        found[tail].append(head)
    return found
