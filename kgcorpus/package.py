"""The files that a cluster's executors need, and the spark-submit command that ships them."""

import importlib.metadata
import re
import shlex
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from packaging.requirements import Requirement

from kgcorpus.contracts.errors import EnvironmentLacksError, UsageError
from kgcorpus.contracts.extras import install_command
from kgcorpus.contracts.places import refuse_replaced
from kgcorpus.contracts.store import replacing, write_text

Environment = Literal["image", "pex", "conda-pack", "py-files"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
_EXECUTOR_PACKAGES = ("kgcorpus", "pipelines")
_EXECUTOR_EXTRAS = ("spark", "importance", "store", "s3")
# Paths in the image of docker/spark.Dockerfile.
IMAGE_MAIN = "local:///opt/kgcorpus/pipelines/__main__.py"
IMAGE_LOGGING = "/opt/kgcorpus/pipelines/log4j2.properties"
# The earliest time that the zip format can store; a fixed time gives equal files.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_NAMES = ("kgcorpus.zip", "main.py", "log4j2.properties", "requirements.txt")
_SIGN = '"""A build on a cluster: hand this file to spark-submit."""'
_MAIN = f"""\
{_SIGN}

import sys

# The driver's own installation comes first: it has the embedded world, which the zip leaves out.
sys.path.sort(key=lambda place: place.endswith("kgcorpus.zip"))

from kgcorpus.cli import build_app

sys.exit(build_app())
"""


@dataclass(frozen=True)
class Package:
    """Paths of the generated files.

    Attributes:
        code: our packages, for `--py-files`.
        main: the script that spark-submit runs.
        logging: log4j settings of the driver, which keep tracebacks of failed tasks off the terminal.
        requirements: the libraries that executors need, pinned to the versions installed here.
    """

    code: Path
    main: Path
    logging: Path
    requirements: Path


def make_package(folder: Path) -> Package:
    """Write the package into `folder`; equal installations give equal bytes.

    Raises:
        UsageError: the folder contains a foreign file under one of the names, or belongs to a build or run.
        EnvironmentLacksError: kgcorpus is not installed, so its requirements are unknown.
    """
    refuse_replaced(folder / _NAMES[0])
    _refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = Package(*(folder / name for name in _NAMES))
    # main.py marks a package and is written first, so an interrupted one is recognised and redone.
    write_text(made.main, _MAIN)
    with replacing(made.code) as temporary:
        write_code(temporary)
    write_text(made.logging, (files("pipelines") / made.logging.name).read_text(encoding="utf-8"))
    pins = "".join(f"{name}=={version}\n" for name, version in sorted(requirements().items()))
    write_text(made.requirements, pins)
    return made


def write_code(file: Path) -> None:
    """Write a zip of our packages that Python imports from; equal installations give equal bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(_sources()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder with files of these names but without our main.py: it may be the user's project."""
    main = folder / "main.py"
    if main.is_file() and main.read_bytes().startswith(_SIGN.encode()):
        return
    for name in _NAMES:
        if (folder / name).exists():
            raise UsageError(
                f"holds a {name} that is not of kgcorpus package",
                where=str(folder),
                hint="Choose another --to",
            )


def requirements() -> dict[str, str]:
    """Return distribution -> installed version for all that executors and `main.py` import, recursively.

    Only `main.py` imports typer and rich: on some platforms the driver has no other libraries.
    Distributions that are not installed are left out: without `importance`, the other stages still run.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    queue = [("kgcorpus", extra) for extra in ("", *_EXECUTOR_EXTRAS)]
    while queue:
        name, extra = queue.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name == "kgcorpus":
                raise EnvironmentLacksError(
                    "kgcorpus is not installed", hint=f"Run: {install_command()}"
                ) from None
            continue
        if name != "kgcorpus":
            found[name] = distribution.version.split("+")[0]
        for line in distribution.requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                queue += [(_normal(needed.name), wanted) for wanted in ("", *sorted(needed.extras))]
    return found


def submit_command(
    package: Package,
    *,
    environment: Environment,
    master: str,
    image: str,
    arguments: Sequence[str] = (),
) -> str:
    """Return the spark-submit command, quoted for a shell.

    Args:
        environment: how executors get the libraries.
        master: Spark's master URL.
        image: the container image, for `image`.
        arguments: of build-corpus.
    """
    variables = {"PYSPARK_PYTHON": "python3"}
    options = ["--master", master]
    main, logging = str(package.main), str(package.logging)
    if environment == "image":
        variables = {}
        options += ["--deploy-mode", "cluster", "--conf", f"spark.kubernetes.container.image={image}"]
        main, logging = IMAGE_MAIN, IMAGE_LOGGING
    else:
        options += ["--py-files", str(package.code)]
    if environment == "pex":
        pex = package.code.with_name("environment.pex")
        options += ["--files", str(pex)]
        variables = {"PYSPARK_DRIVER_PYTHON": sys.executable, "PYSPARK_PYTHON": f"./{pex.name}"}
    elif environment == "conda-pack":
        options += ["--archives", f"{package.code.with_name('environment.tar.gz')}#environment"]
        python = "./environment/bin/python"
        variables = {"PYSPARK_DRIVER_PYTHON": sys.executable, "PYSPARK_PYTHON": python}
    # The driver's JVM starts before our code runs, so this must be an option of spark-submit.
    options += ["--driver-java-options", f"-Dlog4j2.configurationFile={logging}"]
    named = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return " ".join([*named, shlex.join(["spark-submit", *options, main, *arguments])])


def recipe(package: Package, environment: Environment, *, image: str) -> list[str]:
    """Return the commands that create the environment; arguments as for `submit_command`."""
    pins, version = package.requirements, f"{sys.version_info.major}.{sys.version_info.minor}"
    return {
        "image": [
            f"docker build -f docker/spark.Dockerfile -t {shlex.quote(image)} .",
            f"docker push {shlex.quote(image)}",
        ],
        "pex": [f"pex -r {pins} --python python{version} -o {pins.with_name('environment.pex')}"],
        "conda-pack": [
            f"conda create -y -n kgcorpus python={version}",
            f"conda run -n kgcorpus pip install -r {pins}",
            f"conda pack -n kgcorpus -o {pins.with_name('environment.tar.gz')}",
        ],
        "py-files": [f"python3 -m pip install -r {pins}    # on every node, Python {version}"],
    }[environment]


def _sources() -> Iterator[tuple[str, Path]]:
    """Yield archive name and path of our files, without the embedded world, which only the driver reads."""
    for package in _EXECUTOR_PACKAGES:
        root = Path(str(files(package)))
        for path in root.rglob("*"):
            inside = path.relative_to(root.parent)
            skipped = "__pycache__" in inside.parts or inside.parts[:3] == ("kgcorpus", "demo", "world")
            if path.is_file() and not skipped:
                yield inside.as_posix(), path


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
