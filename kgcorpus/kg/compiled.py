"""numba's compiler with its cache in a folder that only the user can write (`kgcorpus.contracts.caches`).

Every kernel takes `njit` from here: the folder must be set before the first function opens its cache.
"""

import os
from collections.abc import Callable
from typing import Any

import numba

from kgcorpus.contracts.caches import kernel_cache

try:
    _folder, _cached = kernel_cache(), True
except OSError:
    # There is no place to write to, so each process compiles what it calls.
    _folder, _cached = None, False
# numba reads the variable, and so do the workers that this process starts.
os.environ.pop("NUMBA_CACHE_DIR", None)
if _folder:
    os.environ["NUMBA_CACHE_DIR"] = str(_folder)
numba.config.reload_config()


def njit(*, cache: bool, **options: Any) -> Callable[..., Any]:
    """`numba.njit`, with a cache where there is a place for one."""
    return numba.njit(cache=cache and _cached, **options)
