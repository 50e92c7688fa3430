"""Many relations between the same two entities: the work is linear, the sums are exact or the largest."""

import time

import pytest

from kgcorpus.contracts.tally import MOST, Tally
from kgcorpus.kg.arrays import Memory
from kgcorpus.kg.cycles import mine_batches
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.mining import Settings
from kgcorpus.kg.rules import MOST_ON_A_PAIR, mine_rules

from .conftest import as_table

SIDES = (("Q1", "Q2"), ("Q2", "Q3"), ("Q1", "Q3"))
CAPS = {"wings_per_edge": 32, "pairs_per_edge": 16, "per_pair": 4, "per_combination": 50_000}


def triangle(k: int, sides=SIDES):
    return as_table([(a, f"P{i + 1}", b) for a, b in sides for i in range(k)])


def mined(table) -> tuple[int, Tally]:
    tally = Tally()
    graph = Graph.from_arrow(table, tally=tally)
    batches = mine_batches(graph, Memory(), Settings(seed=0, dedup="diamond", **CAPS), tally=tally)
    return sum(batch.num_rows for batch in batches), tally


def rules(table) -> tuple[int, Tally]:
    tally = Tally()
    return sum(map(len, mine_rules(table, min_support=10, tally=tally))), tally


def seconds(work, table) -> float:
    start = time.process_time()
    work(table)
    return time.process_time() - start


@pytest.mark.parametrize("work", [mined, rules])
def test_eight_times_the_relations_of_a_triangle_take_no_sixty_four_times_the_work(work) -> None:
    small, large = triangle(4_000), triangle(32_000)
    work(small)  # compiled once
    # Quadratic work takes 64 times as long; other jobs of the machine can only lengthen one attempt.
    assert any(seconds(work, large) < 24 * max(seconds(work, small), 0.02) for _ in range(3))


def test_the_versions_of_a_triangle_are_counted_and_four_are_kept() -> None:
    rows, tally = mined(triangle(300))
    assert rows == 4
    assert tally.counts["length3_labelled"] == 300**3
    assert tally.drops["per_pair"] == 300**3 - 4


def test_versions_above_64_bits_are_counted_and_travel_as_the_largest_sum() -> None:
    # Two triangles that share an edge: 7,000^5 versions of the diamond.
    _, tally = mined(triangle(7_000, (*SIDES, ("Q1", "Q4"), ("Q2", "Q4"))))
    assert tally.drops["per_pair"] == 7_000**5 + 2 * 7_000**3 - 3 * CAPS["per_pair"]
    assert dict(tally.rows())["drop.per_pair"] == MOST


def test_rules_read_the_most_frequent_relations_of_a_pair() -> None:
    frequent = f"P{2 * MOST_ON_A_PAIR}"
    table = triangle(2 * MOST_ON_A_PAIR)
    more = as_table([*(tuple(row.values()) for row in table.to_pylist()), ("Q8", frequent, "Q9")])
    tally = Tally()
    rows = [row for batch in mine_rules(more, min_support=1, tally=tally) for row in batch]
    assert tally.drops["triples_over_limit_of_a_pair"] == 3 * MOST_ON_A_PAIR
    read = {row["head"] for row in rows}
    assert len(read) == MOST_ON_A_PAIR
    assert frequent in read
