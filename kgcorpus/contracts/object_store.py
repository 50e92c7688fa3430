"""Objects below a URL of S3, Google Cloud Storage or Azure, with conditional writes (library: obstore).

Keys and endpoints are taken from the environment variables of each store (`AWS_*`, `GOOGLE_*`, `AZURE_*`) or
from the machine's role; they are no part of an object of this module, so pickling one sends no secret.
"""

import errno
import io
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from kgcorpus.contracts.endpoints import address_of, endpoint_settings
from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, KgcorpusError, UsageError
from kgcorpus.contracts.extras import install_command
from kgcorpus.contracts.meter import meter
from kgcorpus.contracts.secrets import redact, remember_environment

SCHEMES = ("s3", "gs", "abfs", "abfss")
_URL = re.compile(rf"({'|'.join(SCHEMES)})://(?P<place>[^?#]+)")
# Objects up to this size are read in one request.
_AT_ONCE = 8 << 20
_RETRY: Any = {"max_retries": 6, "retry_timeout": timedelta(seconds=120)}
_SHA256 = "sha256"
_CODE = re.compile(r"<Code>(\w+)</Code>")
_ATTEMPTS, _NO_ROOM = 5, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """An object as the store lists it.

    Attributes:
        size: in bytes.
        modified: by the store's clock.
        version: changes with the content; for conditional writes.
    """

    size: int
    modified: datetime
    version: Any


def is_object_store(place: str) -> bool:
    """Whether a path or URL is in a store that this module serves."""
    return _URL.match(place) is not None


def require_object_store(place: str) -> str:
    """Check a URL to which a command writes, and return it without trailing slashes.

    Raises:
        UsageError: the scheme is another one, or the URL contains a key, a query or a fragment.
    """
    match = _URL.fullmatch(place)
    scheme = place.partition("://")[0]
    if not match and scheme not in SCHEMES:
        raise UsageError(
            f"{scheme}:// has no conditional writes, which a build needs to commit",
            where=place,
            hint="Name a local folder, or a URL that starts with s3://, gs://, abfs:// or abfss://",
        )
    user, at, _ = place.partition("://")[2].partition("/")[0].rpartition("@")
    if not match or (at and (":" in user or not scheme.startswith("abfs"))):
        raise UsageError(
            "contains a key, a query or a fragment",
            where=redact(place),
            hint="Write the bucket and the path only; keys are taken from the environment",
        )
    return place.rstrip("/")


class ObjectStore:
    """The objects below a URL; keys are relative to it.

    All methods raise EnvironmentLacksError if the store cannot be reached or refuses access, and OSError for
    a fault of a local file.
    """

    def __init__(self, url: str) -> None:
        self.url = require_object_store(url)

    def __reduce__(self) -> tuple[type["ObjectStore"], tuple[str]]:
        return ObjectStore, (self.url,)

    @property
    def _store(self) -> Any:
        return _opened(self.url, address_of(self.url, os.environ))

    def get(self, key: str) -> tuple[bytes, Found] | None:
        """Return an object's bytes; None if it does not exist."""
        import obstore

        def read() -> tuple[bytes, Found]:
            answer = obstore.get(self._store, key)
            return bytes(answer.bytes()), _found(answer.meta)

        found = self._unless_missing(key, read)
        if found is not None:
            meter.add(bytes=len(found[0]))
        return found

    def head(self, key: str) -> Found | None:
        """Describe an object; None if it does not exist."""
        import obstore

        return self._unless_missing(key, lambda: _found(obstore.head(self._store, key)))

    def put(self, key: str, content: Path | bytes, *, sha256: str = "") -> None:
        """Write an object whole, whatever was there; safe to repeat.

        Args:
            sha256: stored with the object, for `digest_of`.
        """
        import obstore

        attributes: Any = {_SHA256: sha256} if sha256 else None
        self._of_bucket(key, lambda: obstore.put(self._store, key, content, attributes=attributes))

    def create(self, key: str, content: bytes) -> Any:
        """Write an object if there is none.

        The client may repeat a request whose answer was lost, and be refused because of its own success.
        Therefore the object is read back after any answer but a clear success.

        Args:
            content: must differ from what any other process writes to this key.

        Returns:
            Its version; None if the object exists with other content.
        """
        return self._put_if(key, content, "create")

    def replace(self, key: str, content: bytes, version: Any) -> Any:
        """Write an object if its version is still the given one; arguments and result as for `create`."""
        return self._put_if(key, content, version)

    def _put_if(self, key: str, content: bytes, mode: Any) -> Any:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        for last in (False, False, True):
            failure: EnvironmentLacksError | None = None
            try:
                # One request: a multipart upload has no condition on all stores.
                made = self._do(
                    key,
                    lambda: obstore.put(self._store, key, content, mode=mode, use_multipart=False),
                    attempts=1,
                )
                return {name: value for name, value in made.items() if value is not None}
            except (AlreadyExistsError, PreconditionError):
                pass
            except FileNotFoundError as error:
                if mode == "create":
                    raise self._error(key, error) from None
            except EnvironmentLacksError as error:
                failure = error
            found = self.get(key)
            if found is not None and found[0] == content:
                return found[1].version
            if failure is None:
                return None
            if last:
                raise failure
        return None

    def digest_of(self, key: str) -> tuple[str, int]:
        """Return the SHA-256 that was stored with an object ("" if none was), and its size.

        Raises:
            InputError: there is no such object.
        """
        import obstore

        def read() -> tuple[str, int]:
            answer = obstore.get(self._store, key, options={"range": (0, 1)})
            return str(answer.attributes.get(_SHA256, "")), int(answer.meta["size"])

        return self._required(key, read)

    def list(self, prefix: str = "") -> dict[str, Found]:
        """Return the objects below a folder: key -> description."""
        import obstore

        def read() -> dict[str, Found]:
            listed = obstore.list(self._store, prefix or None)
            return {str(found["path"]): _found(found) for page in listed for found in page}

        return self._of_bucket(prefix, read)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; missing ones are ignored."""
        import obstore

        if names := [*keys]:
            self._unless_missing(names[0], lambda: obstore.delete(self._store, names))

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the store.

        Raises:
            InputError: there is no such object.
        """
        import obstore

        self._required(source, lambda: obstore.copy(self._store, source, target))

    def download(self, key: str, target: Path) -> None:
        """Write an object's bytes to a file.

        Raises:
            InputError: there is no such object.
        """
        import obstore

        def read() -> None:
            with open(target, "wb") as file:
                for chunk in obstore.get(self._store, key).stream(min_chunk_size=1 << 20):
                    file.write(chunk)
                    meter.add(bytes=len(chunk))

        self._required(key, read)

    def open(self, key: str) -> io.RawIOBase | io.BytesIO:
        """Open an object for reading: small ones whole, others by ranges.

        Raises:
            InputError: there is no such object.
        """
        found = self.head(key)
        if found is not None and found.size > _AT_ONCE:
            return _Reader(self, key, found.size)
        whole = self.get(key) if found is not None else None
        if whole is None:
            raise _missing(f"{self.url}/{key}")
        return io.BytesIO(whole[0])

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end`.

        Raises:
            InputError: there is no such object.
        """
        import obstore

        def read() -> bytes:
            return bytes(obstore.get_range(self._store, key, start=start, end=end))

        content = self._required(key, read)
        meter.add(bytes=len(content))
        return content

    def _do(self, key: str, action: Callable[[], T], *, attempts: int = _ATTEMPTS) -> T:
        """Run a request; repeat it after a failure that may pass, such as an answer that was cut off.

        obstore repeats refused requests itself, but no answer whose bytes end too early.
        """
        from obstore import exceptions

        final = (exceptions.AlreadyExistsError, exceptions.PreconditionError, FileNotFoundError)
        hopeless = (
            exceptions.PermissionDeniedError,
            exceptions.UnauthenticatedError,
            exceptions.NotSupportedError,
            exceptions.InvalidPathError,
        )
        for attempt in range(attempts):
            try:
                return action()
            except final:
                raise
            except hopeless as error:
                raise self._error(key, error) from None
            except (exceptions.BaseError, OSError) as error:
                if _is_local(error):
                    raise
                if attempt == attempts - 1:
                    raise self._error(key, error) from None
                time.sleep(0.2 * 2**attempt)
        raise AssertionError

    def _unless_missing(self, key: str, action: Callable[[], T]) -> T | None:
        try:
            return self._do(key, action)
        except FileNotFoundError:
            return None

    def _of_bucket(self, key: str, action: Callable[[], T]) -> T:
        try:
            return self._do(key, action)
        except FileNotFoundError as error:
            # There is no such bucket.
            raise self._error(key, error) from None

    def _required(self, key: str, action: Callable[[], T]) -> T:
        try:
            return self._do(key, action)
        except FileNotFoundError:
            raise _missing(f"{self.url}/{key}") from None

    def _error(self, key: str, error: Exception) -> KgcorpusError:
        from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

        text = str(error)
        code = _CODE.search(text)
        # The rest of an obstore error is a dump of Rust structures.
        detail = code[1] if code else redact(" ".join(text.partition("\n\nDebug source")[0].split()))[:300]
        refused = isinstance(error, PermissionDeniedError | UnauthenticatedError)
        return EnvironmentLacksError(
            f"the store {'refuses access' if refused else 'cannot be used'} ({detail})",
            where=f"{self.url}/{key}",
            hint="Check the bucket, the keys in the environment and the network, then run the same command",
        )


class _Reader(io.RawIOBase):
    """An object as a file of which each read is one request."""

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._opened, self._key, self._size, self._place = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._place + size)
        if end <= self._place:
            return b""
        content = self._opened.read_range(self._key, self._place, end)
        self._place += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        return self._place


def open_object(url: str) -> io.RawIOBase | io.BytesIO:
    """Open the object of a URL, as `ObjectStore.open`."""
    folder, _, name = url.rpartition("/")
    return _store_at(folder).open(name)


@lru_cache(maxsize=64)
def _store_at(url: str) -> ObjectStore:
    return ObjectStore(url)


@lru_cache(maxsize=64)
def _opened(url: str, _address: str) -> Any:
    try:
        from obstore.store import from_url
    except ImportError:
        raise EnvironmentLacksError(
            "the library obstore is not installed", where=url, hint=f"Run: {install_command('store')}"
        ) from None
    remember_environment(os.environ)
    options: Any = {"client_options": _client_options(url, os.environ), "retry_config": _RETRY}
    try:
        return from_url(url, **options)
    except Exception as error:
        raise EnvironmentLacksError(
            f"cannot be opened ({redact(str(error).partition(chr(10))[0])})",
            where=url,
            hint="Correct the URL, or the store's variables in the environment",
        ) from None


def _client_options(url: str, environment: Mapping[str, str]) -> dict[str, Any]:
    # Servers on loopback have no certificates.
    is_plain = any(value.startswith("http://") for value in endpoint_settings(url, environment).values())
    return {"timeout": timedelta(seconds=120), **({"allow_http": True} if is_plain else {})}


def _found(meta: Mapping[str, Any]) -> Found:
    version = {name: meta[name] for name in ("e_tag", "version") if meta.get(name) is not None}
    return Found(int(meta["size"]), meta["last_modified"], version)


def _is_local(error: Exception) -> bool:
    """Whether a file of this machine is the cause, e.g. a full disk (then the error names no file)."""
    return isinstance(error, OSError) and (error.filename is not None or error.errno in _NO_ROOM)


def _missing(url: str) -> InputError:
    return InputError("no such object", where=url, hint="Run the same kgcorpus build-corpus again")
