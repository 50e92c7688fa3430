"""Arrays in files: opened without pickles; caches of arrays are verified by their digests."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.digests import seal, sealed_files
from kgcorpus.contracts.store import replacing


def open_array(
    path: Path, *, kind: str = "biufS", shape: tuple[int | None, ...] = (None,), mode: Literal["r", "c"] = "r"
) -> NDArray[Any]:
    """A .npy file, memory-mapped.

    Args:
        path: of the file.
        kind: the kinds of numbers that it may hold, as `numpy.dtype.kind`; objects never.
        shape: of the array; None: any length.
        mode: `r` read-only, `c` copy-on-write.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no .npy file, is cut, or holds pickled objects, other numbers or another shape.
    """
    array = np.load(path, mmap_mode=mode, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path.name} is no .npy file")
    if array.dtype.kind not in kind or array.dtype.hasobject:
        raise ValueError(f"{path.name} holds {array.dtype}, expected one of the kinds {kind!r}")
    expected = tuple(n if n is not None else m for n, m in zip(shape, array.shape, strict=False))
    if len(shape) != array.ndim or expected != array.shape:
        raise ValueError(f"{path.name} has the shape {array.shape}, expected {shape}")
    return array


def derived(folder: Path, make: Callable[[], Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The arrays of a cache, memory-mapped and read-only; made where they are missing or damaged.

    Each file appears complete under its name, and the digests of all come last. Two processes may make the
    same cache at once: both write the same bytes.

    Args:
        folder: whose name holds all that the arrays depend on.
        make: name -> array.
    """
    if not sealed_files(folder):
        arrays = make()
        for name, array in arrays.items():
            with replacing(folder / f"{name}.npy") as temporary, open(temporary, "wb") as stream:
                np.save(stream, array, allow_pickle=False)
        seal(folder, [f"{name}.npy" for name in arrays])
    # A plain array on the mapped bytes: each slice of a memmap costs a microsecond more.
    return {
        path.stem: np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        for path in sealed_files(folder)
    }
