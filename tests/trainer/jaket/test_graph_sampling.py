from collections import Counter

import numpy as np
import pytest

from trainer.jaket.graph import group_edges, keys_of, sample_hops, sample_neighbours, walk


def adjacency(graph, node):
    edges = slice(graph.offsets[node], graph.offsets[node + 1])
    return list(zip(graph.neighbours[edges].tolist(), graph.relations[edges].tolist(), strict=True))


@pytest.mark.parametrize("count", [0, 1, 4, 100])
def test_neighbours_are_edges_none_twice_and_all_where_there_are_few(graph, count):
    nodes = np.arange(graph.nodes)
    found = sample_neighbours(graph, nodes, keys_of(nodes, 0), count=count)
    for node in nodes:
        here = found.present[node]
        edges = list(zip(found.nodes[node][here].tolist(), found.relations[node][here].tolist(), strict=True))
        assert len(edges) == len(set(edges)) == min(count, len(adjacency(graph, node)))
        assert set(edges) <= set(adjacency(graph, node))


def test_each_neighbour_is_as_likely_and_pairs_too():
    leaves = 7
    graph = group_edges(
        np.zeros(leaves, np.int32),
        np.zeros(leaves, np.int16),
        np.arange(1, leaves + 1, dtype=np.int32),
        nodes=leaves + 1,
        relation_count=1,
        directions="out",
    )
    draws = 21_000
    hub = np.zeros(draws, np.int64)
    found = sample_neighbours(graph, hub, keys_of(np.arange(draws), 3), count=2)
    pairs = Counter(tuple(sorted(row)) for row in found.nodes.tolist())
    assert len(pairs) == 21
    # Binomial with mean 1000 and deviation 31.
    assert all(850 < n < 1150 for n in pairs.values())


def test_draws_depend_on_seed_and_node_not_on_the_batch(graph):
    nodes = np.arange(graph.nodes)
    whole = sample_neighbours(graph, nodes, keys_of(nodes, 0, "x"), count=3)
    part = sample_neighbours(graph, nodes[::-7], keys_of(nodes[::-7], 0, "x"), count=3)
    other = sample_neighbours(graph, nodes, keys_of(nodes, 1, "x"), count=3)
    assert (whole.nodes[::-7] == part.nodes).all()
    assert (whole.nodes != other.nodes).any()


def test_a_graph_without_edges_gives_no_neighbour(graph):
    alone = graph.without_edges()
    nodes, hops = sample_hops(alone, np.arange(5), layers=2, count=3, key=(0,))
    assert nodes.tolist() == list(range(5))
    assert not any(hop.present.any() for hop in hops)
    pairs, relations = walk(alone, np.arange(5), length=2, key=(0,))
    assert len(pairs) == len(relations) == 0


def test_hops_lead_from_the_nodes_read_to_the_targets(graph):
    targets = np.array([0, 3, 9])
    nodes, hops = sample_hops(graph, targets, layers=2, count=4, key=(0,))
    read = nodes
    for hop in hops:
        out = read[hop.own]
        for row, node in enumerate(out):
            here = hop.present[row]
            assert here.sum() == min(4, len(adjacency(graph, node)))
            edges = zip(
                read[hop.neighbours[row][here]].tolist(), hop.relations[row][here].tolist(), strict=True
            )
            assert set(edges) <= set(adjacency(graph, node))
        read = out
    assert read.tolist() == targets.tolist()


def test_a_hidden_pair_is_in_no_neighbourhood_in_either_direction(graph, entities):
    a, b = entities.find(["Q1", "Q2"])
    targets = np.sort(np.array([a, b]))
    for hidden in (None, np.array([[a, b]])):
        nodes, hops = sample_hops(graph, targets, layers=2, count=100, key=(0,), hidden_pairs=hidden)
        read, met = nodes, []
        for hop in hops:
            out = read[hop.own]
            met += [
                (node, int(read[j]))
                for row, node in enumerate(out.tolist())
                for j in hop.neighbours[row][hop.present[row]]
            ]
            read = out
        assert ({(a, b), (b, a)} <= set(met)) == (hidden is None)


def test_walks_follow_edges_and_name_their_relation(graph):
    roots = np.arange(graph.nodes)
    pairs, relations = walk(graph, roots, length=2, key=(0,))
    for (here, there), relation in zip(pairs.tolist(), relations.tolist(), strict=True):
        assert (there, relation) in adjacency(graph, here)
    with_edges = [node for node in roots if adjacency(graph, node)]
    # Every edge leads back, so no walk ends early.
    assert len(pairs) == 2 * len(with_edges)
    assert pairs[: len(with_edges), 0].tolist() == with_edges
    assert pairs[len(with_edges) :, 0].tolist() == pairs[: len(with_edges), 1].tolist()
