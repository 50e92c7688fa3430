"""What the graph says of relations."""

import tracemalloc
from collections import defaultdict
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.xlr.relations import RelationFacts

from .knowledge import graph_of


def _multigraph(seed):
    random = Random(seed)
    return [
        (f"Q{random.randint(1, 9)}", f"P{random.randint(1, 7)}", f"Q{random.randint(10, 18)}")
        for _ in range(random.randint(1, 60))
    ]


@given(st.builds(_multigraph, st.integers(0, 2**32)))
def test_facts_of_relations_equal_brute_force(triples):
    graph = graph_of(triples)
    facts = RelationFacts(graph)
    pairs, tails, incident, between = (defaultdict(set) for _ in range(4))
    for h, r, t in triples:
        pairs[r].add((h, t))
        between[h, t].add(r)
        tails[r].add(t)
        incident[h].add(r)
        incident[t].add(r)
    for (h, t), relations in between.items():
        assert facts.only_relation(t, h) == (next(iter(relations)) if len(relations) == 1 else None)
    for entity, relations in incident.items():
        assert set(facts.of_entity(entity)) == relations
    for one in pairs:
        like = {other for other in pairs if other != one and tails[one] & tails[other]}
        assert set(facts.of_like_range(one)) == like
        shares = [len(tails[one] & tails[p]) / len(tails[one] | tails[p]) for p in facts.of_like_range(one)]
        assert shares == sorted(shares, reverse=True)
        for other in pairs:
            share = len(pairs[one] & pairs[other]) / min(len(pairs[one]), len(pairs[other]))
            assert facts.go_together(one, other) == (share >= 0.02)


def test_memory_follows_the_triples_and_not_the_square_of_the_relations():
    # [R, R] matrices of 4,000 relations would take 128 MB each.
    graph = graph_of([("Q1", f"P{i}", f"Q{2 + i % 2}") for i in range(4_000)])
    tracemalloc.start()
    facts = RelationFacts(graph)
    assert len(facts.of_like_range("P7")) == 10
    assert facts.go_together("P7", "P9")
    assert not facts.go_together("P7", "P8")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
