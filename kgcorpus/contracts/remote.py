"""Access to files by path or URL through fsspec (`s3://`, `gs://`, `hdfs://`, `https://`, ...)."""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from kgcorpus.contracts.digests import stamp_of
from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, KgcorpusError, UsageError
from kgcorpus.contracts.files import require_regular_file
from kgcorpus.contracts.hub_ids import SCHEME
from kgcorpus.contracts.meter import meter
from kgcorpus.contracts.object_store import require_object_store

_CHUNK = 1 << 20
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*"
# Includes chained URLs of fsspec, such as `simplecache::s3://bucket/file`.
_URL = re.compile(f"({_SCHEME}::)*{_SCHEME}://")
_SCHEMES = re.compile(f"({_SCHEME})::?")
_LOCAL_URL = re.compile("(file|local)://")
# The stores' names for a file's hash or modification time.
_STAMPS = ("ETag", "etag", "LastModified", "mtime", "created")
_LONGEST_ERROR = 500  # characters


def is_remote(path: str) -> bool:
    """Whether the string is a URL; `://` further inside a local path is part of a name."""
    return _URL.match(path) is not None


def without_query(path: str) -> str:
    """Strip `?query` and `#fragment` from a URL, e.g. a presigned one; local paths are unchanged."""
    return re.split("[?#]", path, maxsplit=1)[0] if is_remote(path) else path


def require_served(place: str) -> str:
    """Return a path or URL after checking that fsspec supports its scheme.

    `dbfs:/x`, `blockcache::/x` and `S3://x` look like URLs, but local file functions would create a folder
    named `dbfs:`. Relative paths whose first part starts like a scheme are therefore refused, even if they
    exist.

    Raises:
        UsageError: the string starts with `scheme:` or `scheme::` but is not a URL, the scheme is unknown, or
            a `file://` URL has another host.
    """
    begin = _SCHEMES.match(place.lstrip().partition("/")[0])
    if not begin:
        return place
    url = _URL.match(place)
    if not url:
        raise UsageError(
            f"begins with {begin[0]} but is no URL",
            where=place,
            hint="Write a URL as SCHEME://..., a local path as ./NAME",
        )
    known = fsspec.available_protocols()
    if unknown := [scheme for scheme in _SCHEMES.findall(url[0]) if scheme not in known]:
        raise UsageError(
            f"{unknown[0]}:// is not served",
            where=place,
            hint="Use a scheme that fsspec knows, such as s3://, gs://, hdfs:// or https://",
        )
    if _LOCAL_URL.match(place):
        _path_of_local_url(place)
    return place


def _path_of_local_url(url: str) -> str:
    """Convert `file:///path` or `file://localhost/path` (RFC 8089) to a path; `%` is not decoded."""
    host, slash, path = url.partition("://")[2].partition("/")
    if host not in ("", "localhost") or not slash:
        raise UsageError(
            f"names the host {host!r}, and only files of this machine are read and written so",
            where=url,
            hint="Write file:///PATH, or only the path",
        )
    return f"/{path}"


def without_file_scheme(place: str) -> str:
    """Convert a `file://` URL to its path; other URLs and paths are unchanged."""
    return _path_of_local_url(place) if _LOCAL_URL.match(place) else place


def require_regular(file_system: Any, path: str, *, url: str) -> os.stat_result | None:
    """Return the status of a regular file that a URL such as `file://` names; None for other file systems.

    Reading a pipe would hang, and /dev/stdin is another file in each process. A file that does not exist is
    left to the caller.

    Raises:
        InputError: the path exists and is no regular file.
    """
    if not isinstance(file_system, LocalFileSystem) or not os.path.lexists(path):
        return None
    try:
        return require_regular_file(path)
    except InputError as error:
        raise InputError(error.what, where=url, hint=error.hint) from None


def file_name(path: str) -> str:
    """Return the last part of a path or URL, without the query (which may be a signature)."""
    return Path(without_query(path)).name


def is_text(value: str) -> bool:
    """Whether a string is valid Unicode. Python represents non-UTF-8 bytes of arguments as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def require_nonempty(place: str) -> str:
    """Validate a path or URL given as an option.

    Raises:
        UsageError: the string is empty (`Path` would use the working directory), is not UTF-8 (the manifest,
            the card and the JVM could not represent it), or has an unsupported scheme (`require_served`).
    """
    if not is_text(place):
        raise UsageError(
            "an option's path holds bytes that are not UTF-8",
            where=ascii(place),
            hint="Rename the file or folder",
        )
    if not place:
        raise UsageError("an option's path is empty", hint="See whether a variable of the command is unset")
    return require_served(place)


def require_local_path(place: str | Path) -> Path:
    """Validate a local path given as an option.

    Raises:
        UsageError: as for `require_nonempty`, or the string is a URL.
    """
    if is_remote(require_nonempty(str(place))):
        raise UsageError(
            "this must be a path of a file system; a URL is not read or written here",
            where=str(place),
            hint="Name a local path",
        )
    return Path(place)


def model_place(place: str) -> str:
    """Validate a model given as an option: a folder, or the id of one on the Hugging Face hub.

    Raises:
        UsageError: as for `require_local_path`, but for `hf://`.
    """
    if not place.startswith(SCHEME):
        require_local_path(place)
    return place


def local_folder(place: str | Path) -> Path:
    """Validate a local folder in which files are renamed and locked.

    Raises:
        UsageError: as for `require_local_path`.
    """
    if is_remote(require_nonempty(str(place))):
        raise UsageError(
            "this must be a folder of a file system, which can rename and lock; a URL cannot",
            where=str(place),
            hint="Name a folder; kgcorpus publish --to URL sends a finished build or model on",
        )
    return Path(place)


def build_place(place: str | Path) -> str:
    """Validate the folder of a build: a local one, or a URL of an object store.

    Raises:
        UsageError: as for `require_nonempty`; the store has no conditional writes; the URL contains a key.
    """
    checked = require_nonempty(str(place))
    return require_object_store(checked) if is_remote(checked) else checked


@dataclass(frozen=True)
class RemoteFile:
    """Size of a remote file in bytes, and a stamp that changes with its content."""

    size: int
    stamp: str


def describe(url: str) -> RemoteFile:
    """Query the store for a file's size and stamp.

    Raises:
        InputError: the file does not exist, or access is denied.
        EnvironmentLacksError: the file system's package is not installed.
    """
    with wrap_store_errors(url):
        file_system, path = file_system_of(url)
        # fsspec caches listings; a cached one would hide recent changes.
        file_system.invalidate_cache()
        if status := require_regular(file_system, path, url=url):
            return RemoteFile(status.st_size, str(stamp_of(status)))
        info: dict[str, Any] = file_system.info(path)
    stamp = next((info[name] for name in _STAMPS if info.get(name)), "")
    return RemoteFile(int(info["size"]), str(stamp))


def sha256_of_url(url: str) -> str:
    """Return the hex digest of a remote file; raises as `describe` does."""
    digest = hashlib.sha256()
    with wrap_store_errors(url), open_remote(url) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            meter.add(bytes=len(chunk))
    return digest.hexdigest()


def open_remote(url: str) -> Any:
    """Open a remote file for reading bytes."""
    file_system, path = file_system_of(url)
    require_regular(file_system, path, url=url)
    return file_system.open(path, "rb")


def fetch(url: str, target: Path) -> None:
    """Copy a remote file to a temporary local path; raises as `describe` does."""
    with wrap_store_errors(url):
        file_system, path = file_system_of(url)
        require_regular(file_system, path, url=url)
        file_system.get_file(path, str(target))


def file_system_of(place: str) -> tuple[Any, str]:
    """Return the fsspec file system of a path or URL, and the path within it.

    `::` chains URLs; in local paths and `file://` URLs it is part of a name.

    Raises:
        UsageError: the scheme is unsupported (`require_served`).
    """
    local = LocalFileSystem()
    if _LOCAL_URL.match(place):
        return local, local._strip_protocol(_path_of_local_url(place))
    if not is_remote(require_served(place)):
        return local, local._strip_protocol(place)
    return fsspec.core.url_to_fs(place)


@contextlib.contextmanager
def wrap_store_errors(url: str) -> Iterator[None]:
    """Convert the errors of a store to `KgcorpusError`s."""
    try:
        yield
    except KgcorpusError:
        raise
    except FileNotFoundError:
        # The hub answers so for a private repository without a token too.
        hint = "Correct the URL, or log in: hf auth login" if url.startswith("hf://") else "Correct the URL"
        raise InputError("no such file", where=url, hint=hint) from None
    except (ImportError, ValueError) as error:
        raise EnvironmentLacksError(str(error), where=url, hint="Install the package of that store") from None
    except Exception as error:
        if "libjvm" in str(error) or "libhdfs" in str(error):
            raise EnvironmentLacksError(
                "hdfs:// needs Java and the client library of Hadoop, libhdfs",
                where=url,
                hint="Install both, and set JAVA_HOME, HADOOP_HOME and CLASSPATH",
            ) from None
        # Each store's library has its own errors for credentials, buckets and networks.
        hint = "Check the address and the keys"
        raise InputError(f"cannot be read: {_in_one_line(error)}", where=url, hint=hint) from None


def _in_one_line(error: Exception) -> str:
    """An error's text, cut to a readable length: some libraries list every place that they looked at."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= _LONGEST_ERROR else f"{line[:_LONGEST_ERROR]}..."
