"""Reader of GraphVite's pickled models; the unpickler allows only arrays and dictionaries."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np


class _Attributes(dict[str, Any]):
    """In the place of EasyDict, which GraphVite uses; its attributes are ignored."""

    def __setstate__(self, state: object) -> None:
        """Leave out what EasyDict keeps as attributes: its items are there already."""


def _array(kind: object, shape: tuple[int, ...], code: bytes) -> np.ndarray[Any, Any]:
    """An empty array, which the pickle then fills."""
    return np.ndarray(shape, np.dtype("b"))


def _buffer(buffer: Any, dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> np.ndarray[Any, Any]:
    if dtype.hasobject:
        raise pickle.UnpicklingError("holds an array of objects")
    return np.frombuffer(buffer, dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: np.dtype[Any], data: bytes) -> Any:
    if dtype.hasobject:
        raise pickle.UnpicklingError("holds an object")
    return np.frombuffer(data, dtype)[0]


# All that such a file may name; nothing else is imported, and none of these runs code of the file.
_KNOWN = {
    ("easydict", "EasyDict"): _Attributes,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _buffer),
        )
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """One of the known names.

        Raises:
            UnpicklingError: another one.
        """
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"names {module}.{name}, which is not run")
        return _KNOWN[module, name]


def read_graphvite(path: Path) -> dict[str, Any]:
    """What `save_model` of GraphVite wrote: `graph` with names and ids, `solver` with arrays.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such pickle, or names anything but arrays and dictionaries.
    """
    try:
        with path.open("rb") as stream:
            model = _Unpickler(stream).load()
        arrays = [model["solver"][f"{name}_embeddings"] for name in ("entity", "relation")]
    except (pickle.UnpicklingError, AttributeError, IndexError, KeyError, EOFError, TypeError) as error:
        raise ValueError(f"{path.name} is no model of GraphVite ({error})") from None
    if any(not isinstance(array, np.ndarray) or array.dtype.hasobject for array in arrays):
        raise ValueError(f"{path.name} holds vectors that are no arrays of numbers")
    return dict(model)
