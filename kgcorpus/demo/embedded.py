"""The configuration of a build of the embedded world."""

from importlib.resources import files
from pathlib import Path

from kgcorpus.demo.dumps import write_dumps


def demo_config(out: Path) -> tuple[Path, dict[str, str]]:
    """The config file, and what its variables stand for; the dumps are written to OUT/world."""
    package = Path(str(files("kgcorpus.demo")))
    dumps = out / "world"
    dumps.mkdir(parents=True, exist_ok=True)
    write_dumps(dumps)
    return package / "config.yaml", {"WORLD": str(package / "world"), "DUMPS": str(dumps)}
