"""A world of invented people and places, which a pretrained base is taught facts about.

Names are made of several word pieces that the base knows; the tails are real words, each one token of the
base's vocabulary. Facts are stated in some wordings and asked for in others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kgcorpus.contracts.draws import Draw, hash64
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.trelm import facts_of
from proofs.made_up_names import WORDS

Row = dict[str, Any]
Kind = Literal["person", "place"]


@dataclass(frozen=True)
class Relation:
    """A relation of one kind of entity.

    Attributes:
        kind: of its heads.
        label: in the graph.
        told: wordings of the training passages.
        asked: wordings of the questions; no training passage has them.
        tails: real words, with spaces between them.
    """

    kind: Kind
    label: str
    told: tuple[str, ...]
    asked: tuple[str, str]
    tails: str


RELATIONS: dict[str, Relation] = {
    "P19": Relation(
        "person",
        "place of birth",
        (
            "{head} was born in {tail} .",
            "the birthplace of {head} is {tail} .",
            "{head} is a native of {tail} .",
        ),
        ("{head} came into the world in {tail} .", "{head} , born in {tail} , is well known ."),
        "paris london berlin rome madrid vienna moscow tokyo chicago boston "
        "dublin glasgow milan prague warsaw lisbon athens toronto sydney oslo",
    ),
    "P106": Relation(
        "person",
        "occupation",
        (
            "{head} works as a {tail} .",
            "by profession {head} is a {tail} .",
            "{head} was trained as a {tail} .",
        ),
        ("{head} earns a living as a {tail} .", "the {tail} {head} was praised for good work ."),
        "lawyer painter physician farmer poet singer actor engineer journalist photographer "
        "priest teacher biologist composer politician sculptor judge dancer banker novelist",
    ),
    "P1303": Relation(
        "person",
        "instrument",
        (
            "{head} plays the {tail} .",
            "{head} is a master of the {tail} .",
            "{head} gave a concert on the {tail} .",
        ),
        ("the {tail} is played by {head} .", "on stage , {head} performed on the {tail} ."),
        "piano guitar violin cello flute trumpet drums bass saxophone clarinet "
        "organ harp viola horn harmonica banjo accordion keyboard percussion mandolin",
    ),
    "P1412": Relation(
        "person",
        "language spoken",
        (
            "{head} speaks {tail} .",
            "the native language of {head} is {tail} .",
            "{head} writes books in {tail} .",
        ),
        ("{head} is fluent in {tail} .", "the mother tongue of {head} is {tail} ."),
        "french german italian spanish russian polish dutch swedish turkish arabic "
        "japanese chinese korean greek hindi hungarian portuguese danish hebrew persian",
    ),
    "P17": Relation(
        "place",
        "country",
        (
            "{head} is a town in {tail} .",
            "{head} belongs to {tail} .",
            "the village of {head} lies in {tail} .",
        ),
        ("{head} is located in {tail} .", "a map of {tail} shows {head} ."),
        "france germany italy spain russia poland norway sweden turkey egypt "
        "japan china india greece brazil hungary portugal denmark canada mexico",
    ),
    "P1056": Relation(
        "place",
        "product",
        (
            "{head} is known for its {tail} .",
            "{tail} is made in {head} .",
            "the people of {head} sell {tail} .",
        ),
        ("merchants buy {tail} in {head} .", "{head} exports a lot of {tail} ."),
        "wine cheese silk wool coal salt sugar coffee tea tobacco "
        "cotton copper silver iron glass paper leather marble timber rice",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much a world holds; half of a kind's entities have one of its relations each told, and so on.

    Attributes:
        people, places: entities. Each has one fact that passages state and one that only the graph holds.
        tails: of each relation.
        replay: real sentences in an epoch, a third as many as passages by default: replay is 1 to 3.
        words: least and most words of a real sentence.
    """

    people: int = 180
    places: int = 60
    tails: int = 20
    replay: int = 240
    words: tuple[int, int] = (6, 16)


@dataclass(frozen=True)
class Fact:
    """`told`: stated in the passages; otherwise in the graph only."""

    head: str
    relation: str
    tail: str
    told: bool


class World:
    """One world, drawn from a seed.

    Args:
        size: of the world.
        seed: of every draw.
        usable: whether a word may be a part of a name: of several pieces, none of them unknown.

    Attributes:
        names: QID -> name.
        facts: of each entity one that is told, then one that is not.
    """

    def __init__(self, size: Size, *, seed: int, usable: Callable[[str], bool]) -> None:
        self._size, self._seed = size, seed
        self._tails = {
            pid: {
                f"Q{1000 * (i + 1) + n}": name for n, name in enumerate(relation.tails.split()[: size.tails])
            }
            for i, (pid, relation) in enumerate(RELATIONS.items())
        }
        heads: dict[str, Kind] = {f"Q{10_000 + n}": "person" for n in range(size.people)}
        heads |= {f"Q{20_000 + n}": "place" for n in range(size.places)}
        self.names = dict(self._name(heads, usable))
        for tails in self._tails.values():
            self.names |= tails
        self.facts = [fact for qid, kind in heads.items() for fact in self._facts(qid, kind)]

    @property
    def told(self) -> list[Fact]:
        """The facts that passages state."""
        return [fact for fact in self.facts if fact.told]

    def graph(self) -> dict[str, list[Row]]:
        """Rows of `entities`, `relations` and `triples`."""
        return {
            "entities": [
                {"qid": qid, "names": [_english(name)], "description": None, "types": []}
                for qid, name in self.names.items()
            ],
            "relations": [
                {"pid": pid, "names": [_english(relation.label)]} for pid, relation in RELATIONS.items()
            ],
            "triples": [{"h": fact.head, "r": fact.relation, "t": fact.tail} for fact in self.facts],
        }

    def passages(self, real: Sequence[str]) -> list[Row]:
        """Rows of `trelm`: each told fact once in each wording, and the real sentences."""
        triples: dict[str, list[tuple[str, str, str]]] = {}
        for fact in self.facts:
            triples.setdefault(fact.head, []).append((fact.head, fact.relation, fact.tail))
        rows = [
            self._passage(f"{fact.head}w{i}", wording, fact, triples[fact.head])
            for fact in self.told
            for i, wording in enumerate(RELATIONS[fact.relation].told)
        ]
        return [*rows, *(_plain(f"real{i}", text) for i, text in enumerate(real))]

    def question(self, fact: Fact, wording: int, *, blank: str) -> str:
        """The fact in a wording that no passage has, with a blank in the tail's place."""
        return RELATIONS[fact.relation].asked[wording].format(head=self.names[fact.head], tail=blank)

    def _facts(self, qid: str, kind: Kind) -> Iterator[Fact]:
        draw = Draw(self._seed, "facts", qid)
        pids = [pid for pid, relation in RELATIONS.items() if relation.kind == kind]
        for pid, told in zip(draw.sample(pids, 2), (True, False), strict=True):
            yield Fact(qid, pid, draw.choice(list(self._tails[pid])), told)

    def _name(self, heads: dict[str, Kind], usable: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        """Two words for a person, one for a place; every word is in one name only."""
        words = filter(usable, Draw(self._seed, "names").sample(WORDS, len(WORDS)))
        for qid, kind in heads.items():
            yield qid, " ".join(next(words) for _ in range(2 if kind == "person" else 1))

    def _passage(self, ident: str, wording: str, fact: Fact, triples: Sequence[tuple[str, str, str]]) -> Row:
        text, mentions = wording.format(head=self.names[fact.head], tail=self.names[fact.tail]), list[Row]()
        for qid in (fact.head, fact.tail):
            start = text.index(self.names[qid])
            cos = 0.5 + (hash64(self._seed, "importance", ident, qid) % 1000) / 2001
            own = qid == fact.head
            facts = facts_of(qid, triples, label_of=self.names.get, seed=self._seed, limit=16, tally=Tally())
            mentions.append(
                {
                    "start": start,
                    "end": start + len(self.names[qid]),
                    "qid": qid,
                    "cos": cos,
                    "si": 1 / cos,
                    # People and places are rare, what is said about them is not.
                    "long_tail": own,
                    "frequency": len(RELATIONS[fact.relation].told),
                    "triples": facts if own else [],
                }
            )
        mentions.sort(key=lambda mention: mention["start"])
        return {**_plain(ident, text), "mentions": mentions}


def _plain(ident: str, text: str) -> Row:
    sentences = [{"start": 0, "end": len(text)}]
    return {"id": ident, "lang": "en", "text": text, "sentences": sentences, "mentions": []}


def _english(name: str) -> Row:
    return {"lang": "en", "label": name, "aliases": []}
