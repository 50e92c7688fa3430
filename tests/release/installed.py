"""A virtual environment made for a check, and the licences of the packages that kgcorpus depends on."""

import importlib.metadata
import os
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

_TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
# Variables by which a checkout would be imported in place of the wheel.
_LEAKS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Installed:
    """A virtual environment in `folder`."""

    folder: Path

    @classmethod
    def new(cls, python: Path, folder: Path) -> "Installed":
        """Make the environment with this interpreter."""
        subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True, text=True)
        return cls(folder)

    def pip(self, *words: str) -> None:
        """Run pip, with the pins of PIP_CONSTRAINT if it is set."""
        self.python("-m", "pip", "--quiet", "--disable-pip-version-check", *words, cwd=self.folder)

    def kgcorpus(self, *words: str, cwd: Path) -> str:
        """Run a command of kgcorpus; returns its stdout."""
        return self._run(str(self.folder / "bin" / "kgcorpus"), *words, cwd=cwd)

    def python(self, *words: str, cwd: Path) -> str:
        """Run Python; returns its stdout."""
        return self._run(str(self.folder / "bin" / "python"), *words, cwd=cwd)

    def megabytes(self) -> dict[str, float]:
        """Return the size of each folder or file in site-packages, without pip and setuptools."""
        (packages,) = self.folder.glob("lib/python*/site-packages")
        sizes: dict[str, float] = {}
        for path in packages.rglob("*"):
            top = path.relative_to(packages).parts[0]
            if path.is_file() and not top.startswith(_TOOLS):
                sizes[top] = sizes.get(top, 0) + path.stat().st_size / 1e6
        return sizes

    def _run(self, *words: str, cwd: Path) -> str:
        environ = {name: value for name, value in os.environ.items() if name not in _LEAKS}
        done = subprocess.run(words, cwd=cwd, env=environ, capture_output=True, text=True, check=True)
        return done.stdout


def licence_table(root: Path) -> str:
    """Return a page with the licence of every package that an extra of kgcorpus installs."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"base": project["dependencies"], **project["optional-dependencies"]}
    rows = []
    for extra in ("base", "spark", "link", "importance", "train", "report", "java", "s3", "hub"):
        for requirement in extras.get(extra, []):
            parsed = Requirement(requirement)
            if parsed.name == "kgcorpus":
                continue
            licence = licence_of(parsed.name)
            rows.append(f"| {extra} | {parsed.name} | {licence} |")
    head = (
        "# Licences\n\n"
        "kgcorpus is under the Apache License 2.0. This page lists the packages that its extras install\n"
        "directly, with the licence that each declares; `python -m tests.release --write` writes it.\n\n"
        "| extra | package | licence |\n| --- | --- | --- |\n"
    )
    return head + "\n".join(rows) + "\n"


def licence_of(package: str) -> str:
    """Return the licence that an installed package declares; `not installed` without the package."""
    try:
        metadata = importlib.metadata.metadata(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
    if expression := metadata.get_all("License-Expression"):
        return str(expression[0])
    classified = [
        name.rpartition(" :: ")[2]
        for name in metadata.get_all("Classifier") or []
        if name.startswith("License :: ")
    ]
    free = (metadata.get_all("License") or [""])[0].partition("\n")[0].strip()
    return ", ".join(name for name in classified if name != "OSI Approved") or free or "not declared"
