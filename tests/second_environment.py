"""A second environment: this one's libraries and code, with some libraries of other versions."""

import os
import re
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

_UNREACHABLE = re.compile(
    r"No matching distribution|Failed to establish|Temporary failure|Max retries|timed out|(Proxy|SSL)Error"
)


def second_environment(name: str, *requirements: str) -> Path:
    """Return the Python of an environment, which is made once and kept beside this one's.

    Args:
        name: of the folder.
        requirements: what takes precedence over this environment's libraries, as for pip.

    Skips the test if the package index cannot be reached.
    """
    folder = Path(sys.prefix) / name
    python = folder / "bin" / "python"
    if python.exists():
        return python
    part = folder.with_name(f".{name}-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    venv.create(part, symlinks=True)
    (libraries,) = part.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", "--target", str(libraries)]
    # The pins of this environment are of other versions.
    environ = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        shutil.rmtree(part)
        if _UNREACHABLE.search(done.stderr):
            pytest.skip(f"the package index has no {', '.join(requirements)}, or cannot be reached")
        raise AssertionError(done.stderr)
    # Its own libraries come first; addsitedir follows the links of editable installations.
    lines = [f"import site; site.addsitedir({place!r})" for place in site.getsitepackages()]
    (libraries / "first.pth").write_text("\n".join(lines) + "\n")
    part.rename(folder)
    return python
