"""Fetching of files over HTTP: sizes first, resumable, verified."""

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, UsageError
from kgcorpus.contracts.store import write_text
from kgcorpus.downloads.sources import Source

_PIECE = 1 << 20
_TRIES, _TIMEOUT = 4, 60.0
# Of a publisher's file of sums; a longer one is not such a file.
_MOST_SUMS = 1 << 22
_SHA1 = 40


@dataclass(frozen=True)
class Remote:
    """A file as its server describes it.

    Attributes:
        url: its address, at the mirror if there is one.
        path: where it is saved.
        bytes: its size; None if the server does not say.
        version: its ETag or date; a part of another version is not resumed.
        sha1: as its publisher states it; None: not stated.
    """

    url: str
    path: Path
    bytes: int | None
    version: str
    sha1: str | None

    @property
    def part(self) -> Path:
        """Where an unfinished download is kept."""
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def is_here(self) -> bool:
        """Whether the file is there with the size that the server states."""
        return self.path.is_file() and self.bytes in (None, self.path.stat().st_size)

    @property
    def missing_bytes(self) -> int:
        """Bytes still to fetch; 0 if the size is unknown."""
        if self.is_here or self.bytes is None:
            return 0
        return self.bytes - (self.part.stat().st_size if self.part.is_file() else 0)


def look_up(sources: Iterable[Source], folder: Path, *, mirror: str | None = None) -> list[Remote]:
    """Ask the servers for sizes and checksums; fetches no file.

    Args:
        sources: what to fetch.
        folder: where the files are saved.
        mirror: `https://host/path` in place of each address's scheme and host.

    Raises:
        InputError: a file is not published at its address, or a server cannot be reached.
        UsageError: the mirror is not an HTTP address.
    """
    if mirror is not None and urllib.parse.urlsplit(mirror).scheme not in ("http", "https"):
        raise UsageError("is no http or https address", where=mirror, hint="Correct --mirror")
    found = []
    for source in sources:
        sums = _sums(_at(source.sums, mirror)) if source.sums else {}
        for address in source.urls:
            url = _at(address, mirror)
            name = url.rpartition("/")[2]
            if source.sums and name not in sums:
                raise InputError("its publisher states no SHA-1 of it", where=url, hint="Choose another date")
            with _opened(url, method="HEAD") as answer:
                size = answer.headers.get("Content-Length")
                version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            found.append(Remote(url, folder / name, int(size) if size else None, version, sums.get(name)))
    return found


def require_room(files: Sequence[Remote], folder: Path) -> None:
    """Check that the missing bytes fit on the disk.

    Raises:
        EnvironmentLacksError: they do not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing, free = sum(file.missing_bytes for file in files), shutil.disk_usage(folder).free
    if missing > free:
        raise EnvironmentLacksError(
            f"{missing:,} bytes are missing, and the disk has room for {free:,}",
            where=str(folder),
            hint="Choose another --to, or make room",
        )


def fetch(file: Remote, *, on_bytes: Callable[[int], None] = lambda count: None) -> bool:
    """Fetch a file, from where an earlier call stopped, and verify it.

    Args:
        on_bytes: called with the number of bytes of each piece.

    Returns:
        False if the file was there already; its SHA-1 is compared again.

    Raises:
        InputError: the server cannot be reached, or size or SHA-1 differ from what is published.
    """
    if file.is_here:
        _verify(file, file.path)
        return False
    file.path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(_TRIES):
        try:
            _append(file, on_bytes)
            break
        except (OSError, http.client.HTTPException) as error:
            # The part stays; the next attempt or the next call continues from it.
            if attempt == _TRIES - 1:
                raise InputError(
                    f"the connection broke {_TRIES} times ({error})",
                    where=file.url,
                    hint="Run the same command again: it resumes",
                ) from None
            time.sleep(2**attempt / 4)
    _version_of(file).unlink(missing_ok=True)
    _verify(file, file.part)
    file.part.replace(file.path)
    return True


def _append(file: Remote, on_bytes: Callable[[int], None]) -> None:
    start = _resumable(file)
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and file.bytes == start:
        return
    with _opened(file.url, headers=headers) as answer:
        if start and answer.status != http.client.PARTIAL_CONTENT:
            # The server sent the whole file.
            start = 0
        write_text(_version_of(file), file.version)
        with open(file.part, "ab" if start else "wb") as part:
            while piece := answer.read(_PIECE):
                part.write(piece)
                on_bytes(len(piece))
    if file.bytes is not None and file.part.stat().st_size < file.bytes:
        raise ConnectionError("the server closed the connection early")


def _resumable(file: Remote) -> int:
    """Bytes of an unfinished download of the same version."""
    note = _version_of(file)
    if not file.part.is_file() or not note.is_file() or not file.version:
        return 0
    size = file.part.stat().st_size
    is_same = note.read_text(encoding="utf-8") == file.version
    return size if is_same and size <= (file.bytes or size) else 0


def _version_of(file: Remote) -> Path:
    return file.path.with_name(f"{file.path.name}.part.version")


def _verify(file: Remote, path: Path) -> None:
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        path.unlink()
        raise InputError(f"has {size:,} bytes, not {file.bytes:,}", where=str(path), hint="Download it again")
    if file.sha1 is None:
        return
    with open(path, "rb") as stream:
        found = hashlib.file_digest(stream, "sha1").hexdigest()
    if found != file.sha1:
        path.unlink()
        raise InputError(
            f"has the SHA-1 {found}, its publisher states {file.sha1}",
            where=str(path),
            hint="Download it again; it was deleted",
        )


def _sums(url: str) -> Mapping[str, str]:
    with _opened(url) as answer:
        text = answer.read(_MOST_SUMS).decode("utf-8", "replace")
    pairs = [line.split(maxsplit=1) for line in text.splitlines()]
    return {pair[1].strip(): pair[0].lower() for pair in pairs if len(pair) == 2 and len(pair[0]) == _SHA1}


def _at(address: str, mirror: str | None) -> str:
    if mirror is None:
        return address
    parts = urllib.parse.urlsplit(address)
    return f"{mirror.rstrip('/')}{parts.path}"


def _opened(url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
    request = urllib.request.Request(
        url, method=method, headers={"User-Agent": "kgcorpus", **(headers or {})}
    )
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code >= 500 and method == "GET":
            raise
        raise InputError(
            f"is not published there (HTTP {error.code})",
            where=url,
            hint="Choose another date or name; of a wiki only recent dates are kept",
        ) from None
    except urllib.error.URLError as error:
        if method == "GET":
            raise
        raise InputError(f"cannot be reached ({error.reason})", where=url, hint="Check the network") from None
