"""Facts on a held-out pair leave what training reads, whatever their relation and direction."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.splits import split_of_pairs
from kgcorpus.contracts.tables import TRIPLE
from kgcorpus.records.kmlm import with_split
from pipelines.xlr import pair_keys_of, without_held_out

IDS = st.sampled_from(["Q1", "Q2", "Q12", "12", "é"])
FACT = st.fixed_dictionaries({"h": IDS, "r": st.sampled_from(["P1", "P2"]), "t": IDS})
PAIR = st.fixed_dictionaries({"h": IDS, "t": IDS})
CYCLES = pa.schema([("triples", pa.list_(TRIPLE))])


@given(facts=st.lists(FACT, max_size=8), held=st.lists(PAIR, max_size=3))
def test_triples_on_a_held_out_pair_are_left_out(facts, held):
    batch = pa.RecordBatch.from_pylist(facts, schema=pa.schema(list(TRIPLE)))
    kept = without_held_out(batch, pair_keys_of(held))
    pairs = {frozenset((pair["h"], pair["t"])) for pair in held}
    assert kept.to_pylist() == [fact for fact in facts if frozenset((fact["h"], fact["t"])) not in pairs]


@given(cycles=st.lists(st.lists(FACT, min_size=1, max_size=5), max_size=6), held=st.lists(PAIR, max_size=3))
def test_cycles_through_a_held_out_pair_are_left_out_and_the_rest_have_their_split(cycles, held):
    rows = [{"triples": cycle} for cycle in cycles]
    # A slice: its lists do not begin at the first triple.
    batch = pa.RecordBatch.from_pylist([*rows[:1], *rows], schema=CYCLES).slice(len(rows[:1]))
    kept = with_split(without_held_out(batch, pair_keys_of(held)), seed=3)
    pairs = {frozenset((pair["h"], pair["t"])) for pair in held}
    left = [row for row in rows if not any(frozenset((t["h"], t["t"])) in pairs for t in row["triples"])]
    assert kept.to_pylist() == [
        {**row, "split": split_of_pairs(3, [(t["h"], t["t"]) for t in row["triples"]])} for row in left
    ]
