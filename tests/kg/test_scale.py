"""What a small graph cannot show: a million triples, a hub, a real graph of 366,707 triples."""

import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest

from .conftest import as_graph, counts_of

pytestmark = pytest.mark.slow
MILLION = 0.05  # of the generator's 20.6M triples


@pytest.fixture(scope="module")
def million(generator, graph_checks):
    return graph_checks.whole(generator.Generator(scale=MILLION, seed=2))


@pytest.fixture(scope="module")
def triangles_on_each_pair(million):
    """By definition: the neighbours that two neighbours share."""
    neighbours = defaultdict(set)
    for h, t in zip(million.h.tolist(), million.t.tolist(), strict=True):
        if h != t:
            neighbours[h].add(t)
            neighbours[t].add(h)
    shared = ((u, v, len(of_u & neighbours[v])) for u, of_u in neighbours.items() for v in of_u if u < v)
    return {(u, v): n for u, v, n in shared if n}


@pytest.mark.parametrize("parts", [1, 2])
def test_triangles_on_every_edge_of_a_million_triples(million, triangles_on_each_pair, graph_checks, parts):
    assert len(million.h) > 1_000_000
    triangles, tally = graph_checks.mined_triangles(million, parts=parts)
    edges, sizes = graph_checks.on_edges(triangles)
    assert dict(zip(map(tuple, edges.tolist()), sizes.tolist(), strict=True)) == triangles_on_each_pair
    expected = np.array([*triangles_on_each_pair.values()])
    assert len(triangles) == tally.counts["length3"] == expected.sum() // 3
    assert tally.counts["length4_diamonds"] == (expected * (expected - 1) // 2).sum()


def test_every_planted_rule_is_found_among_the_noise(generator, graph_checks):
    result = graph_checks.check_rules(generator.Generator(scale=0.02, seed=2))
    assert len(result["rules"]) == 20
    for rule in result["rules"]:
        assert rule["support"] == rule["holds"] > 40
        assert rule["standard_confidence"] == rule["holds"] / rule["bodies"]
    assert result["mined"] > 100


def test_counts_of_kg_real_for_any_parts(load_triples):
    graph = as_graph(load_triples("kg-real"))
    counts = counts_of(graph)
    assert (counts["length3"], counts["length3_labelled"]) == (147_878, 464_392)
    for parts in (2, 3, 5):
        assert counts_of(graph, parts=parts) == counts


MINE_A_HUB = """
import resource, sys
import numpy as np, pyarrow as pa
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.arrays import Memory
from kgcorpus.kg.cycles import mine_batches
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.mining import Settings

n, parts = 800_000, int(sys.argv[1])
leaves = np.arange(2, n + 2, dtype=np.int32)
h = np.concatenate([[0], np.zeros(n), np.ones(n)]).astype(np.int32)
t = np.concatenate([[1], leaves, leaves]).astype(np.int32)
ids = [pa.array([f"{c}{i}" for i in range(m)], pa.large_string()) for c, m in (("Q", n + 2), ("P", 1))]
graph = Graph.from_indices(h, np.zeros(len(h), np.int32), t, *ids, tally=Tally())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tally = Tally()
caps = dict(wings_per_edge=32, pairs_per_edge=16, per_pair=4, per_combination=1000)
settings = Settings(seed=0, dedup="diamond", parts=parts, **caps)
rows = sum(batch.num_rows for batch in mine_batches(graph, Memory(), settings, tally=tally))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
counts = [tally.counts[name] for name in ("length3", "length4_diamonds", "kept3", "kept4")]
print(*counts, rows, (peak - before) // 1024)
"""


@pytest.mark.parametrize("parts", [1, 3])
def test_a_hub_of_800_000_neighbours_stays_in_bounded_memory(parts):
    """Two hubs that share all their neighbours: 800,000 triangles on one edge, 3.2e11 diamonds."""
    command = [sys.executable, "-c", MINE_A_HUB, str(parts)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    triangles, diamonds, kept3, kept4, rows, mib = map(int, done.stdout.split())
    assert triangles == 800_000
    assert diamonds == 800_000 * 799_999 // 2
    assert kept4 == 16
    assert rows == kept3 + kept4
    assert 800 < kept3 < 1200  # of the one combination 1000 are expected
    assert mib < 600
