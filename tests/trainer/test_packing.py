import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.packing import pack


@given(st.lists(st.integers(1, 16), max_size=60))
def test_every_token_lies_once_in_a_block_of_its_record(sizes):
    sizes = np.array(sizes, np.int64)
    ids = np.arange(1, sizes.sum() + 1, dtype=np.int32)
    packed = pack(ids, sizes, length=16, pad=0)
    assert packed.ids.flatten()[packed.flat].tolist() == ids.tolist()
    assert (packed.ids == 0).sum() == packed.ids.size - len(ids)
    assert ((packed.segments == 0) == (packed.ids == 0)).all()
    rows = packed.flat // 16
    start = 0
    for size in sizes:
        own = slice(start, start + size)
        assert len(set(rows[own])) == 1
        assert packed.positions.flatten()[packed.flat[own]].tolist() == list(range(size))
        assert len(set(packed.segments.flatten()[packed.flat[own]])) == 1
        start += size
    for row in packed.segments:
        assert set(row) - {0} == set(range(1, len(set(row) - {0}) + 1))
    assert (packed.positions == 0).sum() == (packed.ids == 0).sum() + len(sizes)


def test_the_tightest_row_is_filled_first():
    packed = pack(np.ones(16, np.int32), np.array([5, 7, 3, 1]), length=8, pad=0)
    assert [row.tolist() for row in packed.segments] == [[1] * 7 + [2], [1] * 5 + [2] * 3]


def test_little_is_wasted():
    sizes = np.array([20 + i % 37 for i in range(500)])
    packed = pack(np.ones(sizes.sum(), np.int32), sizes, length=128, pad=0)
    assert (packed.segments == 0).mean() < 0.04
