"""LLVM instructions that numba does not offer: copying bytes from an address, and prefetching.

They are the only code of the project that uses internal interfaces of numba and llvmlite (`cgutils`, `ir`).
If a version of numba changes those, `tests/kg/test_intrinsics.py` fails. Then adapt the two `build`
functions; their docstrings name the LLVM instructions. If that is not possible: `prefetch` may do nothing,
and `join_pieces` may take the arrays that its addresses point into and copy in a loop. That gives the same
bytes, only more slowly.

numba's cache of a kernel does not notice a change in this file: edit the kernel's file too.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _copy_bytes(_: Any, to: Any, at: Any, source: Any, size: Any) -> Any:
    """Copy `size` bytes from the address `source` to `to[at:]`: LLVM's memcpy.

    It is three times as fast as a loop, because numba cannot know that the two do not overlap.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, at, source, size = arguments
        data = context.make_array(signature.args[0])(context, builder, to).data
        origin = builder.inttoptr(source, data.type)
        cgutils.raw_memcpy(builder, builder.gep(data, [at]), origin, size, 1)
        return context.get_dummy_value()

    return types.void(to, at, source, size), build


def _prefetch(_: Any, address: Any) -> Any:
    """Load the cache line at an address before it is read: LLVM's `llvm.prefetch`."""

    def build(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        place, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        to_read, to_keep, data = number(0), number(3), number(1)
        builder.call(prefetch, [builder.inttoptr(arguments[0], place), to_read, to_keep, data])
        return context.get_dummy_value()

    return types.void(types.int64), build


copy_bytes: Any = intrinsic(_copy_bytes)
prefetch: Any = intrinsic(_prefetch)
