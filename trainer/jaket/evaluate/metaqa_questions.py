"""MetaQA's questions and knowledge base (Zhang et al. 2018), as published or as a public copy has them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import InputError
from trainer.evaluate.files import matching_files, only_file, read_tsv, required, text_lines

# Of the copy: triples h r t by number, in files that overlap.
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
    """The knowledge base: `kb.txt` as published, or the numbered files of a copy.

    Raises:
        InputError: a file is missing or malformed.
    """
    if matching_files(folder, "kb.txt"):
        return _read_published(only_file(folder, "kb.txt"))
    entities, relations = (
        [(int(one), name) for one, name in _fields(only_file(folder, file), numbers=(0,), width=2)]
        for file in ("entity2text.txt", "relation2text.txt")
    )
    names, kinds = _by_number(entities), _by_number(relations)
    rows: list[tuple[int, ...]] = []
    for file in _TRIPLES:
        path = only_file(folder, file)
        for row in _fields(path, numbers=(0, 1, 2), width=3):
            head, relation, tail = map(int, row)
            if max(head, tail) >= len(names) or relation >= len(kinds):
                raise InputError(
                    "has triples of entities or relations without a name", where=f"{path}, {' '.join(row)}"
                )
            rows.append((head, relation, tail))
    triples = np.unique(np.array(rows, np.int64).reshape(-1, 3), axis=0)
    return KnowledgeBase(names, kinds, {name: i for i, name in entities}, triples)


def _read_published(path: Path) -> KnowledgeBase:
    """Lines of `head|relation|tail`, names all three; they are numbered in sorted order."""
    rows: set[tuple[str, str, str]] = set()
    for number, line in text_lines(path):
        head, *rest = line.split("|")
        if line.strip():
            if len(rest) != 2 or not (head and rest[0] and rest[1]):
                raise InputError("is no line `head|relation|tail`", where=f"{path}, line {number}")
            rows.add((head, rest[0], rest[1]))
    required(list(rows), path)
    names = sorted({end for head, _, tail in rows for end in (head, tail)})
    kinds = sorted({relation for _, relation, _ in rows})
    numbers, kind = ({name: i for i, name in enumerate(of)} for of in (names, kinds))
    triples = np.array(sorted((numbers[h], kind[r], numbers[t]) for h, r, t in rows), np.int64)
    return KnowledgeBase(names, kinds, numbers, triples)


def _fields(path: Path, *, numbers: Sequence[int], width: int) -> Iterator[list[str]]:
    """The first `width` fields of each line; those at the places `numbers` are numbers from 0."""
    for number, row in read_tsv(path):
        if len(row) < width or not all(row[place].isdecimal() for place in numbers):
            raise InputError("is not MetaQA's knowledge base", where=f"{path}, line {number}")
        yield row[:width]


def _by_number(named: Sequence[tuple[int, str]]) -> list[str]:
    """Each number's name; of several the first, and nothing where there is none: the public copy has both."""
    names = [""] * (1 + max(i for i, _ in named))
    for i, name in reversed(named):
        names[i] = name
    return names


def read_questions(folder: Path, hops: int, split: str, knowledge: KnowledgeBase) -> list[Question]:
    """The questions of a split, from the file that `question_files` names.

    Those whose topic or every answer is unknown are left out.

    Raises:
        InputError: the file is missing, or a line is malformed.
    """
    path = only_file(folder, *question_files(hops, split))
    found = []
    for number, row in read_tsv(path):
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


def question_files(hops: int, split: str) -> tuple[str, str]:
    """Patterns of the file of a split, as published and of a copy."""
    return f"{hops}-hop/vanilla/qa_{split}.txt", f"{hops}-hop/{split}.txt"


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
