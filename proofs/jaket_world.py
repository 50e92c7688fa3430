"""A small world in which the answers are in the graph only: people, towns and houses.

A person lives in a town and works in a house, which two edges tell. Descriptions tell a town's region and a
house's trade, and of a person nothing: the profession, a person's category, is that of the house's trade. A
passage says where some people live and work, by name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kgcorpus.contracts.draws import Draw, hash64
from proofs.made_up_names import SYLLABLES

Row = dict[str, Any]
TRADES = (
    "hospital where nurses heal",
    "school where pupils learn",
    "bank where clerks count",
    "theatre where actors play",
    "shipyard where welders build",
    "court where judges decide",
)
_REGIONS = (
    "high in icy northern mountains",
    "down on sunny southern shores",
    "amid wide eastern plains",
    "under dark western forests",
)
_SEASONS = ("spring", "summer", "autumn", "winter")
_TEMPLATES = (
    "{person} lives in {town} and works at {house} .",
    "At {house} , {person} from {town} is employed .",
    "In {town} there lives {person} , paid by {house} .",
    "The town {town} is where {person} of {house} was seen .",
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much a world holds.

    Attributes:
        people, towns, houses: entities of each kind.
        words: of which names are made, two for each.
        passages: for training at most; those that mention an unseen entity are for the test.
        people_per_passage: of whom a passage tells, a sentence each.
    """

    people: int = 600
    towns: int = 200
    houses: int = 200
    words: int = 40
    passages: int = 4000
    people_per_passage: int = 1


@dataclass(frozen=True)
class Person:
    """Where one lives and works; QIDs."""

    qid: str
    town: str
    house: str


class World:
    """One world, drawn from a seed.

    Args:
        size: of the world.
        seed: of every draw.
    """

    def __init__(self, size: Size, *, seed: int) -> None:
        self._size, self._seed = size, seed
        towns = range(size.people, size.people + size.towns)
        houses = range(towns.stop, towns.stop + size.houses)
        self._towns, self._houses = [_qid(i) for i in towns], [_qid(i) for i in houses]
        self.people = [self._person(i) for i in range(size.people)]

    def entities(self) -> list[Row]:
        """Rows of `jaket_entities`; only people have a category."""
        rows = []
        for person in self.people:
            season = _SEASONS[self._below(len(_SEASONS), "season", person.qid)]
            about = f"is a person born in {season} ."
            rows.append(self._described(person.qid, about, category=self._profession(person)))
        for town in self._towns:
            region = _REGIONS[self._below(len(_REGIONS), "region", town)]
            rows.append(self._described(town, f"is a town {region} .", category=None))
        rows += [self._described(h, f"is a {self._trade(h)} .", category=None) for h in self._houses]
        return rows

    def edges(self) -> list[Row]:
        """Rows of `jaket_edges`, each once."""
        return [
            {"h": person.qid, "r": relation, "t": tail, "split": "train"}
            for person in self.people
            for relation, tail in (("P1", person.town), ("P2", person.house))
        ]

    def passages(self, unseen: set[str]) -> list[Row]:
        """Rows of `jaket_text`, each with its split: those that mention an unseen entity are for the test.

        A person who is unseen or has an unseen neighbour is described once, for the test only.
        """
        size, draw = self._size, Draw(self._seed, "passages")
        known = [p for p in self.people if not unseen & {p.qid, p.town, p.house}]
        told = {person.qid for person in known}
        asked = [person for person in self.people if person.qid not in told]
        training = [draw.sample(known, size.people_per_passage) for _ in range(size.passages)]
        test = [[person, *draw.sample(known, size.people_per_passage - 1)] for person in asked]
        return [
            self._passage(i, people, split=split)
            for split, groups in (("train", training), ("test", test))
            for i, people in enumerate(groups)
        ]

    @cached_property
    def names(self) -> dict[str, str]:
        """QID -> two made-up words, each of which occurs in the names of all kinds."""
        words = Draw(self._seed, "words").sample(SYLLABLES, self._size.words)
        names = [f"{a} {b}".title() for a in words for b in words]
        qids = [*(person.qid for person in self.people), *self._towns, *self._houses]
        return dict(zip(qids, Draw(self._seed, "names").sample(names, len(qids)), strict=True))

    def _person(self, i: int) -> Person:
        draw = Draw(self._seed, "person", i)
        return Person(_qid(i), draw.choice(self._towns), draw.choice(self._houses))

    def _trade(self, house: str) -> str:
        return TRADES[self._below(len(TRADES), "trade", house)]

    def _profession(self, person: Person) -> str:
        return f"Q9{TRADES.index(self._trade(person.house))}"

    def _described(self, qid: str, about: str, *, category: str | None) -> Row:
        name = self.names[qid]
        return {
            "qid": qid,
            "text": f"{name} {about}",
            "start": 0,
            "end": len(name),
            "category": category,
            "split": "train",
        }

    def _passage(self, i: int, people: Sequence[Person], *, split: str) -> Row:
        ident, text, mentions = f"jaket:en:{split}:{i}", "", list[Row]()
        for person in people:
            template = _TEMPLATES[self._below(len(_TEMPLATES), "template", ident, person.qid)]
            for part, qid in _parts(template, person):
                if qid is not None:
                    end = len(text) + len(self.names[qid])
                    mentions.append(
                        {"start": len(text), "end": end, "qid": qid, "source": "anchor", "confidence": 1.0}
                    )
                text += part if qid is None else self.names[qid]
            text += " "
        return {"id": ident, "lang": "en", "text": text.rstrip(), "mentions": mentions, "split": split}

    def _below(self, n: int, *key: str) -> int:
        return hash64(self._seed, *key) % n


def _parts(template: str, person: Person) -> Iterator[tuple[str, str | None]]:
    """The template's text and, in the place of each blank, the QID that fills it."""
    qids = {"person": person.qid, "town": person.town, "house": person.house}
    for i, part in enumerate(template.replace("}", "{").split("{")):
        yield (part, None) if i % 2 == 0 else ("", qids[part])


def _qid(i: int) -> str:
    return f"Q{1000 + i}"
