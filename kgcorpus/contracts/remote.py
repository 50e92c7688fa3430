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

_CHUNK = 1 << 20
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*"
# Also a chain of fsspec, as `simplecache::s3://bucket/file`.
_URL = re.compile(f"({_SCHEME}::)*{_SCHEME}://")
_SCHEMES = re.compile(f"({_SCHEME})::?")
_LOCAL_URL = re.compile("(file|local)://")
# What the stores call the hash or the time of a file.
_STAMPS = ("ETag", "etag", "LastModified", "mtime", "created")


def is_remote(path: str) -> bool:
    """Whether a place is a URL; `://` further on in a local path is part of a name."""
    return _URL.match(path) is not None


def without_query(path: str) -> str:
    """A URL without `?query` and `#fragment`, as a presigned one has them; a local path as it is."""
    return re.split("[?#]", path, maxsplit=1)[0] if is_remote(path) else path


def require_served(place: str) -> str:
    """Return a path or URL, after a check that its scheme is one of fsspec's.

    `dbfs:/x`, `blockcache::/x` and `S3://x` look like addresses, but a file system takes them for names and
    makes a folder called `dbfs:`. A relative path whose first part begins like a scheme is therefore refused,
    whether or not it exists.

    Raises:
        UsageError: it begins with `scheme:` or `scheme::` and is no URL, or a URL of an unknown scheme; or a
            `file://` URL names another host.
    """
    begin = _SCHEMES.match(place.lstrip().partition("/")[0])
    if not begin:
        return place
    url = _URL.match(place)
    if not url:
        raise UsageError(
            f"begins with {begin[0]} but is no URL",
            where=place,
            mend="Write a URL as SCHEME://..., a local path as ./NAME",
        )
    known = fsspec.available_protocols()
    if unknown := [scheme for scheme in _SCHEMES.findall(url[0]) if scheme not in known]:
        raise UsageError(
            f"{unknown[0]}:// is not served",
            where=place,
            mend="Use a scheme that fsspec knows, such as s3://, gs://, hdfs:// or https://",
        )
    if _LOCAL_URL.match(place):
        _path_of_local_url(place)
    return place


def _path_of_local_url(url: str) -> str:
    """`file:///path` and `file://localhost/path` (RFC 8089) as a path; `%` stands for itself."""
    host, slash, path = url.partition("://")[2].partition("/")
    if host not in ("", "localhost") or not slash:
        raise UsageError(
            f"names the host {host!r}, and only files of this machine are read and written so",
            where=url,
            mend="Write file:///PATH, or the path alone",
        )
    return f"/{path}"


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
            no manifest, card or JVM can name it; or its scheme is not served (`require_served`).
    """
    if not is_text(place):
        raise UsageError(
            "an option's path holds bytes that are not UTF-8",
            where=ascii(place),
            mend="Rename the file or folder",
        )
    if not place:
        raise UsageError("an option's path is empty", mend="See whether a variable of the command is unset")
    return require_served(place)


def given_path(place: str | Path) -> Path:
    """A path of this machine's file systems as an option gives it.

    Raises:
        UsageError: as `given`; or it is a URL.
    """
    if is_remote(given(str(place))):
        raise UsageError(
            "this must be a path of a file system; a URL is not read or written here",
            where=str(place),
            mend="Name a local path",
        )
    return Path(place)


def local_folder(place: str | Path) -> Path:
    """The same of a folder where files are renamed and locked.

    Raises:
        UsageError: as `given_path`.
    """
    if is_remote(given(str(place))):
        raise UsageError(
            "this must be a folder of a file system, which can rename and lock; a URL cannot",
            where=str(place),
            mend="Name a folder; kgcorpus publish --to URL sends a finished build on",
        )
    return Path(place)


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
    with told(url), open_remote(url) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def open_remote(url: str) -> Any:
    """A remote file, open for reading bytes."""
    file_system, path = file_system_of(url)
    return file_system.open(path, "rb")


def fetch(url: str, target: Path) -> None:
    """Copy a remote file to a local path that no one reads yet; raises as `describe` does."""
    with told(url):
        file_system, path = file_system_of(url)
        file_system.get_file(path, str(target))


def file_system_of(place: str) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the path in it.

    `::` chains URLs, but is part of a name in a local path and in `file://`.

    Raises:
        UsageError: its scheme is not served (`require_served`).
    """
    local = LocalFileSystem()
    if _LOCAL_URL.match(place):
        return local, local._strip_protocol(_path_of_local_url(place))
    if not is_remote(require_served(place)):
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
