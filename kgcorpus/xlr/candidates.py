"""The pairs that may be asked about, each with a few of its cycles: a bounded sample of all cycles."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import Names
from kgcorpus.kg.readers import TripleRow
from kgcorpus.xlr.relations import RelationFacts

Cycle = Mapping[str, Any]
Pair = tuple[str, str]

_CYCLES = 8  # a pair may fall back on, where the context of the first is asked about in another split
_REMEMBERED = 1 << 20


class Candidate(NamedTuple):
    """A cycle without one of its triples; ordered by preference."""

    rank: tuple[bool, int, int]
    cycle_id: str
    left_out: TripleRow
    context: tuple[TripleRow, ...]


class _PairFacts(NamedTuple):
    pair: Pair
    relation: str | None
    rank: tuple[int, int]


def pair_of(triple: TripleRow) -> Pair:
    """The triple's entities, the smaller first."""
    return min(triple.h, triple.t), max(triple.h, triple.t)


def shortlist(
    cycles: Iterable[Cycle],
    *,
    facts: RelationFacts,
    names: Names,
    relations: Names,
    languages: Sequence[str],
    per_relation: int,
    seed: int,
    tally: Tally,
) -> dict[str, list[list[Candidate]]]:
    """From each relation to its pairs, from each pair to its candidates, the preferred first.

    Pairs named in most languages come first, then the order is by hash. Half of the pairs prefer cycles of
    length 3, for by number those of length 4 would be nearly all.

    Args:
        per_relation: pairs kept of a relation; the memory is bounded by it and not by the cycles.
        tally: drops `several_relations` and `names_missing` count triples of cycles, not pairs.
    """
    kept = _Shortlist(per_relation)
    of_entity, of_relation = _languages_of(names, languages), _languages_of(relations, languages)

    @lru_cache(_REMEMBERED)
    def look_up(triple: TripleRow) -> _PairFacts:
        pair = pair_of(triple)
        named = of_entity(triple.h) & of_entity(triple.t) & of_relation(triple.r)
        rank = (-named.bit_count(), hash64(seed, "xlr-pair", *pair))
        return _PairFacts(pair, facts.only_relation(*pair), rank)

    for cycle in cycles:
        triples = [TripleRow(triple["h"], triple["r"], triple["t"]) for triple in cycle["triples"]]
        named = (1 << len(languages)) - 1
        for entity in cycle["entities"]:
            named &= of_entity(entity)
        for triple in triples:
            named &= of_relation(triple.r)
        if not named:
            tally.drop("names_missing", len(triples))
            continue
        for place, left_out in enumerate(triples):
            found = look_up(left_out)
            if found.relation is None:
                tally.drop("several_relations")
            elif kept.admits(found):
                length = 3 + found.rank[1] % 2
                order = hash64(seed, "xlr-cycle", cycle["cycle_id"], *left_out)
                rank = (cycle["length"] != length, -named.bit_count(), order)
                context = (*triples[:place], *triples[place + 1 :])
                kept.add(found, Candidate(rank, cycle["cycle_id"], left_out, context))
    return kept.sorted()


class _Shortlist:
    """The pairs of the smallest rank of each relation, and for each the candidates of the smallest rank."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._found: dict[str, dict[_PairFacts, list[Candidate]]] = {}
        self._last: dict[str, tuple[int, int]] = {}

    def admits(self, found: _PairFacts) -> bool:
        return found.relation not in self._last or found.rank <= self._last[found.relation]

    def add(self, found: _PairFacts, candidate: Candidate) -> None:
        relation = str(found.relation)
        pairs = self._found.setdefault(relation, {})
        kept = pairs.setdefault(found, [])
        kept.append(candidate)
        if len(kept) >= 2 * _CYCLES:
            kept.sort()
            del kept[_CYCLES:]
        if len(pairs) >= 2 * self._size:
            self._prune(relation)

    def _prune(self, relation: str) -> None:
        # What is pruned here could not come back: those before it are there to stay, or give way to better.
        ordered = sorted(self._found[relation].items(), key=lambda item: item[0].rank)[: self._size]
        self._found[relation] = dict(ordered)
        self._last[relation] = ordered[-1][0].rank

    def sorted(self) -> dict[str, list[list[Candidate]]]:
        for relation in self._found:
            self._prune(relation)
        return {
            relation: [sorted(kept)[:_CYCLES] for kept in pairs.values()]
            for relation, pairs in sorted(self._found.items())
        }


def _languages_of(names: Names, languages: Sequence[str]) -> Callable[[str], int]:
    """From an id to the set of languages that name it, as bits."""

    @lru_cache(_REMEMBERED)
    def named_in(ident: str) -> int:
        return sum(1 << bit for bit, lang in enumerate(languages) if names.label(ident, lang))

    return named_in
