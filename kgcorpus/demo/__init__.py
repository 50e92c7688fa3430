"""The embedded demo world: a small real graph with labels in ten languages, and articles about it."""

from importlib.resources import files
from pathlib import Path


def world() -> Path:
    """Return the world's folder; the package must be installed as files on disk."""
    return Path(str(files(__name__))) / "world"
