"""How long stages took in earlier builds, kept in OUT/run.json to estimate how long the next build takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json, require_regular_file
from pipelines.bound import BoundStage
from pipelines.source_digests import MODEL_ROLES, SourceDigests

RUN = "run.json"


@dataclass(frozen=True)
class StageTime:
    """The last time that a stage was built.

    Attributes:
        seconds: without Spark's start.
        tasks: Spark tasks.
        source_bytes: bytes of all files from which the table was made, directly or through other tables.
    """

    seconds: float
    tasks: int
    source_bytes: int


def read_times(out: Path) -> dict[str, StageTime]:
    """Stage -> its last time, from OUT/run.json; empty if there is none, or it is damaged."""
    try:
        require_regular_file(out / RUN)
        found = parse_json((out / RUN).read_bytes())
    except (InputError, OSError, ValueError):
        return {}
    rows = found.get("times") if isinstance(found, dict) else None
    if not isinstance(rows, dict):
        return {}
    return {name: time for name, row in rows.items() if (time := _time(row)) is not None}


def _time(row: Any) -> StageTime | None:
    if not isinstance(row, dict):
        return None
    seconds, tasks, size = (row.get(name) for name in ("seconds", "tasks", "source_bytes"))
    if not isinstance(seconds, int | float) or not isinstance(tasks, int) or not isinstance(size, int):
        return None
    return StageTime(float(seconds), tasks, size) if 0 <= seconds < float("inf") and size >= 0 else None


def source_bytes(stages: Mapping[str, BoundStage], digests: SourceDigests) -> dict[str, int]:
    """Stage -> bytes of all files from which its table is made; a model is not counted.

    Args:
        stages: table -> its stage, in an order in which inputs come first.
    """
    sizes: dict[str, int] = {}
    paths: dict[str, frozenset[str]] = {}
    for name, bound in stages.items():
        if bound.unavailable:
            continue
        own = [source for source in bound.sources if source.role not in MODEL_ROLES]
        for source in own:
            if source.path not in sizes:
                sizes[source.path] = digests.size(source)
        paths[name] = frozenset(source.path for source in own).union(
            *(paths.get(table, frozenset()) for table in bound.inputs)
        )
    return {name: sum(sizes[path] for path in found) for name, found in paths.items()}


def expected_seconds(time: StageTime | None, size: int) -> float | None:
    """The seconds that a stage is expected to take: the last ones, scaled by the bytes of its sources."""
    if time is None:
        return None
    return time.seconds * size / time.source_bytes if size and time.source_bytes else time.seconds
