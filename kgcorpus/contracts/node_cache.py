"""Read-only folders on this machine's disk, shared by all processes of the user, in a bounded space.

TMPDIR/kgcorpus-UID/cache contains a folder for each entry:

    HASH/lock      a shared lock: a process uses the entry; an exclusive one: it fills or removes the entry.
                   The modification time is that of the last use
    HASH/reserved  bytes that an unfinished fetch will need
    HASH/content/  the files, and last `digests.json` (`seal`), which marks them as complete

The kernel releases locks when a process dies, so a killed fetch is repeated by the next process that needs
the entry. Files that are mapped into memory stay usable when their entry is removed.
"""

import errno
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from kgcorpus.contracts.caches import temporary_folder_of_user
from kgcorpus.contracts.digests import seal, sealed_files
from kgcorpus.contracts.endpoints import address_of
from kgcorpus.contracts.errors import EnvironmentLacksError, UsageError, with_path_on_disk_full
from kgcorpus.contracts.links import entries_of, files_below, remove

# The environment variable with the most that all entries may take, in GiB.
LIMIT = "KGCORPUS_CACHE_GIB"
DEFAULT_GIB = 100.0
_LOCK, _RESERVED, _CONTENT = "lock", "reserved", "content"
# How long a process waits until entries in use become free.
_PATIENCE_SECONDS = 60.0
_ATTEMPTS = 10
# Locks that this process keeps until it ends, by entry.
_held: dict[str, int] = {}

Reserve = Callable[[int], None]
Fetch = Callable[[Path, Reserve], None]


@contextmanager
def cached(url: str, fetch: Fetch) -> Iterator[Path]:
    """Yield the local folder of an entry; the caller maps its files before the block ends.

    Args:
        url: names the entry; the same URL at the same server always means the same content.
        fetch: (folder, reserve) -> None; writes the files into the empty folder. If it knows their size in
            bytes, it calls `reserve` with it first.

    Raises:
        EnvironmentLacksError: the entry does not fit into the bound, or the disk is full.
    """
    for _ in range(_ATTEMPTS):
        with _locked(url, fcntl.LOCK_SH) as entry:
            if sealed_files(entry / _CONTENT):
                os.utime(entry / _LOCK)
                yield entry / _CONTENT
                return
        with _locked(url, fcntl.LOCK_EX) as entry, with_path_on_disk_full(entry):
            # Another process may have filled it in between.
            if not sealed_files(entry / _CONTENT):
                _fill(entry, fetch)
    raise EnvironmentLacksError(
        "its copy is removed by other processes as soon as it is made",
        where=url,
        hint=f"Raise {LIMIT} ({_limit() / 2**30:g})",
    )


def held_folder(url: str) -> Path:
    """Return the folder of an entry that the caller fills by itself; it is kept until this process ends."""
    folder = _folder_of(url)
    if str(folder) not in _held:
        _held[str(folder)] = _lock(folder, fcntl.LOCK_SH)
    os.utime(folder / _LOCK)
    return folder


def make_room(entry: Path, size: int) -> None:
    """Reserve space for an entry; the entries that were used least recently are removed.

    Args:
        size: bytes of the whole entry.

    Raises:
        EnvironmentLacksError: the bound is lower than the size, or entries in use leave too little of it.
    """
    limit = _limit()
    if size > limit:
        raise EnvironmentLacksError(
            f"{size / 2**20:,.1f} MiB are needed, more than the bound of {limit / 2**20:,.1f} MiB",
            where=str(entry.parent),
            hint=f"Raise {LIMIT}",
        )
    end = time.monotonic() + _PATIENCE_SECONDS
    while (in_use := _try_to_make_room(entry, size, limit)) + size > limit:
        if time.monotonic() > end:
            raise EnvironmentLacksError(
                f"{size / 2**20:,.1f} MiB are needed; other processes use {in_use / 2**20:,.1f} of "
                f"{limit / 2**20:,.1f} MiB",
                where=str(entry.parent),
                hint=f"Wait for them, or raise {LIMIT}",
            )
        time.sleep(0.5)


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            # Another process may be removing it.
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def _try_to_make_room(entry: Path, size: int, limit: int) -> int:
    """Return the bytes of the other entries; reserve the space if these and `size` are within the limit."""
    root = entry.parent
    with _flocked(root / ".lock"):
        others = [path for path in entries_of(root) if path.is_dir() and path != entry]
        sizes = {path: _size_with_reserved(path) for path in others}
        total = sum(sizes.values())
        for path in sorted(others, key=_last_use):
            if total + size <= limit:
                break
            if _evict(path):
                total -= sizes[path]
        if total + size <= limit:
            (entry / _RESERVED).write_text(str(size), encoding="ascii")
        return total


def _fill(entry: Path, fetch: Fetch) -> None:
    content = entry / _CONTENT
    remove(content)
    try:
        content.mkdir(mode=0o700)
        try:
            fetch(content, lambda size: make_room(entry, size))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # Other programs use the disk, too: everything that nobody uses goes, then once more.
            _evict_all(entry)
            remove(content)
            content.mkdir(mode=0o700)
            fetch(content, lambda size: make_room(entry, size))
        make_room(entry, size_of(content))
        if not sealed_files(content):
            seal(content, (str(path.relative_to(content)) for path in files_below(content)))
    except BaseException:
        remove(content)
        raise
    finally:
        (entry / _RESERVED).unlink(missing_ok=True)


def _evict_all(entry: Path) -> None:
    with _flocked(entry.parent / ".lock"):
        for path in entries_of(entry.parent):
            if path.is_dir() and path != entry:
                _evict(path)


def _evict(entry: Path) -> bool:
    """Remove an entry that no process uses."""
    try:
        descriptor = os.open(entry / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in entries_of(entry):
            if path.name != _LOCK:
                remove(path)
        (entry / _LOCK).unlink()
        # A process that waits for the lock sees that its file is gone, and makes a new one.
        with suppress(OSError):
            entry.rmdir()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextmanager
def _locked(url: str, mode: int) -> Iterator[Path]:
    entry = _folder_of(url)
    descriptor = _lock(entry, mode)
    try:
        yield entry
    finally:
        os.close(descriptor)


def _lock(entry: Path, mode: int) -> int:
    """Return a descriptor that holds the lock of an entry; the entry is created if it does not exist."""
    while True:
        entry.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(entry / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            # Removed in between.
            continue
        fcntl.flock(descriptor, mode)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(entry / _LOCK)):
                return descriptor
        os.close(descriptor)


@contextmanager
def _flocked(path: Path) -> Iterator[None]:
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _folder_of(url: str) -> Path:
    name = sha256(address_of(url, os.environ).encode()).hexdigest()[:24]
    return temporary_folder_of_user("cache") / name


def _size_with_reserved(entry: Path) -> int:
    try:
        reserved = int((entry / _RESERVED).read_text(encoding="ascii") or 0)
    except (OSError, ValueError):
        reserved = 0
    return max(reserved, size_of(entry))


def _last_use(entry: Path) -> float:
    try:
        return (entry / _LOCK).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _limit() -> int:
    """The bound in bytes.

    Raises:
        UsageError: the variable is not a positive number.
    """
    text = os.environ.get(LIMIT) or str(DEFAULT_GIB)
    try:
        gib = float(text)
    except ValueError:
        gib = math.nan
    if not (gib > 0 and math.isfinite(gib)):
        raise UsageError(
            f"must be a positive number of GiB, not {text!r}",
            where=LIMIT,
            hint="Correct it in the environment",
        )
    return int(gib * 2**30)
