"""Cycles of length 3, and of length 4 with a diagonal: exact counts, and a capped sample with its triples.

KMLM, section 3.1: the search is undirected. A diamond is two triangles that share an edge; a complete graph
of four entities holds 6 diamonds, 3 chorded cycles and 1 set of entities.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from kgcorpus.contracts.arrays import Int64s
from kgcorpus.contracts.draws import mix64_array
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.arrays import Arrays
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.mining import Miner, Settings, Unit, cycle_units, passes, prepare
from kgcorpus.kg.rows import cycle_rows

_BATCH = 10_000  # rows


def mine_batches(
    graph: Graph, arrays: Arrays, settings: Settings, *, tally: Tally
) -> Iterator[pa.RecordBatch]:
    """Yield rows of the table `cycles`: a sample that depends only on the graph, the seed and the caps.

    Every cap keeps what has the smallest hash. The order of the rows means nothing.

    Args:
        arrays: what the passes leave for each other.
        tally: receives the counts before any cap: `length3`, triangles; `length3_labelled`, triangles with
            every choice of one triple a pair; `length4_diamonds`, two triangles that share an edge;
            `length4_cycles`, cycles of four with at least one diagonal; `length4_sets`, sets of four entities
            that hold a diamond. Beside them `wedges` that were looked at, `kept3` and `kept4`,
            `combinations` and the size of the `largest_combination` before its cap, and `relation.<id>`: kept
            cycles with that relation. Drops are named by the setting: of diamonds for `wings_per_edge`,
            `dedup` and `pairs_per_edge`, of versions for `per_pair` and `per_combination`.
    """
    arrays.put("graph", graph.to_arrays())
    prepare(arrays, settings)
    miner = Miner(arrays, settings)
    for name, units in passes(settings.parts):
        for unit in units:
            miner.run(name, unit)
    for unit in cycle_units(settings.parts):
        yield from emit(miner, unit, settings, tally=tally)


def emit(miner: Miner, unit: Unit, settings: Settings, *, tally: Tally) -> Iterator[pa.RecordBatch]:
    """The rows of one unit, after all passes; the first unit also counts the combinations."""
    combinations, sizes = miner.combinations()
    if unit == (0, 0, 0):
        tally.count("combinations", len(combinations))
        tally.count("largest_combination", int(sizes.max(initial=0)))
    miner.count(unit, tally)
    hashes = miner.id_hashes()
    for versions in miner.versions(unit, tally):
        share = settings.per_combination / sizes[np.searchsorted(combinations, versions.combination)]
        # Mixed again: the key is small already where it had to win among a cycle's versions.
        kept = np.flatnonzero(mix64_array(versions.keys) / 2.0**64 < share)
        tally.drop("per_combination", len(versions.keys) - len(kept))
        tally.count(f"kept{versions.entities.shape[1]}", len(kept))
        _count_relations(miner.graph, versions.triples[kept], tally)
        for start in range(0, len(kept), _BATCH):
            at = kept[start : start + _BATCH]
            yield cycle_rows(
                miner.graph,
                versions.entities[at],
                versions.pairs[at],
                versions.triples[at],
                id_hashes=hashes,
            )


def _count_relations(graph: Graph, triples: Int64s, tally: Tally) -> None:
    relations = np.sort(graph.triple_relation[triples], axis=1)
    first = np.ones_like(relations, np.bool_)
    first[:, 1:] = relations[:, 1:] != relations[:, :-1]
    counts = np.bincount(relations[first], minlength=len(graph.relations))
    for relation in np.flatnonzero(counts):
        tally.count(f"relation.{graph.relations[relation]}", int(counts[relation]))
