"""A small world of facts in which two relations on a path determine a third: r1(x, y), r2(y, z) => r3(x, z).

A rule's relations are shared with other rules, so that neither one relation of a cycle nor its entities
tell a left-out one: the other relations do, together.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kgcorpus.contracts.draws import Draw
from kgcorpus.kg.names import LabelIndex
from kgcorpus.kg.readers import TripleRow
from proofs.made_up_names import WORDS

RELATIONS = {
    "en": (
        *("teacher of", "neighbour of", "owner of", "rival of", "founder of", "member of"),
        *("guide to", "heir to", "named after", "built by", "painted by", "loyal to"),
    ),
    "de": (
        *("Lehrer von", "Nachbar von", "Besitzer von", "Rivale von", "Stifter von", "Mitglied von"),
        *("lotst", "beerbt", "benannt nach", "erbaut durch", "gemalt durch", "treu zu"),
    ),
}
LANGUAGES = tuple(RELATIONS)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much a world holds.

    Attributes:
        entities: of which each fact draws its own.
        bodies: pairs (r1, r2) that imply each of the 12 relations.
        triangles: closed paths x, y, z without further edges.
        diamonds: pairs of closed paths x, y, z and x, w, z that share the implied fact.
    """

    entities: int = 1000
    bodies: int = 2
    triangles: int = 1000
    diamonds: int = 500


@dataclass(frozen=True)
class Rule:
    """`body[0](x, y)` and `body[1](y, z)` imply `head(x, z)`; relations as places in `RELATIONS`."""

    body: tuple[int, int]
    head: int


class World:
    """One world, drawn from a seed.

    Args:
        size: of the world.
        seed: of every draw.
    """

    def __init__(self, size: Size, *, seed: int) -> None:
        self._size, self._seed = size, seed
        self.rules = self._rules()

    def triples(self) -> list[TripleRow]:
        """The facts, sorted, each once; the few that chance closes to other cycles belong to no rule."""
        closed = [*self._closed("triangle", self._size.triangles, 1)]
        closed += self._closed("diamond", self._size.diamonds, 2)
        return sorted({fact for path in closed for fact in path})

    def entities(self) -> LabelIndex:
        """Each entity's name, the same in every language."""
        names = Draw(self._seed, "entity-names").sample(WORDS, self._size.entities)
        return _names("qid", {_entity(i): dict.fromkeys(LANGUAGES, n.title()) for i, n in enumerate(names)})

    def relations(self) -> LabelIndex:
        """Each relation's name in each language."""
        n = len(RELATIONS["en"])
        return _names(
            "pid", {_relation(i): {lang: RELATIONS[lang][i] for lang in LANGUAGES} for i in range(n)}
        )

    def _rules(self) -> list[Rule]:
        """`bodies` rules for each head; no two have the same body, in either order, none a relation twice."""
        n = len(RELATIONS["en"])
        draw, rules = Draw(self._seed, "rules"), list[Rule]()
        taken = set[tuple[int, int]]()
        for head in range(n):
            free = [
                (a, b)
                for a in range(n)
                for b in range(n)
                if len({a, b, head}) == 3 and not {(a, b), (b, a)} & taken
            ]
            chosen = draw.sample(free, self._size.bodies)
            taken.update(chosen)
            rules += [Rule(body, head) for body in chosen]
        return rules

    def _closed(self, name: str, count: int, paths: int) -> Iterator[list[TripleRow]]:
        """Facts that the rules of one head close: (x, z) and, for each of `paths` bodies, a way there."""
        for i in range(count):
            draw = Draw(self._seed, name, i)
            x, z, *between = draw.sample(range(self._size.entities), 2 + paths)
            head = draw.below(len(RELATIONS["en"]))
            rules = draw.sample([rule for rule in self.rules if rule.head == head], paths)
            facts = [_fact(x, head, z)]
            for y, rule in zip(between, rules, strict=True):
                facts += [_fact(x, rule.body[0], y), _fact(y, rule.body[1], z)]
            yield facts


def _fact(head: int, relation: int, tail: int) -> TripleRow:
    return TripleRow(_entity(head), _relation(relation), _entity(tail))


def _entity(i: int) -> str:
    return f"Q{i + 1}"


def _relation(i: int) -> str:
    return f"P{i + 1}"


def _names(key: str, names: dict[str, dict[str, str]]) -> LabelIndex:
    rows = (
        {key: ident, "names": [{"lang": lang, "label": label, "aliases": []} for lang, label in own.items()]}
        for ident, own in names.items()
    )
    return LabelIndex.from_rows(rows, key)
