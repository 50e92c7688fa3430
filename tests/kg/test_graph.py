import networkx as nx
import numpy as np
from hypothesis import given

from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.graph import Graph

from .conftest import as_graph, as_table, multigraphs


def in_order(ident: str):
    digits = ident[1:]
    numbered = ident[:1] == "Q" and digits.isascii() and digits.isdigit()
    return (not numbered, int(digits) if numbered else 0, ident)


@given(multigraphs())
def test_the_graph_holds_the_triples_and_their_simple_graph(triples):
    tally = Tally()
    graph = Graph.from_arrow(as_table(triples), tally=tally)
    proper = [triple for triple in triples if triple[0] != triple[2]]
    assert tally.drops["self_loop"] == len(triples) - len(proper)
    assert tally.drops["duplicate_triple"] == len(proper) - len(set(proper))
    assert graph.entities == sorted({x for h, _, t in triples for x in (h, t)}, key=in_order)

    heads, tails = graph.triple_ends(np.arange(len(graph.triple_relation)))
    found = [
        (graph.entities[h], graph.relations[r], graph.entities[t])
        for h, r, t in zip(heads, graph.triple_relation, tails, strict=True)
    ]
    assert len(found) == len(set(found))
    assert set(found) == set(proper)

    oracle = nx.Graph((h, t) for h, _, t in proper)
    oracle.add_nodes_from(graph.entities)
    two_hops = graph.two_hop_counts()
    for place, ident in enumerate(graph.entities):
        offsets, others, pairs = graph.adjacency
        start, end = offsets[place : place + 2]
        neighbours = others[start:end].tolist()
        assert neighbours == sorted(neighbours)
        assert {graph.entities[i] for i in neighbours} == set(oracle[ident])
        for pair, other in zip(pairs[start:end], neighbours, strict=True):
            assert {graph.pair_u[pair], graph.pair_v[pair]} == {place, other}
        assert graph.degrees()[place] == len(oracle[ident])
        assert two_hops[place] == len(nx.single_source_shortest_path_length(oracle, ident, cutoff=2)) - 1


def test_ids_are_ordered_by_number_then_as_strings():
    graph = as_graph([("Q10", "P20", "Q9"), ("b", "P3", "Q9"), ("Q" + "9" * 30, "likes", "a")])
    assert graph.entities == ["Q9", "Q10", "Q" + "9" * 30, "a", "b"]
    assert graph.relations == ["P3", "P20", "likes"]


def test_pairs_of_demo_small(load_triples):
    graph = as_graph(load_triples("demo-small"))
    assert len(graph.pair_u) == 4960
    assert len(graph.triple_relation) == 7066
    assert len(graph.entities) == 1487
