"""Check that the names `pipelines` and `trainer` import kgcorpus's packages.

Other projects on the package index install packages of these names, and pip overwrites files silently.
"""

from importlib.util import find_spec
from typing import Literal

from kgcorpus.contracts.errors import EnvironmentLacksError

# A line of pipelines/__init__.py and trainer/__init__.py.
_MARK = 'PROJECT = "kgcorpus"'


def require_own_package(name: Literal["pipelines", "trainer"]) -> None:
    """Check a package before it is imported; no code of a foreign package runs.

    Raises:
        EnvironmentLacksError: the package belongs to another project, is incomplete or is missing.
    """
    spec = find_spec(name)
    source = getattr(spec.loader, "get_source", lambda _: None)(name) if spec and spec.loader else None
    if spec is None or _MARK not in (source or ""):
        places = spec.submodule_search_locations or [spec.origin or ""] if spec else []
        raise EnvironmentLacksError(
            f"the package `{name}` is not kgcorpus's: another project's files are in its place",
            where=", ".join(places),
            hint=f"Uninstall the other project (pip uninstall {name}), then run: "
            "pip install --force-reinstall --no-deps kgcorpus",
        )
