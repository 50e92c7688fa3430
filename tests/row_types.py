"""Where rows differ from the types that `kgcorpus/contracts/rows.py` gives them."""

import types
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict


def misfits(value: Any, hint: Any, where: str) -> Iterator[str]:
    """Where a value is not of its type."""
    if get_origin(hint) is types.UnionType:
        if value is None:
            return
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if is_typeddict(hint):
        for name, field in get_type_hints(hint).items():
            if name != "split":
                yield from misfits(value[name], field, f"{where}.{name}")
    elif get_origin(hint) is list:
        for item in value if isinstance(value, list) else (None,):
            yield from misfits(item, get_args(hint)[0], f"{where}[]")
    elif get_origin(hint) is Literal:
        if value not in get_args(hint):
            yield f"{where} is {value!r}"
    elif not isinstance(value, hint):
        yield f"{where} is {value!r}"
