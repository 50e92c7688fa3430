from itertools import product

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.kg.partition import GraphPartition, count_triangles


def edges(seed: int):
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 15))
    u, v = random.integers(0, n, (2, int(random.integers(0, 90)))).astype(np.int32)
    return n, u, v


@given(st.builds(edges, st.integers(0, 2**32)), st.integers(1, 5))
def test_triangles_equal_networkx_for_any_parts(graph, parts):
    n, u, v = graph
    oracle = nx.Graph((a, b) for a, b in zip(u.tolist(), v.tolist(), strict=True) if a != b)
    assert count_triangles(u, v, entities=n, parts=parts) == sum(nx.triangles(oracle).values()) // 3


@given(st.builds(edges, st.integers(0, 2**32)), st.integers(1, 5))
def test_every_edge_lies_in_one_block_and_points_up(graph, parts):
    n, u, v = graph
    partition = GraphPartition.of(u, v, entities=n, parts=parts)
    members = np.split(partition.members, partition.starts[1:-1])
    found = []
    for (i, j), block in partition.blocks(u, v):
        sources = np.repeat(members[i], np.diff(block.offsets))
        targets = members[j][block.targets]
        assert (partition.part[partition.rank[sources]] == i).all()
        assert (partition.part[partition.rank[targets]] == j).all()
        assert (partition.rank[sources] < partition.rank[targets]).all()
        ends = [frozenset(end) for end in zip(sources.tolist(), targets.tolist(), strict=True)]
        named = zip(u[block.pairs].tolist(), v[block.pairs].tolist(), strict=True)
        assert ends == [frozenset(end) for end in named]
        found += ends
    proper = {frozenset((a, b)) for a, b in zip(u.tolist(), v.tolist(), strict=True) if a != b}
    assert len(found) == len(proper)
    assert set(found) == proper
    assert {ends for ends, _ in partition.blocks(u, v)} == set(product(range(parts), repeat=2))
