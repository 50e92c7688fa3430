"""Configuration for a build of the embedded demo world."""

from importlib.resources import files
from pathlib import Path

from kgcorpus.demo.dumps import write_dumps


def demo_config(out: Path) -> tuple[Path, dict[str, str]]:
    """Write the dumps to OUT/world; return the config file and the values of its variables."""
    package = Path(str(files("kgcorpus.demo")))
    dumps = out / "world"
    dumps.mkdir(parents=True, exist_ok=True)
    write_dumps(dumps)
    return package / "config.yaml", {"WORLD": str(package / "world"), "DUMPS": str(dumps)}
