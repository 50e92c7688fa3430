"""`make release-check`: wheel and sdist; the wheel's demo on each Python, the tutorials on the first."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.pages import run_page
from tests.release.installed import Installed, licence_table

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = "spark,train,report,java"
SMALL = ("spark.master=local[2]", "spark.partitions=2", "spark.memory=1g")
# The goal for the packages of the base install, without pip and setuptools.
MOST_BASE_MB = 120


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pythons", nargs="*", default=list(PYTHONS), help="versions, found on PATH")
    parser.add_argument("--write", action="store_true", help="write docs/licences.md")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="kgcorpus-release-") as folder:
        work = Path(folder)
        wheel = build_wheel(work)
        say(f"wheel: {wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB")
        check_base(wheel, work / "base", write=options.write)
        for version in options.pythons:
            python = find_python(version)
            if python is None:
                say(f"python {version}: not run, because no python{version} is on PATH")
                continue
            started = time.monotonic()
            try:
                check_python(wheel, python, work / version)
            except subprocess.CalledProcessError as error:
                failed += 1
                command = " ".join(map(str, error.cmd))
                say(f"python {version}: FAILED: {command}\n{error.stdout}{error.stderr}")
                continue
            say(f"python {version}: demo, train and report passed in {time.monotonic() - started:.0f} s")
            if version == options.pythons[0]:
                started = time.monotonic()
                check_tutorials(Installed(work / version), work / version)
                say(f"python {version}: the tutorials passed in {time.monotonic() - started:.0f} s")
            shutil.rmtree(work / version, ignore_errors=True)
    return 1 if failed else 0


def say(text: str) -> None:
    print(text, flush=True)


def build_wheel(work: Path) -> Path:
    """Build the sdist, and the wheel from the unpacked sdist; `dist/` has both."""
    tools = Installed.new(Path(sys.executable), work / "tools")
    tools.pip("install", "build", "hatchling")
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    tools.python("-m", "build", "--no-isolation", "--outdir", str(dist), str(ROOT), cwd=work)
    (wheel,) = dist.glob("*.whl")
    assert len(list(dist.glob("*.tar.gz"))) == 1
    return wheel


def check_base(wheel: Path, folder: Path, *, write: bool) -> None:
    """Install the wheel without extras; report its size, and the licences of each extra's packages."""
    base = Installed.new(Path(sys.executable), folder)
    base.pip("install", str(wheel))
    sizes = base.megabytes()
    total = sum(sizes.values())
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    shown = ", ".join(f"{name} {sizes[name]:.0f}" for name in largest)
    verdict = "within" if total <= MOST_BASE_MB else "above"
    say(f"base: {total:.0f} MB installed ({shown}), {verdict} the goal of {MOST_BASE_MB} MB")
    for words in (("--version",), ("plan", "--help"), ("inspect", "--help")):
        base.kgcorpus(*words, cwd=folder)
    if write:
        (ROOT / "docs" / "licences.md").write_text(licence_table(ROOT), encoding="utf-8")


def check_python(wheel: Path, python: Path, folder: Path) -> None:
    """Install the wheel with its extras into a new environment, and run the first hour's commands there.

    Raises:
        CalledProcessError: a command failed.
    """
    made = Installed.new(python, folder)
    made.pip("install", f"{wheel}[{EXTRAS}]")
    where = made.python("-c", "import kgcorpus; print(kgcorpus.__file__)", cwd=folder)
    assert str(folder) in where, where
    settings = [word for setting in SMALL for word in ("--set", setting)]
    printed = made.kgcorpus("demo", "--out", "demo", "--max-steps", "20", *settings, cwd=folder)
    assert printed.splitlines()[-1] == f"checkpoint: {Path('demo', 'kmlm', 'model')}", printed
    report = folder / "demo" / "corpus" / "report.json"
    report.unlink()
    made.kgcorpus("report", "--out", "demo/corpus", cwd=folder)
    assert report.exists()
    again = made.kgcorpus("demo", "--out", "demo", "--max-steps", "20", *settings, cwd=folder)
    assert "up to date: " in again, again


def check_tutorials(made: Installed, folder: Path) -> None:
    """Run the tutorials' commands from the wheel, on the demo that `check_python` left.

    Raises:
        AssertionError: a command failed.
    """
    binaries, place = made.folder / "bin", folder / "tutorials"
    place.mkdir()
    (folder / "demo").rename(place / "demo-run")
    (packages,) = made.folder.glob("lib/python*/site-packages")
    world = packages / "kgcorpus" / "demo" / "world"
    for page in ("own-language", "evaluate", "wikipedia"):
        own = place if page == "evaluate" else place / page
        own.mkdir(exist_ok=True)
        run_page(
            f"tutorials/{page}.md",
            own,
            binaries,
            PYTHONPATH="",
            WIKI_LANG="fr",
            DUMPS=str(place / "demo-run" / "corpus" / "world"),
            GRAPH=str(world / "graph"),
            TITLES=str(world / "wikipedia" / "fr-titles.tsv"),
        )


def find_python(version: str) -> Path | None:
    """Return an interpreter of this version that starts; pyenv's shims exist without one."""
    name = shutil.which(f"python{version}")
    candidates = [name] if name else []
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python3"), reverse=True)]
    for candidate in candidates:
        done = subprocess.run([candidate, "-V"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.startswith(f"Python {version}."):
            return Path(candidate)
    return None


if __name__ == "__main__":
    sys.exit(main())
