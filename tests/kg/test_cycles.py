from collections import Counter
from itertools import combinations, product
from random import Random

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.draws import mix64
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.arrays import Folder, Memory
from kgcorpus.kg.cycles import mine_batches
from kgcorpus.kg.mining import Settings
from kgcorpus.kg.sampling import mix

from .conftest import as_graph, counts_of, multigraphs

BIG = 10**6
UNCAPPED = {"wings_per_edge": BIG, "pairs_per_edge": BIG, "per_pair": BIG, "per_combination": 10**12}
DEFAULTS = {"wings_per_edge": 32, "pairs_per_edge": 16, "per_pair": 4, "per_combination": 50_000}
COMPLETE_FOUR = [(f"Q{a}", "P1", f"Q{b}") for a, b in combinations(range(4), 2)]


def mined(triples, *, seed=7, dedup="diamond", **caps):
    tally = Tally()
    settings_ = Settings(seed=seed, dedup=dedup, **{**UNCAPPED, **caps})
    batches = mine_batches(as_graph(triples), Memory(), settings_, tally=tally)
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert len({row["cycle_id"] for row in rows}) == len(rows)
    return sorted(rows, key=lambda row: row["cycle_id"]), tally


def facts(row):
    return frozenset(tuple(fact.values()) for fact in row["triples"])


class BruteForce:
    """All cycles by looking at every set of entities."""

    def __init__(self, triples):
        self.between = {}
        for h, r, t in set(triples):
            if h != t:
                self.between.setdefault(frozenset((h, t)), []).append((h, r, t))
        self.simple = nx.Graph(tuple(pair) for pair in self.between)
        self.triangles = [
            c for c in combinations(sorted(self.simple), 3) if self.connected(combinations(c, 2))
        ]
        self.diamonds = []
        for four in combinations(sorted(self.simple), 4):
            for diagonal in combinations(four, 2):
                wings = tuple(x for x in four if x not in diagonal)
                if self.connected([diagonal, *product(diagonal, wings)]):
                    self.diamonds.append((diagonal, wings))

    def connected(self, pairs):
        return all(frozenset(pair) in self.between for pair in pairs)

    def versions(self, pairs):
        return {frozenset(choice) for choice in product(*(self.between[frozenset(pair)] for pair in pairs))}

    def triangle_versions(self):
        return set().union(*(self.versions(combinations(c, 2)) for c in self.triangles))

    def diamond_versions(self):
        return set().union(*(self.versions([d, *product(d, w)]) for d, w in self.diamonds))


def cycle_of(row):
    """A chorded cycle, named by its two diagonals."""
    a, b, x, y = row["entities"]
    return frozenset((frozenset((a, b)), frozenset((x, y))))


@given(multigraphs())
def test_counts_and_uncapped_cycles_equal_brute_force(triples):
    truth = BruteForce(triples)
    graph = as_graph(triples)
    assert counts_of(graph) == {
        "length3": sum(nx.triangles(truth.simple).values()) // 3,
        "length3_labelled": len(truth.triangle_versions()),
        "length4_diamonds": len(truth.diamonds),
        "length4_cycles": len({frozenset(map(frozenset, diamond)) for diamond in truth.diamonds}),
        "length4_sets": len({frozenset(d + w) for d, w in truth.diamonds}),
    }
    rows, tally = mined(triples)
    assert {facts(row) for row in rows} == truth.triangle_versions() | truth.diamond_versions()
    assert not any(tally.drops.values())
    assert Counter(row["length"] for row in rows)[3] == tally.counts["kept3"]


@given(multigraphs())
def test_dedup_keeps_one_diamond_of_each_cycle_or_set(triples):
    truth = BruteForce(triples)
    for dedup, name, expected in (
        ("cycle", cycle_of, {frozenset(map(frozenset, diamond)) for diamond in truth.diamonds}),
        ("set", lambda row: frozenset(row["entities"]), {frozenset(d + w) for d, w in truth.diamonds}),
    ):
        rows, tally = mined(triples, dedup=dedup, per_pair=1)
        kept = [name(row) for row in rows if row["length"] == 4]
        assert len(kept) == len(expected)
        assert set(kept) == expected
        assert tally.drops["dedup"] == len(truth.diamonds) - len(expected)


@pytest.mark.parametrize(("dedup", "kept"), [("diamond", 6), ("cycle", 3), ("set", 1)])
def test_four_entities_all_connected(dedup, kept):
    rows, tally = mined(COMPLETE_FOUR, dedup=dedup)
    assert tally.counts["kept4"] == kept
    assert tally.counts["kept3"] == 4
    for row in rows:
        if row["length"] == 4:
            a, b, x, y = row["entities"]
            pairs = [frozenset((fact["h"], fact["t"])) for fact in row["triples"]]
            assert pairs == [frozenset(p) for p in ((a, b), (a, x), (a, y), (b, x), (b, y))]


@given(multigraphs(), st.randoms(use_true_random=False), st.sampled_from(["diamond", "cycle", "set"]))
def test_a_capped_sample_does_not_depend_on_the_order_of_the_triples(triples, random, dedup):
    caps = {"wings_per_edge": 3, "pairs_per_edge": 2, "per_pair": 2, "per_combination": 2}
    expected, tally = mined(triples, dedup=dedup, **caps)
    shuffled = triples + random.choices(triples, k=5) if triples else []
    random.shuffle(shuffled)
    rows, other = mined(shuffled, dedup=dedup, **caps)
    assert rows == expected
    assert tally.counts == other.counts
    per_edge = Counter(tuple(row["entities"][:2]) for row in rows if row["length"] == 4)
    assert max(per_edge.values(), default=0) <= 2 * 2
    assert max(Counter(tuple(row["entities"]) for row in rows).values(), default=0) <= 2


def test_every_kept_row_is_a_cycle_of_the_graph_and_what_is_not_kept_is_counted(load_triples):
    triples = load_triples("demo-small")
    rows, tally = mined(triples, **DEFAULTS)
    known = set(triples)
    for row in rows:
        assert facts(row) <= known
        assert {x for h, _, t in facts(row) for x in (h, t)} == set(row["entities"])
        assert len({frozenset((h, t)) for h, _, t in facts(row)}) == {3: 3, 4: 5}[row["length"]]
        assert len(row["entities"]) == row["length"]
    diamonds = {tuple(row["entities"]) for row in rows if row["length"] == 4}
    passed_over = tally.drops["wings_per_edge"] + tally.drops["pairs_per_edge"] + tally.drops["dedup"]
    assert len(diamonds) == tally.counts["length4_diamonds"] - passed_over
    assert max(Counter(diamond[:2] for diamond in diamonds).values()) == 16
    assert len({tuple(row["entities"]) for row in rows if row["length"] == 3}) == tally.counts["length3"]
    assert tally.counts["relation.P530"] == sum(any(r == "P530" for _, r, _ in facts(row)) for row in rows)


def test_the_cap_on_a_combination_thins_the_largest_and_spares_the_rest(load_triples):
    triples = load_triples("demo-small")

    def combination(row):
        return tuple(sorted(fact["r"] for fact in row["triples"]))

    before, _ = mined(triples, **DEFAULTS)
    after, tally = mined(triples, **{**DEFAULTS, "per_combination": 2000})
    sizes, kept = Counter(map(combination, before)), Counter(map(combination, after))
    assert {row["cycle_id"] for row in after} < {row["cycle_id"] for row in before}
    assert tally.drops["per_combination"] == len(before) - len(after)
    assert tally.counts["combinations"] == len(sizes)
    assert tally.counts["largest_combination"] == max(sizes.values())
    for relations, n in sizes.items():
        assert kept[relations] == n if n <= 2000 else 1800 < kept[relations] < 2200


def test_the_seed_chooses_the_sample_but_not_the_ids(load_triples):
    triples = Random(0).sample(load_triples("demo-small"), 3000)
    caps = {**DEFAULTS, "pairs_per_edge": 2}
    one, two = ({row["cycle_id"]: facts(row) for row in mined(triples, seed=s, **caps)[0]} for s in (1, 2))
    assert one.keys() != two.keys()
    assert all(one[ident] == two[ident] for ident in one.keys() & two.keys())


def test_many_parallel_triples_stay_bounded():
    triples = [(h, f"P{i}", t) for h, _, t in COMPLETE_FOUR for i in range(40)]
    rows, tally = mined(triples, per_pair=4)
    assert len(rows) == 4 * (4 + 6)
    assert tally.counts["length3_labelled"] == 4 * 40**3


def test_a_graph_without_cycles():
    assert mined([])[0] == []
    assert mined([("a", "r", "b"), ("b", "r", "c")])[0] == []


@given(st.integers(0, 2**64 - 1))
def test_the_kernels_mix_as_the_draws_do(x):
    assert int(mix(np.uint64(x))) == mix64(x)


def batches_of(graph, arrays, parts, dedup):
    tally = Tally()
    caps = {"wings_per_edge": 6, "pairs_per_edge": 4, "per_pair": 2, "per_combination": 300}
    settings_ = Settings(seed=5, dedup=dedup, parts=parts, **caps)
    batches = list(mine_batches(graph, arrays, settings_, tally=tally))
    return pa.Table.from_batches(batches).sort_by("cycle_id"), tally.rows()


def test_parts_and_files_change_nothing(load_triples, tmp_path):
    graph = as_graph(load_triples("demo-small"))
    for dedup in ("diamond", "cycle", "set"):
        expected, counters = batches_of(graph, Memory(), 1, dedup)
        for parts in (2, 3, 5):
            assert batches_of(graph, Memory(), parts, dedup) == (expected, counters)
        assert batches_of(graph, Folder(tmp_path / dedup), 2, dedup) == (expected, counters)


@given(multigraphs(), st.integers(2, 5))
def test_counts_do_not_depend_on_the_parts(triples, parts):
    graph = as_graph(triples)
    assert counts_of(graph, parts=parts) == counts_of(graph)


def test_counts_of_demo_small(load_triples):
    assert counts_of(as_graph(load_triples("demo-small"))) == {
        "length3": 19_321,
        "length3_labelled": 115_043,
        "length4_diamonds": 876_298,
        "length4_cycles": 619_747,
        "length4_sets": 448_713,
    }


def test_dedup_of_demo_small_without_caps(load_triples):
    for dedup, kept in (("cycle", 619_747), ("set", 448_713)):
        tally = Tally()
        settings_ = Settings(seed=7, dedup=dedup, **{**UNCAPPED, "per_pair": 1, "per_combination": 1})
        for _ in mine_batches(as_graph(load_triples("demo-small")), Memory(), settings_, tally=tally):
            pass
        assert tally.counts["length4_diamonds"] - tally.drops["dedup"] == kept
