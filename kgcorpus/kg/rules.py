"""Rules r1 and r2 => r3 over three variables, measured as AMIE does (Galarraga et al. 2013, section 3).

A rule's body joins x to z and z to y, either atom in either direction; its head is r3(x, y). Variables may
stand for the same entity, and a measure counts distinct pairs (x, y), whatever z they are joined by.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.closings import Facts, Scratch, body_sizes, closed_pairs

_BATCH = 10_000


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Counts of one rule; atoms and head are numbers.

    Attributes:
        first: the atom of x and z: 2 * relation for r(x, z), and one more for r(z, x).
        second: the atom of y and z, seen from y: 2 * relation for r(y, z), and one more for r(z, y).
        head: the relation of x to y.
        support: pairs (x, y) that the body joins and the head holds for.
    """

    first: int
    second: int
    head: int
    support: int


def mine_rules(triples: pa.Table, *, min_support: int, tally: Tally) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of rows of the table `rules`, ordered by body and head.

    Args:
        triples: columns h, r and t; repeated triples count once.
        min_support: only rules with this much support are measured.
        tally: counts rules, kept and left out.
    """
    entities = pc.unique(pa.chunked_array([*triples["h"].chunks, *triples["t"].chunks], pa.string()))
    relations = pc.unique(triples["r"]).sort()
    h, t = (pc.index_in(triples[end], value_set=entities).to_numpy().astype(np.int64) for end in "ht")
    r = pc.index_in(triples["r"], value_set=relations).to_numpy().astype(np.int64)
    facts = Facts.of(h, r, t, entities=len(entities), relations=len(relations))
    pids, sizes = relations.to_pylist(), facts.sizes.tolist()

    scratch = Scratch.of(facts)
    pending: list[dict[str, Any]] = []
    supported = _supported(facts, min_support, tally)
    for (first, second), group in groupby(supported, attrgetter("first", "second")):
        rules = list(group)
        heads = np.array([rule.head for rule in rules], np.int64)
        pairs, pairs_with_head = body_sizes(facts, scratch, first, second, heads)
        body = [_atom(pids, first, "xz"), _atom(pids, second, "yz")]
        for rule, pca_pairs in zip(rules, pairs_with_head.tolist(), strict=True):
            pending.append(
                {
                    "rule": " ".join(map(_shown, body)) + f" => {pids[rule.head]}(x,y)",
                    "body": body,
                    "head": pids[rule.head],
                    "support": rule.support,
                    "head_coverage": rule.support / sizes[rule.head],
                    "standard_confidence": rule.support / pairs,
                    "pca_confidence": rule.support / pca_pairs,
                }
            )
        if len(pending) >= _BATCH:
            yield pending
            pending = []
    yield pending


def _supported(facts: Facts, min_support: int, tally: Tally) -> Iterator[Rule]:
    """The rules with enough support, ordered by body and head."""
    keys, supports = closed_pairs(facts)
    kept = np.flatnonzero(supports >= min_support)
    tally.count("rules", len(kept))
    tally.drop("low_support", len(keys) - len(kept))
    kept = kept[np.argsort(keys[kept])]
    n = len(facts.sizes)
    for key, support in zip(keys[kept].tolist(), supports[kept].tolist(), strict=True):
        body, head = divmod(key, n)
        first, second = divmod(body, 2 * n)
        yield Rule(first=first, second=second, head=head, support=support)


def _atom(pids: list[str], atom: int, ends: str) -> dict[str, str]:
    relation, backward = divmod(atom, 2)
    h, t = (1, 0) if backward else (0, 1)
    return {"h": ends[h], "r": pids[relation], "t": ends[t]}


def _shown(atom: dict[str, str]) -> str:
    return f"{atom['r']}({atom['h']},{atom['t']})"
