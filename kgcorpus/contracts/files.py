"""Checks of input files before they are opened."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import InputError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# Paths of one process's descriptors; in a Spark worker the same path is another file.
_OF_A_PROCESS = ("/dev/", "/proc/")


def require_regular_file(path: str | Path) -> os.stat_result:
    """Return the status of a regular file; symbolic links are followed.

    Inputs are read by several processes and more than once, so pipes, devices and /dev/stdin are refused.

    Raises:
        InputError: the file does not exist or is not a regular file.
    """
    where = str(path)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise InputError("no such file", where=where, hint="Correct the path") from None
    except OSError as error:
        raise InputError("the file cannot be opened", where=where, hint=error.strerror or "") from None
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None and _leads_to_a_descriptor(where):
        kind = "a file of one process"
    if kind is not None:
        hint = "Name a file in it" if kind == "a folder" else "Write it to one first"
        raise InputError(f"is no regular file but {kind}", where=where, hint=hint)
    return status


def parse_json(text: str | bytes) -> Any:
    """Parse JSON from an untrusted source.

    Raises:
        ValueError: the text is not JSON, or is nested deeper than the parser supports.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _leads_to_a_descriptor(path: str) -> bool:
    for _ in range(40):  # Linux follows no more links
        path = os.path.abspath(path)
        if path.startswith(_OF_A_PROCESS):
            return not path.startswith("/dev/shm/")
        if not os.path.islink(path):
            return False
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return False
