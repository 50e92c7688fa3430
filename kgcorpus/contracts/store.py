"""Atomic file writes (temporary name, then rename) and locks on folders and files."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from kgcorpus.contracts.errors import UsageError, with_path_on_disk_full
from kgcorpus.contracts.links import entries_of, files_below, open_to_append
from kgcorpus.contracts.meter import meter

_CHUNK = 1 << 20
_NAME_BYTES = 200
_TEMPORARY = re.compile(r"\.(.+)\.\d+-[0-9a-f]{8}\.tmp", re.DOTALL | re.ASCII)


def sha256_of(path: str | Path) -> str:
    """Return the hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            meter.add(bytes=len(chunk))
    return digest.hexdigest()


def temporary_name(path: Path) -> Path:
    """Return a unique path in the folder of `path` that does not end in `.parquet`."""
    return path.with_name(f".{_cut(path.name)}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def is_temporary(path: Path, of: str | None = None) -> bool:
    """Whether the name was made by `temporary_name`, for a file named `of` or for any file."""
    found = _TEMPORARY.fullmatch(path.name)
    return found is not None and (of is None or found[1] == _cut(of))


def _cut(name: str) -> str:
    # File names are limited to 255 bytes, and the user's name may use all of them.
    return name.encode("utf-8", "surrogateescape")[:_NAME_BYTES].decode("utf-8", "ignore")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; on success it replaces `path`, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def publish(source: Path, target: Path) -> None:
    """Replace `target` by a hard link to `source`, or by a copy if the disk does not support hard links."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def sweep_temporaries(out: Path) -> None:
    """Remove temporary files of killed builds; the caller must hold the build's lock.

    Files of other commands are not touched: tokens of a training, or a run inside the folder.
    """
    deep = (path for name in ("tables", "data", "quarantine") for path in files_below(out / name))
    for leftover in [*entries_of(out.resolve()), *deep]:
        if is_temporary(leftover) and not leftover.is_dir():
            leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_lock(folder: Path, work: str) -> Iterator[None]:
    """Lock a folder; the kernel releases the lock when its owner dies.

    Args:
        folder: the folder; created if it does not exist.
        work: the kind of work, e.g. `build`, for the error.

    Raises:
        UsageError: another process holds the lock, or `.lock` is a link.
        EnvironmentLacksError: the disk became full during the work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open_to_append(folder / ".lock") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            owner = stream.read(20).decode(errors="replace").strip() or "unknown"
            raise UsageError(
                f"another {work} (process {owner}) is at work in this folder",
                where=str(folder),
                hint="Wait for it, or choose another --out",
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()).encode())
        stream.flush()
        with with_path_on_disk_full(folder):
            yield


@contextlib.contextmanager
def try_file_lock(path: Path) -> Iterator[bool]:
    """Try to lock a file for writing, and yield whether it succeeded.

    The lock is on another file in the same folder; the kernel releases it when its owner dies. After
    a successful call the caller must check whether another process has written `path` in the meantime.

    Raises:
        UsageError: the lock file is a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with open_to_append(lock) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            lock.unlink(missing_ok=True)
