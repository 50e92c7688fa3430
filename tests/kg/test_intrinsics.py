"""The two instructions below numba do what their names say in the installed version of numba."""

import numpy as np

from kgcorpus.kg.compiled import njit
from kgcorpus.kg.intrinsics import copy_bytes, prefetch


@njit(cache=False)
def copied(address: int, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The pieces of memory behind one another, each prefetched first."""
    made = np.zeros(sizes.sum() + 2, np.uint8)
    at = 1
    for i in range(len(starts)):
        prefetch(address + starts[i])
    for i in range(len(starts)):
        copy_bytes(made, at, address + starts[i], sizes[i])
        at += sizes[i]
    return made


def test_bytes_are_copied_from_an_address_and_nothing_beside_them_changes() -> None:
    source = np.frombuffer(bytes(range(1, 200)), np.uint8)
    starts, sizes = np.array([5, 100, 0, 60], np.int64), np.array([1, 99, 0, 33], np.int64)
    expected = [0, *source[5:6], *source[100:199], *source[60:93], 0]
    assert copied(source.ctypes.data, starts, sizes).tolist() == expected
