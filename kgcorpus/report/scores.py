"""One-line summaries of benchmark results."""

from collections.abc import Iterator, Mapping
from typing import Any

# Settings and bookkeeping fields, whose numbers are not scores.
_NO_SCORES = {"config", "seed", "seeds", "sampled", "step", "seconds", "deviation"}
_MOST = 8


def summary(result: Mapping[str, Any]) -> str:
    """Return the benchmark's name and its first 8 numbers, e.g. `xlr: n=100 accuracy.mean=0.523`.

    Args:
        result: the JSON that `kgcorpus evaluate` writes. For a `series` (one result for each checkpoint), the
            last result is summarised.
    """
    name, shown = str(result["benchmark"]), result
    if series := result.get("series"):
        shown = series[-1]
        name += f", step {shown['step']}"
    numbers = list(_numbers(shown))
    words = [f"{key}={value:.4g}" for key, value in numbers[:_MOST]]
    more = f" and {len(numbers) - _MOST} more numbers" if len(numbers) > _MOST else ""
    return f"{name}: {' '.join(words)}{more}"


def _numbers(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of a mapping, outer level first; integers on inner levels are skipped."""
    inner = []
    for key, value in node.items():
        if key in _NO_SCORES or key.endswith("selection"):
            continue
        if isinstance(value, Mapping):
            inner.append((key, value))
        elif isinstance(value, float) or (
            isinstance(value, int) and not isinstance(value, bool) and not prefix
        ):
            yield prefix + key, value
    for key, value in inner:
        yield from _numbers(value, f"{prefix}{key}.")
