"""Rules r1 and r2 => r3 over three variables, measured as AMIE does (Galarraga et al. 2013, section 3).

A rule's body joins x to z and z to y, either atom in either direction; its head is r3(x, y). Variables may
are the same entity, and a measure counts distinct pairs (x, y), whatever z they are joined by.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.arrays import Int64s
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.bodies import Scratch, body_sizes
from kgcorpus.kg.closings import closed_pairs
from kgcorpus.kg.facts import Facts, most_frequent_on_each_pair
from kgcorpus.kg.sums import Sizes

MOST_ON_A_PAIR = 32
# A rule's number, below 4 R^3 of R relations, fits 63 bits.
_MOST_RELATIONS = 1_321_122
_BATCH = 10_000


def mine_rules(triples: pa.Table, *, min_support: int, tally: Tally) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of rows of the table `rules`, ordered by body and head.

    Args:
        triples: columns h, r and t; repeated triples count once.
        min_support: only rules with this much support are measured.
        tally: counts rules, kept and left out, and drops `triples_over_limit_of_a_pair`: a triangle of pairs
            with k triples each has 3 k^3 candidates, so of each pair `MOST_ON_A_PAIR` triples take part,
            those of the most frequent relations.

    Raises:
        InputError: too many relations to number the rules.
    """
    entities = pc.unique(pa.chunked_array([*triples["h"].chunks, *triples["t"].chunks], pa.string()))
    relations = pc.unique(triples["r"]).sort()
    h, t = (pc.index_in(triples[end], value_set=entities).to_numpy().astype(np.int32) for end in "ht")
    r = pc.index_in(triples["r"], value_set=relations).to_numpy().astype(np.int32)
    if len(relations) > _MOST_RELATIONS:
        raise InputError(
            f"{len(relations):,} relations are too many for rules: at most {_MOST_RELATIONS:,}",
            where="triples",
            hint="Name the targets to build, without rules",
        )
    facts = Facts.of(h, r, t, entities=len(entities), relations=len(relations))
    if facts.most_on_a_pair() > MOST_ON_A_PAIR:
        kept = most_frequent_on_each_pair(h, r, t, limit=MOST_ON_A_PAIR, relations=len(relations))
        tally.drop("triples_over_limit_of_a_pair", len(h) - len(kept))
        facts = Facts.of(h[kept], r[kept], t[kept], entities=len(entities), relations=len(relations))
    pids, sizes = relations.to_pylist(), facts.sizes.tolist()
    keys, supports = _supported(facts, min_support, tally)
    pairs, pairs_with_head = _measured(facts, keys)
    rows: list[dict[str, Any]] = []
    counts = (numbers.tolist() for numbers in (keys, supports, pairs, pairs_with_head))
    for key, support, of_body, known in zip(*counts, strict=True):
        body, head = divmod(key, len(sizes))
        first, second = divmod(body, 2 * len(sizes))
        atoms = [_atom(pids, first, "xz"), _atom(pids, second, "yz")]
        rows.append(
            {
                "rule": " ".join(map(_shown, atoms)) + f" => {pids[head]}(x,y)",
                "body": atoms,
                "head": pids[head],
                "support": support,
                "head_coverage": support / sizes[head],
                "standard_confidence": support / of_body,
                "pca_confidence": support / known,
            }
        )
        if len(rows) == _BATCH:
            yield rows
            rows = []
    yield rows


def _supported(facts: Facts, min_support: int, tally: Tally) -> tuple[Int64s, Int64s]:
    """Keys of the rules with enough support, ascending, and their supports.

    A key is (first * 2R + second) * R + head of R relations. `first` is the atom of x and z, 2 * relation for
    r(x, z) and one more for r(z, x); `second` that of y and z, seen from y likewise.
    """
    found = Sizes()
    for keys in closed_pairs(facts):
        found.add(keys)
    every = found.to_arrays()
    kept = every["sizes"] >= min_support
    tally.count("rules", int(kept.sum()))
    tally.drop("low_support", len(kept) - int(kept.sum()))
    return every["values"][kept].astype(np.int64), every["sizes"][kept]


def _measured(facts: Facts, keys: Int64s) -> tuple[Int64s, Int64s]:
    """[n] for each rule, the pairs (x, y) that its body joins, and those that PCA confidence counts.

    PCA confidence assumes that all facts of an entity are known if one is. The entity is the one of the more
    functional variable of the head: x, if the head's functionality is at least its inverse functionality;
    else y, as AMIE rewrites such heads to their inverse.
    """
    bodies, heads = np.divmod(keys, len(facts.sizes))
    firsts, seconds = np.divmod(bodies, 2 * len(facts.sizes))
    pairs, known = np.empty_like(keys), np.empty_like(keys)
    of_tails = facts.more_functional_in_tails()[heads]
    (by_x,), (by_y,) = np.nonzero(~of_tails), np.nonzero(of_tails)
    pairs[by_x], known[by_x] = _counted(facts, firsts[by_x], seconds[by_x], heads[by_x])
    # Read from y, the second atom comes first, and heads' relations are those that y is the tail of.
    from_y = facts.seen_from_tails()
    pairs[by_y], known[by_y] = _counted(from_y, seconds[by_y], firsts[by_y], heads[by_y])
    return pairs, known


def _counted(facts: Facts, firsts: Int64s, seconds: Int64s, heads: Int64s) -> tuple[Int64s, Int64s]:
    """[n] pairs that the bodies join, and those whose first entity is a head of a fact of `heads`."""
    pairs, pairs_with_head = np.empty_like(heads), np.empty_like(heads)
    scratch = Scratch.of(facts)
    order = np.lexsort((heads, firsts, seconds))
    for rules in np.split(order, np.flatnonzero(np.diff(seconds[order])) + 1) if len(heads) else []:
        own, starts, sizes = np.unique(firsts[rules], return_index=True, return_counts=True)
        found, pairs_with_head[rules] = body_sizes(
            facts, scratch, int(seconds[rules[0]]), own, np.append(starts, len(rules)), heads[rules]
        )
        pairs[rules] = np.repeat(found, sizes)
    return pairs, pairs_with_head


def _atom(pids: list[str], atom: int, ends: str) -> dict[str, str]:
    relation, backward = divmod(atom, 2)
    h, t = (1, 0) if backward else (0, 1)
    return {"h": ends[h], "r": pids[relation], "t": ends[t]}


def _shown(atom: dict[str, str]) -> str:
    return f"{atom['r']}({atom['h']},{atom['t']})"
