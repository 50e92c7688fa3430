"""Where a build's files lie, and how they get there whole: written under a temporary name, then renamed."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from kgcorpus.contracts.errors import UsageError, naming
from kgcorpus.contracts.links import entries_of, files_below, open_to_append

_CHUNK = 1 << 20
_NAME_BYTES = 200
_TEMPORARY = re.compile(r"\.(.+)\.\d+-[0-9a-f]{8}\.tmp", re.DOTALL | re.ASCII)


def sha256_of(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def temporary_name(path: Path) -> Path:
    """A name beside `path` that no other attempt uses and that never ends in `.parquet`."""
    return path.with_name(f".{_cut(path.name)}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def is_temporary(path: Path, of: str | None = None) -> bool:
    """Whether a path has a name that `temporary_name` gives: to a file called `of`, or to any."""
    found = _TEMPORARY.fullmatch(path.name)
    return found is not None and (of is None or found[1] == _cut(of))


def _cut(name: str) -> str:
    # A name has at most 255 bytes; the user's may need all of them.
    return name.encode("utf-8", "surrogateescape")[:_NAME_BYTES].decode("utf-8", "ignore")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name; on success it becomes `path`, on failure it goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def publish(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link where the disk can, else a copy."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def sweep_temporaries(out: Path) -> None:
    """Remove what killed attempts of a build left; only the owner of the build's lock may call it.

    What others write meanwhile stays: the tokens of a training, a run that lies in the folder.
    """
    deep = (path for name in ("tables", "data", "quarantine") for path in files_below(out / name))
    for leftover in [*entries_of(out.resolve()), *deep]:
        if is_temporary(leftover) and not leftover.is_dir():
            leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_lock(folder: Path, work: str) -> Iterator[None]:
    """Hold a folder for one piece of work; the kernel lets go of a dead owner's lock.

    Args:
        folder: is made if it is not there.
        work: what is done in it, e.g. `build`.

    Raises:
        UsageError: another process holds it, or `.lock` is a link.
        EnvironmentLacksError: the disk has no room for the work.
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
                mend="Wait for it, or choose another --out",
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()).encode())
        stream.flush()
        with naming(folder):
            yield


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Yield whether this process alone may write a file now; the kernel frees a dead owner's claim.

    The claim is a lock on a file beside `path`. Who gets it must look whether `path` was written meanwhile.

    Raises:
        UsageError: the lock's file is a link.
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
