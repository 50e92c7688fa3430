"""The commands as a user runs them, in processes of their own, and what they leave."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ONE_CORE = ("spark.master=local[1]", "spark.partitions=1")


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "kgcorpus", *map(str, words)]


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **environment}
    return subprocess.run(command(*words), capture_output=True, text=True, check=False, env=environ)


def sets(*values: str) -> list[str]:
    return [word for value in values for word in ("--set", value)]


def bytes_of(out: Path) -> dict[str, str]:
    """sha256 of every file under data/ and tables/, and of the manifest."""
    files = [path for folder in ("data", "tables") for path in (out / folder).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*files, out / "manifest.json"]
    }
