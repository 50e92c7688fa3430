"""Check that the names `pipelines` and `trainer` import kgcorpus's packages.

Other projects on the package index install packages of these names, and pip overwrites files silently.
A user's own module of that name in the working directory shadows ours, too.
"""

import sysconfig
from importlib.util import find_spec
from pathlib import Path

from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.contracts.extras import install_command

# A line of pipelines/__init__.py and trainer/__init__.py.
_MARK = 'PROJECT = "kgcorpus"'


def require_own_package(name: str) -> None:
    """Check `pipelines` or `trainer` before it is imported; no code of a foreign package runs.

    Raises:
        EnvironmentLacksError: the package belongs to another project, is incomplete or is missing.
    """
    try:
        spec = find_spec(name)
    except ValueError:
        # A module in `sys.modules` that a program created itself.
        spec = None
    source = getattr(spec.loader, "get_source", lambda _: None)(name) if spec and spec.loader else None
    if spec is None or _MARK not in (source or ""):
        places = list(spec.submodule_search_locations or [spec.origin or ""]) if spec else []
        raise EnvironmentLacksError(
            f"the package `{name}` is not kgcorpus's: another project's files are in its place",
            where=", ".join(places),
            hint=_hint(name, places),
        )


def _hint(name: str, places: list[str]) -> str:
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(Path(__file__).parents[2])}
    if places and not any(str(Path(place).parent) in installed for place in places):
        return "Rename it, or remove its folder from the import path (working directory, PYTHONPATH)"
    return f"Uninstall the other project (pip uninstall {name}), then run: " + install_command(
        options="--force-reinstall --no-deps"
    )
