"""Candidate pairs for questions, each with a few cycles; memory is bounded for any number of cycles."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import LabelIndex
from kgcorpus.kg.readers import TripleRow
from kgcorpus.xlr.relations import RelationFacts

Cycle = Mapping[str, Any]
Pair = tuple[str, str]

_CYCLES = 8  # kept for each pair, in case the first one's context is asked about in another split
_REMEMBERED = 1 << 20


class Candidate(NamedTuple):
    """A cycle with one triple left out. Candidates sort by preference (`rank`)."""

    rank: tuple[bool, int, int]
    cycle_id: str
    left_out: TripleRow
    context: tuple[TripleRow, ...]


class _PairFacts(NamedTuple):
    pair: Pair
    relation: str | None
    rank: tuple[int, int]


def pair_of(triple: TripleRow) -> Pair:
    """Return the triple's entities, the smaller id first."""
    return min(triple.h, triple.t), max(triple.h, triple.t)


def shortlist(
    cycles: Iterable[Cycle],
    *,
    facts: RelationFacts,
    names: LabelIndex,
    relations: LabelIndex,
    languages: Sequence[str],
    per_relation: int,
    seed: int,
    tally: Tally,
) -> dict[str, list[list[Candidate]]]:
    """Select candidate pairs of each relation, the preferred first.

    Pairs with names in more languages come first; ties are broken by hash. Half of the pairs prefer cycles of
    length 3, because cycles of length 4 are far more numerous.

    Args:
        per_relation: maximum pairs of a relation; bounds the memory.
        tally: drops `several_relations` and `names_missing`, counted by triples of cycles, not by pairs.

    Returns:
        relation -> pairs -> candidates of the pair, both in order of preference.
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
    """Keeps the lowest-ranked pairs of each relation, and the lowest-ranked candidates of each pair."""

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
        # A pruned pair can never be selected: `size` pairs of lower rank are already known.
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


def _languages_of(names: LabelIndex, languages: Sequence[str]) -> Callable[[str], int]:
    """Return a function from an id to the set of languages with a label for it, as bits."""

    @lru_cache(_REMEMBERED)
    def named_in(ident: str) -> int:
        return sum(1 << bit for bit, lang in enumerate(languages) if names.label(ident, lang))

    return named_in
