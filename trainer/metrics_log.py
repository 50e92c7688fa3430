"""RUN/metrics.jsonl: one line a step, cut back to the checkpoint on resume."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.store import write_text


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a last line that a kill tore is left out.

    Raises:
        InputError: another line is damaged, or the file is a pipe or a device.
    """
    if not path.exists():
        return []
    require_regular_file(path)
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    # What follows the last newline is empty, or torn.
    return [_line(line, where=f"{path}, line {number}") for number, line in enumerate(lines[:-1], start=1)]


def _line(text: str, *, where: str) -> dict[str, Any]:
    try:
        line: Any = parse_json(text)
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            return line
    except ValueError:
        pass
    raise InputError("is not a line of metrics", where=where, hint="Delete the line")


class MetricsLog:
    """Appends lines to a metrics file, each whole on disk when `write` returns.

    Args:
        path: the file; what followed on `step` is removed first: lines of later steps, and its own events,
            for they happen before the step after it.
        step: steps done.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        kept = [line for line in read_metrics(path) if line["step"] + ("event" in line) <= step]
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
        self._stream = path.open("a", encoding="utf-8")

    def write(self, line: dict[str, Any]) -> None:
        """Append a line."""
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
