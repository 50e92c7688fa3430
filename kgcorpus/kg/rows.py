"""Cycles as Arrow columns of the table `cycles`."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import UInt64s
from kgcorpus.contracts.draws import mix64_array
from kgcorpus.contracts.tables import table
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.strings import hex_digits, prefixed


def cycle_rows(
    graph: Graph,
    entities: NDArray[np.int32],
    pairs: NDArray[np.int64],
    triples: NDArray[np.int64],
    *,
    id_hashes: tuple[UInt64s, UInt64s],
) -> pa.RecordBatch:
    """Rows of the table `cycles`.

    Args:
        entities: [V, 3 or 4].
        pairs, triples: [V, 3 or 5], a triple of each pair.
        id_hashes: [N] and [R] of the entities and relations; a cycle's id is a hash of its triples'.
    """
    forward, relation = graph.triple_forward[triples], graph.triple_relation[triples]
    u, v = graph.pair_u[pairs], graph.pair_v[pairs]
    h, t = np.where(forward, u, v), np.where(forward, v, u)
    length = entities.shape[1]
    facts = mix64_array(mix64_array(mix64_array(id_hashes[0][t]) ^ id_hashes[1][relation]) ^ id_hashes[0][h])
    # A sum, for a cycle is a set of triples.
    ids = mix64_array(facts.sum(axis=1, dtype=np.uint64) + np.uint64(length))
    names = graph.entity_ids.take, graph.relation_ids.take
    parts = [
        take(pa.array(part.ravel())).cast(pa.string())
        for take, part in zip((names[0], names[1], names[0]), (h, relation, t), strict=True)
    ]
    corners = names[0](pa.array(entities.ravel())).cast(pa.string())
    columns = {
        "cycle_id": prefixed("", hex_digits(ids)),
        "length": pa.array(np.full(len(ids), length, np.int8)),
        "entities": _lists(corners, length),
        "triples": _lists(pa.StructArray.from_arrays(parts, ["h", "r", "t"]), triples.shape[1]),
    }
    return pa.RecordBatch.from_pydict(columns, schema=table("cycles").schema)


def _lists(values: Any, size: int) -> pa.ListArray:
    return pa.ListArray.from_arrays(np.arange(0, len(values) + 1, size, dtype=np.int32), values)
