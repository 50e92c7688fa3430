"""Benchmarks, one file each, behind one call."""

import json
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import UsageError
from kgcorpus.contracts.store import write_text

# Records of the test split, the first in their random order: every relation is scored for each of them.
_CYCLES = 2_000


def _cycles(model: str, data: str) -> dict[str, Any]:
    from trainer.evaluate.cycles import evaluate as run

    return run(model, data, limit=_CYCLES)


# Name -> (model, data) -> result; imported when asked for, since torch is slow to load.
BENCHMARKS = {"cycles": _cycles}


def evaluate(benchmark: str, *, model: str, data: str, out: Path) -> None:
    """Run a benchmark and write its result as JSON.

    Raises:
        UsageError: there is no such benchmark.
    """
    if benchmark not in BENCHMARKS:
        raise UsageError(f"no benchmark is called {benchmark!r}", mend=f"There are: {', '.join(BENCHMARKS)}")
    result = {"benchmark": benchmark, **BENCHMARKS[benchmark](model, data)}
    write_text(out, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
