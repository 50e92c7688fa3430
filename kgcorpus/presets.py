"""Lookup of the configurations in conf/ by name, in a checkout or an installed wheel."""

from pathlib import Path

from kgcorpus.contracts.errors import UsageError, known_names

_HERE = Path(__file__).parent
# The locations of conf/ in a wheel and in a checkout.
_FOLDERS = (_HERE / "conf", _HERE.parent / "conf")


def preset(file: Path) -> Path:
    """Return the file if it exists, otherwise the file of this name in conf/.

    Names are relative to conf/, such as `kmlm-mbert` or `sweeps/trelm-theta`; `.yaml` and a leading `conf/`
    are optional.

    Raises:
        UsageError: neither exists, and the name has no folder and no ending. The error lists valid names.
    """
    if file.exists() or file.is_absolute() or ".." in file.parts:
        return file
    name = file.as_posix().removeprefix("conf/").removesuffix(".yaml")
    found = _presets()
    if name in found:
        return found[name]
    if file.suffix in (".yaml", ".yml") or len(file.parts) > 1:
        return file  # the caller reports the missing file
    raise UsageError(
        "no such config file",
        where=str(file),
        hint=known_names(name, sorted(found), listed="Correct --config. Ready configurations are"),
    )


def _presets() -> dict[str, Path]:
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    files = sorted(folder.rglob("*.yaml")) if folder else []
    return {path.relative_to(folder or _HERE).with_suffix("").as_posix(): path for path in files}
