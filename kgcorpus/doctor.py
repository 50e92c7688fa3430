"""Checks of this machine for `kgcorpus doctor`: what is missing, and how to install it."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kgcorpus.contracts.caches import kernel_cache
from kgcorpus.contracts.errors import EnvironmentLacksError
from kgcorpus.contracts.extras import EXTRAS, install_command
from kgcorpus.java import find_java

MIN_PYTHON = (3, 11)
GIB = 1 << 30
_MIN_FREE_DISK = 5 * GIB
_MIN_MEMORY = 4 * GIB
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

_LIST_GPUS = """
import torch
print(", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())))
"""


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        name: name of the check.
        ok: whether it passed.
        detail: what was found.
        hint: how to fix it; empty if it passed.
        required: whether `build-corpus` needs it.
    """

    name: str
    ok: bool
    detail: str
    hint: str = ""
    required: bool = False


def checks(out: Path = Path()) -> list[Check]:
    """Check Python, Java, extras, disk, memory, cores and GPU; `out` is the folder of a future build."""
    return [
        _python(),
        _java(),
        *(_extra(name) for name in EXTRAS),
        _kernel_cache(),
        _disk("disk", out),
        _disk("scratch disk", Path(os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0])),
        _memory(),
        _cores(),
        _gpu(),
    ]


def _python() -> Check:
    ok = sys.version_info >= MIN_PYTHON
    wanted = ".".join(map(str, MIN_PYTHON))
    hint = "" if ok else f"Install Python {wanted} or newer"
    return Check("python", ok, f"{sys.version.split()[0]} at {sys.executable}", hint, required=True)


def _java() -> Check:
    try:
        java = find_java()
    except EnvironmentLacksError as error:
        detail = f"{error.what} ({error.where})" if error.where else error.what
        return Check("java", False, detail, error.hint, required=True)
    return Check("java", True, f"{java.version} at {java.home} ({java.source})", required=True)


def _extra(name: str) -> Check:
    required = name == "spark"
    missing = [package for package in EXTRAS[name] if importlib.util.find_spec(package) is None]
    if missing:
        hint = f"Run: {install_command(name)}"
        return Check(f"extra {name}", False, f"lacks {', '.join(missing)}", hint, required)
    return Check(f"extra {name}", True, ", ".join(map(_versioned, EXTRAS[name])), required=required)


def _versioned(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        # On clusters, pyspark is often on PYTHONPATH without a distribution's metadata.
        return f"{package} (version unknown)"


def _kernel_cache() -> Check:
    try:
        folder = kernel_cache()
    except OSError as error:
        hint = "Make one writable: each process compiles the kernels, which takes about a minute"
        return Check("kernel cache", False, f"no folder can be written ({error.strerror})", hint)
    return Check("kernel cache", True, str(folder or "beside the code"))


def _disk(name: str, folder: Path) -> Check:
    folder = folder.absolute()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    ok = free >= _MIN_FREE_DISK
    hint = "" if ok else f"Free {_gib(_MIN_FREE_DISK)} there, or choose another disk"
    return Check(name, ok, f"{_gib(free)} free at {existing}", hint)


def _memory() -> Check:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in map(Path, _CGROUP_LIMITS):
        if limit.exists() and (text := limit.read_text(encoding="ascii").strip()).isdigit():
            total = min(total, int(text))
    ok = total >= _MIN_MEMORY
    hint = "" if ok else f"Give it {_gib(_MIN_MEMORY)}, or set spark.memory lower and expect slow builds"
    return Check("memory", ok, _gib(total), hint)


def _cores() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("cores", True, str(usable))


def _gpu() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("gpu", True, "not looked for: torch is not installed")
    # In a subprocess, because importing a torch built for another machine can crash the process.
    # -P: not a torch.py of the working directory.
    run = subprocess.run(
        [sys.executable, "-P", "-c", _LIST_GPUS], capture_output=True, text=True, check=False
    )
    if run.returncode:
        lines = run.stderr.strip().splitlines() or [f"exit status {run.returncode}"]
        hint = "Install the build of torch for this machine"
        return Check("gpu", False, f"torch cannot be imported: {lines[-1]}", hint)
    return Check("gpu", True, run.stdout.strip() or "none that torch can use")


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
