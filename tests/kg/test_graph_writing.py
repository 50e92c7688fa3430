"""A graph written in parts is the graph made at once."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.arrays import Folder, Memory
from kgcorpus.kg.graph import Graph
from kgcorpus.kg.graph_writing import write_graph

IDS = [f"Q{i}" for i in range(12)] + ["Q07", "Qx", "ä", "Q99999999999999999999"]
TRIPLES = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from(["P1", "P31", "Px"]), st.sampled_from(IDS)), max_size=60
)


def batches_of(triples, rows):
    def read():
        for start in range(0, len(triples), rows):
            columns = zip(*triples[start : start + rows], strict=True)
            yield pa.record_batch(dict(zip("hrt", map(pa.array, columns), strict=True)))

    return read


def at_once(triples):
    tally = Tally()
    columns = zip(*triples, strict=True) if triples else ([], [], [])
    table = pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip("hrt", columns, strict=True)}
    )
    return Graph.from_arrow(table, tally=tally).to_arrays(), tally


def assert_written(arrays, tally, triples):
    expected, dropped = at_once(triples)
    found = arrays.get("graph")
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert (tally.drops, tally.counts) == (dropped.drops, dropped.counts)


@settings(max_examples=200, deadline=None)
@given(triples=TRIPLES, rows=st.integers(1, 70), most=st.integers(1, 70))
def test_any_parts_give_the_graph_made_at_once(triples, rows, most):
    arrays, tally = Memory(), Tally()
    write_graph(batches_of(triples, rows), arrays, Memory(), tally=tally, most=most)
    assert_written(arrays, tally, triples)


@pytest.mark.parametrize("n", [0, 1, 2_000])
def test_files_hold_the_same_and_nothing_else(tmp_path, n):
    rng = np.random.default_rng(1)
    triples = [(f"Q{h}", f"P{r}", f"Q{t}") for h, r, t in rng.integers(0, 50, (n, 3))]
    arrays, tally = Folder(tmp_path / "kept"), Tally()
    write_graph(batches_of(triples, 300), arrays, Folder(tmp_path / "sorted"), tally=tally, most=100)
    assert_written(arrays, tally, triples)
    assert not [*(tmp_path / "sorted").iterdir()]


def test_an_interrupted_writing_leaves_no_array(tmp_path):
    def read():
        yield pa.record_batch({name: pa.array(["Q1"]) for name in "hrt"})
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        write_graph(read, Folder(tmp_path), Folder(tmp_path), tally=Tally())
    assert not [*tmp_path.rglob("*.npy")]
