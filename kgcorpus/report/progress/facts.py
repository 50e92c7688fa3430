"""What a display of progress shows, as plain data, and the file in which another process finds it."""

import contextlib
import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import require_regular_file
from kgcorpus.contracts.object_store import ObjectStore, is_object_store
from kgcorpus.contracts.places import PROGRESS
from kgcorpus.contracts.secrets import redact_all
from kgcorpus.contracts.store import write_text

# A process on another host cannot be looked up: it counts as gone after so many seconds without an update.
_SILENT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How far a command is.

    Attributes:
        command: build-corpus, publish ...
        state: running, finished or failed.
        stage: the stage at work; empty for work that belongs to no stage.
        doing: the work, e.g. `hashing`; empty if it is the stage itself.
        stages_done, stages: stages that are finished, and all that this command runs.
        unit: what `done` counts: tasks, shards, files, queries.
        done, total: units that are finished, and those known so far; null if unknown.
        bytes_done, bytes: input bytes that were read (as stored) or hashed, and their total; null if unknown.
        rows: rows that the functions of the stage received so far, over all of its steps.
        rows_per_second, bytes_per_second: over the last 30 seconds.
        seconds, seconds_left: of the whole command; the latter is null if a coming stage was never timed.
        stage_seconds, stage_seconds_left: of the stage, without Spark's start.
        fraction: share of the command's work that is finished, 0 to 1; never decreases.
        host, process, process_start: where it runs; the start, in the kernel's ticks, differs if
            the id was reused.
        started, updated: UTC.
        error, exit_code: how it ended.
    """

    command: str
    state: Literal["running", "finished", "failed"] = "running"
    stage: str = ""
    doing: str = ""
    stages_done: int = 0
    stages: int = 0
    unit: str = "tasks"
    done: int | None = None
    total: int | None = None
    bytes_done: int | None = None
    bytes: int | None = None
    rows: int = 0
    rows_per_second: float | None = None
    bytes_per_second: float | None = None
    seconds: float = 0.0
    seconds_left: float | None = None
    stage_seconds: float = 0.0
    stage_seconds_left: float | None = None
    fraction: float = 0.0
    host: str = ""
    process: int = 0
    process_start: int | None = None
    started: str = ""
    updated: str = ""
    error: str = ""
    exit_code: int | None = None


def write_facts(folder: Path, facts: Facts) -> None:
    """Write FOLDER/progress.json atomically. A full disk or a missing folder is ignored: work goes first."""
    with contextlib.suppress(OSError):
        write_text(folder / PROGRESS, json.dumps(redact_all(asdict(facts)), indent=1) + "\n")


def read_facts(place: str | Path) -> Facts | None:
    """Read progress.json of a folder, or of a URL of an object store; None if there is none.

    Raises:
        InputError: it is damaged, or no regular file.
        EnvironmentLacksError: the store cannot be used.
    """
    from pydantic import TypeAdapter, ValidationError

    path = f"{place}/{PROGRESS}"
    try:
        content = _content(place)
        if content is None:
            return None
        found = TypeAdapter(Facts).validate_json(content, strict=True)
    except (ValidationError, OSError) as error:
        raise _damaged(path, str(error).split("\n", 1)[0]) from None
    if not all(math.isfinite(value) for value in asdict(found).values() if isinstance(value, float)):
        raise _damaged(path, "a number is not finite")
    return found


def _content(place: str | Path) -> bytes | None:
    if is_object_store(str(place)):
        found = ObjectStore(str(place)).get(PROGRESS)
        return None if found is None else found[0]
    path = Path(place) / PROGRESS
    try:
        if not path.exists():
            return None
        require_regular_file(path)
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _damaged(path: str, why: str) -> InputError:
    return InputError(f"is no record of progress ({why})", where=path, hint="Delete it")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")


def seconds_since(moment: str) -> float:
    """Seconds since a time as `now` writes it; infinite if it is none."""
    try:
        return time.time() - datetime.fromisoformat(moment).timestamp()
    except (ValueError, TypeError, OverflowError):
        return math.inf


def this_process() -> dict[str, str | int | None]:
    """The fields of `Facts` that identify this process."""
    return {"host": _host(), "process": os.getpid(), "process_start": start_of(os.getpid())}


def start_of(process: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is none, or the system lists none."""
    try:
        # The name, in parentheses, may hold spaces; the start is the 22nd field.
        return int(Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def is_running(facts: Facts, *, alive: Callable[[int], bool] | None = None) -> bool:
    """Whether the process that wrote the facts as `running` still exists.

    A process of this host is looked up. One of another host counts as gone after two minutes of silence.
    """
    if facts.state != "running":
        return False
    if facts.host != _host():
        return seconds_since(facts.updated) < _SILENT_SECONDS
    if facts.process_start is not None and Path("/proc/self/stat").exists():
        return start_of(facts.process) == facts.process_start
    return (alive or _exists)(facts.process)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return process > 0


@cache
def _host() -> str:
    return platform.node()
