"""Measurements that are kept one by one: a benchmark that was stopped continues with the next one."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Measured:
    """The measurements so far, in STEM.partial.json; those of other settings or another commit are dropped.

    Args:
        stem: of the results.
        settings: JSON-like; what the measurements depend on.
        most: how many are made before `of` ends the program; None: all.
    """

    def __init__(self, stem: Path, settings: dict[str, Any], *, most: int | None) -> None:
        self._path, self._most = stem.with_suffix(".partial.json"), most
        self._settings = {**settings, "commit": _commit()}
        found = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._done: dict[str, Any] = found["done"] if found.get("settings") == self._settings else {}

    def of(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the measurement of this name, made now if it was not."""
        if name not in self._done:
            if self._most == 0:
                raise SystemExit(f"{len(self._done)} measurements are kept: run the same command again")
            self._done[name] = measure()
            kept = {"settings": self._settings, "done": self._done}
            self._path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            self._most = None if self._most is None else self._most - 1
            print(name, self._done[name], flush=True)
        return dict(self._done[name])

    def forget(self) -> None:
        """Remove the file, once the results are written."""
        self._path.unlink(missing_ok=True)


def _commit() -> str:
    words = ["git", "rev-parse", "HEAD"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
