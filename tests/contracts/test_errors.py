"""Whatever ends a command ends it in one line with the right exit code."""

import errno
import pickle
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import (
    EnvironmentLacksError,
    InputError,
    KgcorpusError,
    as_error,
    with_path_on_disk_full,
)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("is bad", where="a:3"), 3, "a:3: is bad"),
        (OSError(errno.ENOSPC, "No space left on device", "/a"), 4, "/a: the disk is full. Free space"),
        (OSError(errno.EFBIG, "File too large"), 4, "grew past the limit"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a"), 4, "/a: Not a directory. A file"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), 4, "/a: Permission denied. Choose"),
        (Exception("No space left on device (os error 28)"), 4, "the disk is full"),
        (RuntimeError("failed writing file data/0: file write failed"), 4, "the disk is full"),
        (MemoryError(), 4, "there is not enough memory (MemoryError). Free some"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. Allocator: can't allocate memory: "
                         "you tried to allocate 2814 bytes. Error code 12 (Cannot allocate memory)"),
            4,
            "memory (Allocator: can't allocate memory: you tried to allocate 2814 bytes). Free",
        ),
        (RuntimeError("CUDA out of memory. Tried 2 GiB"), 4, "enough memory (CUDA out of memory). Free"),
        (KeyError("a\nb"), 1, "KeyError: 'a\\nb'. Run with --debug for the trace, and report it"),
    ],
)  # fmt: skip
def test_any_exception_becomes_one_line(error: Exception, code: int, said: str) -> None:
    shown = as_error(error)
    assert shown.exit_code == code
    assert said in str(shown)
    assert "\n" not in str(shown)


def test_an_error_survives_the_way_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(InputError("is bad", where="a:3", hint="Fix it")))
    assert isinstance(error, KgcorpusError)
    assert str(error) == "a:3: is bad. Fix it"
    assert error.hint == error.mend == "Fix it"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        Exception("No space left on device (os error 28)"),
        RuntimeError("failed writing file data/0: file write failed"),
    ],
)
def test_a_full_disk_is_told_with_the_folder_though_the_write_named_no_file(error: Exception) -> None:
    said = r"^/RUN: the disk is full\. Free space there"
    with pytest.raises(EnvironmentLacksError, match=said), with_path_on_disk_full(Path("/RUN")):
        raise error


def test_other_errors_pass_a_folder_unchanged() -> None:
    with pytest.raises(KeyError, match="a"), with_path_on_disk_full(Path("/RUN")):
        raise KeyError("a")
