from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.kg.colours import Colouring, count_triangles


def edges(seed: int):
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 15))
    u, v = random.integers(0, n, (2, int(random.integers(0, 90)))).astype(np.int32)
    return n, u, v


@given(st.builds(edges, st.integers(0, 2**32)), st.integers(1, 5))
@settings(deadline=None)
def test_triangles_equal_networkx_for_any_colours(graph, colours):
    n, u, v = graph
    oracle = nx.Graph((a, b) for a, b in zip(u.tolist(), v.tolist(), strict=True) if a != b)
    assert count_triangles(u, v, entities=n, colours=colours) == sum(nx.triangles(oracle).values()) // 3


@given(st.builds(edges, st.integers(0, 2**32)), st.integers(1, 5))
@settings(deadline=None)
def test_every_edge_lies_in_one_block_and_points_up(graph, colours):
    n, u, v = graph
    colouring = Colouring.of(u, v, entities=n, colours=colours)
    members = np.split(colouring.members, colouring.starts[1:-1])
    found = []
    for (i, j), block in colouring.blocks(u, v).items():
        sources = np.repeat(members[i], np.diff(block.offsets))
        targets = members[j][block.targets]
        assert (colouring.colour[sources] == i).all()
        assert (colouring.colour[targets] == j).all()
        assert (colouring.rank[sources] < colouring.rank[targets]).all()
        ends = [frozenset(end) for end in zip(sources.tolist(), targets.tolist(), strict=True)]
        named = zip(u[block.pairs].tolist(), v[block.pairs].tolist(), strict=True)
        assert ends == [frozenset(end) for end in named]
        found += ends
    proper = {frozenset((a, b)) for a, b in zip(u.tolist(), v.tolist(), strict=True) if a != b}
    assert len(found) == len(proper)
    assert set(found) == proper
    assert set(colouring.blocks(u, v)) == set(product(range(colours), repeat=2))


@pytest.mark.slow
def test_a_hub_of_800_000_neighbours_stays_in_bounded_memory():
    """Two hubs that share all their neighbours: 800,000 triangles on one edge, 3.2e11 diamonds."""
    import subprocess
    import sys

    program = """
import resource, numpy as np, pyarrow as pa
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.arrays import Memory
from kgcorpus.kg.cycles import mine_batches
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.mining import Settings
n = 800_000
leaves = np.arange(2, n + 2, dtype=np.int32)
h = np.concatenate([[0], np.zeros(n), np.ones(n)]).astype(np.int32)
t = np.concatenate([[1], leaves, leaves]).astype(np.int32)
ids = [pa.array([f"{c}{i}" for i in range(m)], pa.large_string()) for c, m in (("Q", n + 2), ("P", 1))]
graph = Graph.from_indices(h, np.zeros(len(h), np.int32), t, *ids, tally=Tally())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tally = Tally()
caps = dict(wings_per_edge=32, pairs_per_edge=16, per_pair=4, per_combination=1000)
for colours in (1, 2):
    settings = Settings(seed=0, dedup="diamond", colours=colours, **caps)
    for _ in mine_batches(graph, Memory(), settings, tally=tally): pass
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(tally.counts["length3"], tally.counts["length4_diamonds"], (peak - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    triangles, diamonds, mib = map(int, done.stdout.split())
    assert triangles == 2 * 800_000
    assert diamonds == 2 * (800_000 * 799_999 // 2)
    assert mib < 600
