"""Files by path or URL: any file system that fsspec knows (`s3://`, `gs://`, `hdfs://`, `https://`)."""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, KgcorpusError, UsageError
from kgcorpus.contracts.stages import without_query

_CHUNK = 1 << 20
_URL = re.compile(r"[a-z][a-z0-9+.-]+://")
# What the stores call the hash or the time of a file.
_STAMPS = ("ETag", "etag", "LastModified", "mtime", "created")


def is_remote(path: str) -> bool:
    """Is it a URL and no local path?"""
    return "://" in path


def file_name(path: str) -> str:
    """The last part of a path, or of a URL without its query, which may be a signature."""
    return Path(without_query(path)).name


def is_text(value: str) -> bool:
    """Whether a string is Unicode: Python keeps bytes of an argument that are not UTF-8 as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def given(place: str) -> str:
    """A path or URL as an option gives it.

    Raises:
        UsageError: it is empty, which a `Path` takes for the working directory; or it is not UTF-8, so that
            no manifest, card or JVM can name it.
    """
    if not is_text(place):
        raise UsageError(
            "an option's path holds bytes that are not UTF-8",
            where=ascii(place),
            mend="Rename the file or folder",
        )
    if not place:
        raise UsageError("an option's path is empty", mend="See whether a variable of the command is unset")
    return place


def given_path(place: str | Path) -> Path:
    """The same of a file system."""
    return Path(given(str(place)))


def local_folder(place: str | Path) -> Path:
    """The same, where files can be renamed and locked.

    Raises:
        UsageError: it is empty, or a URL.
    """
    if _URL.match(str(place)):
        raise UsageError(
            "this must be a folder of a file system, which can rename and lock; a URL cannot",
            where=str(place),
            mend="Name a folder; kgcorpus publish --to URL sends a finished build on",
        )
    return given_path(place)


@dataclass(frozen=True)
class RemoteFile:
    """What a store says of a file: its size in bytes, and a stamp that changes with its content."""

    size: int
    stamp: str


def describe(url: str) -> RemoteFile:
    """Ask the store about a file.

    Raises:
        InputError: no such file, or it may not be read.
        EnvironmentLacksError: the file system's package is not installed.
    """
    with told(url):
        file_system, path = file_system_of(url)
        # A listing of an hour ago would hide what has changed since.
        file_system.invalidate_cache()
        info: dict[str, Any] = file_system.info(path)
    stamp = next((info[name] for name in _STAMPS if info.get(name)), "")
    return RemoteFile(int(info["size"]), str(stamp))


def sha256_of_url(url: str) -> str:
    """Hex digest of a remote file's bytes; raises as `describe` does."""
    digest = hashlib.sha256()
    with told(url), fsspec.open(url, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(url: str, target: Path) -> None:
    """Copy a remote file to a local path that no one reads yet; raises as `describe` does."""
    with told(url):
        file_system, path = file_system_of(url)
        file_system.get_file(path, str(target))


def file_system_of(place: str) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the path in it.

    `::` chains URLs, but is part of a name in a local path and in `file://`.
    """
    local = LocalFileSystem()
    if not is_remote(place) or place.startswith(("file://", "local://")):
        return local, local._strip_protocol(place)
    return fsspec.core.url_to_fs(place)


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """Turn a store's own errors into ours."""
    try:
        yield
    except KgcorpusError:
        raise
    except FileNotFoundError:
        raise InputError("no such file", where=url, mend="Correct the URL") from None
    except (ImportError, ValueError) as error:
        raise EnvironmentLacksError(str(error), where=url, mend="Install the package of that store") from None
    except Exception as error:
        # Every store has errors of its own: of credentials, buckets, networks.
        mend = "Check the address and the keys"
        raise InputError(f"cannot be read: {error}", where=url, mend=mend) from None
