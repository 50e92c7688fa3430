"""A small world of people: some whose facts a model knows already, and new ones, whose it is to learn.

A passage states a fact of one person, or of several. Every fact stands in the graph and in the text, and
nothing tells it but its own sentence: who lives where is drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kgcorpus.contracts.draws import Draw, hash64
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.trelm import facts_of
from proofs.made_up_names import WORDS

Row = dict[str, Any]
# Of each relation, the first is asked for, with the tail hidden.
TEMPLATES = {
    "P1": ("{head} lives in {tail} .", "in {tail} one meets {head} ."),
    "P2": ("{head} works for {tail} .", "{tail} has hired {head} ."),
    "P3": ("{head} was taught by {tail} .", "the pupils of {tail} are led by {head} ."),
    "P4": ("{head} sails on the {tail} .", "aboard the {tail} we saw {head} ."),
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much a world holds.

    Attributes:
        people: whose facts are known, and as many new ones.
        facts_per_person: each of another relation.
        tails: of each relation.
        rounds: in which everyone's facts are stated once; those of every second new person in one of four.
        people_per_passage: of whom a passage tells, a sentence each.
    """

    people: int = 120
    facts_per_person: int = 1
    tails: int = 20
    rounds: int = 8
    people_per_passage: int = 1


@dataclass(frozen=True)
class Fact:
    """`told`: rounds in which it is."""

    head: str
    relation: str
    tail: str
    told: int


class World:
    """One world, drawn from a seed.

    Args:
        size: of the world.
        seed: of every draw.

    Attributes:
        names: QID -> a made-up word.
        facts: `known` and `new`, of different people.
    """

    def __init__(self, size: Size, *, seed: int) -> None:
        self._size, self._seed = size, seed
        self._tails = {
            relation: [f"Q{1000 * (i + 1) + n}" for n in range(size.tails)]
            for i, relation in enumerate(TEMPLATES)
        }
        people = [f"Q{10_000 + n}" for n in range(2 * size.people)]
        self.names = self._name([*people, *(qid for tails in self._tails.values() for qid in tails)])
        drawn = [
            fact
            for n, qid in enumerate(people)
            for fact in self._facts(qid, rare=n >= size.people and n % 2 == 1)
        ]
        half = len(drawn) // 2
        self.facts = {"known": drawn[:half], "new": drawn[half:]}

    def graph(self) -> dict[str, list[Row]]:
        """Rows of `entities`, `relations` and `triples`."""
        facts = [*self.facts["known"], *self.facts["new"]]
        return {
            "entities": [
                {"qid": qid, "names": [_english(name)], "description": None, "types": []}
                for qid, name in self.names.items()
            ],
            "relations": [
                {"pid": relation, "names": [_english(_phrase(relation))]} for relation in TEMPLATES
            ],
            "triples": [{"h": fact.head, "r": fact.relation, "t": fact.tail} for fact in facts],
        }

    def passages(self, whose: str) -> list[Row]:
        """Rows of `trelm`; `whose`: known or new."""
        facts, size = self.facts[whose], self._size
        groups = []
        for number in range(size.rounds):
            told = [fact for fact in facts if fact.told == size.rounds or number % 4 == 0]
            told.sort(key=lambda fact: hash64(self._seed, "told", number, fact.head, fact.relation))
            groups += [
                told[i : i + size.people_per_passage] for i in range(0, len(told), size.people_per_passage)
            ]
        of_head: dict[str, list[tuple[str, str, str]]] = {}
        for fact in facts:
            of_head.setdefault(fact.head, []).append((fact.head, fact.relation, fact.tail))
        return [self._passage(f"{whose}{i}", group, of_head) for i, group in enumerate(groups)]

    def _facts(self, qid: str, *, rare: bool) -> Iterator[Fact]:
        draw = Draw(self._seed, "facts", qid)
        for relation in draw.sample(list(TEMPLATES), self._size.facts_per_person):
            rounds = self._size.rounds
            yield Fact(qid, relation, draw.choice(self._tails[relation]), rounds // 4 if rare else rounds)

    def _name(self, qids: Sequence[str]) -> dict[str, str]:
        return dict(zip(qids, Draw(self._seed, "names").sample(WORDS, len(qids)), strict=True))

    def _passage(
        self, ident: str, group: Sequence[Fact], of_head: dict[str, list[tuple[str, str, str]]]
    ) -> Row:
        text, sentences, mentions = "", list[Row](), list[Row]()
        for fact in group:
            start = len(text)
            wording = hash64(self._seed, "wording", ident, fact.head) % 2
            for part, end in _parts(TEMPLATES[fact.relation][wording]):
                text += part
                if end is not None:
                    mentions.append(self._mention(ident, len(text), fact, end, of_head.get(fact.head, [])))
                    text += self.names[mentions[-1]["qid"]]
            sentences.append({"start": start, "end": len(text)})
            text += " "
        return {
            "id": ident,
            "lang": "en",
            "text": text.rstrip(),
            "sentences": sentences,
            "mentions": mentions,
        }

    def _mention(
        self, ident: str, start: int, fact: Fact, end: str, triples: Sequence[tuple[str, str, str]]
    ) -> Row:
        """People are long-tail, the other ends of their facts are not; importance is random."""
        qid, person = (fact.head, True) if end == "head" else (fact.tail, False)
        cos = 0.5 + (hash64(self._seed, "importance", ident, qid) % 1000) / 2001
        label_of = self.names.get
        facts = facts_of(qid, triples, label_of=label_of, seed=self._seed, limit=16, tally=Tally())
        return {
            "start": start,
            "end": start + len(self.names[qid]),
            "qid": qid,
            "cos": cos,
            "si": 1 / cos,
            "long_tail": person,
            "frequency": fact.told,
            "triples": facts if person else [],
        }


def question(fact: Fact, names: dict[str, str], *, blank: str) -> str:
    """The fact's sentence with a blank in the tail's place."""
    return TEMPLATES[fact.relation][0].format(head=names[fact.head], tail=blank)


def _parts(template: str) -> Iterator[tuple[str, str | None]]:
    """The template's text, and which end of the fact follows it."""
    pieces = template.replace("}", "{").split("{")
    for i in range(0, len(pieces), 2):
        yield pieces[i], pieces[i + 1] if i + 1 < len(pieces) else None


def _phrase(relation: str) -> str:
    return TEMPLATES[relation][0].replace("{head}", "").replace("{tail}", "").strip(" .")


def _english(name: str) -> Row:
    return {"lang": "en", "label": name, "aliases": []}
