"""The embedded miniature world: a true graph in ten languages and articles that mention it."""

from importlib.resources import files
from pathlib import Path


def world() -> Path:
    """The folder of the world; the package must be installed as files on disk."""
    return Path(str(files(__name__))) / "world"
