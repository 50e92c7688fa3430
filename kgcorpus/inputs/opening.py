"""Opens input files on any file system, and refuses archives and compressions that it cannot read."""

import io
from typing import BinaryIO, cast

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import require_regular_file
from kgcorpus.contracts.meter import count_reads
from kgcorpus.contracts.remote import is_remote, open_remote, without_query
from kgcorpus.inputs.limits import DEFAULT_LIMITS, Limits
from kgcorpus.inputs.packed import MAGIC, unpacked

_FORMATS = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"PK\x03\x04", "a zip archive"),
    (b"Rar!", "a rar archive"),
    (b"PAR1", "a Parquet file"),
)
_PACKED = tuple((magic, f"packed: call it {suffix}") for suffix, magics in MAGIC.items() for magic in magics)
_PACKED_CHUNK = 1 << 18
_TAR_MAGIC = slice(257, 262)


class _Slice(io.RawIOBase):
    """The bytes [start, stop) of a file."""

    def __init__(self, raw: BinaryIO, start: int, stop: int) -> None:
        self._raw, self._left = raw, stop - start
        raw.seek(start)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._raw.close()
        super().close()

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._raw.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def open_input(path: str, *, limits: Limits = DEFAULT_LIMITS, readers: int = 1) -> io.BufferedReader:
    """Open a file of any fsspec file system; `.bz2` (also multistream), `.gz`, `.xz` and `.zst` are unpacked.

    Args:
        readers: how many tasks read this file; each counts its share of the bytes.

    Raises:
        InputError: there is no such file, or it is an archive or packed in another way. The stream raises it
            too if the file is truncated or damaged (with the position), or unpacks to more than the limits.
    """
    raw = open_raw(path, readers=readers)
    suffix = next((suffix for suffix in MAGIC if without_query(path).endswith(suffix)), None)
    head = raw.read(512)
    raw.seek(0)
    if suffix is None or not head.startswith(MAGIC[suffix]):
        _refuse_formats(head, path, _FORMATS + _PACKED)
    if suffix is None:
        return raw
    if head and not head.startswith(MAGIC[suffix]):
        raise _refused(f"not packed, though its name ends in {suffix}", path)
    stream = unpacked(raw, suffix, name=path, limits=limits)
    _refuse_formats(stream.peek(512), path, _FORMATS + tuple((magic, "packed twice") for magic, _ in _PACKED))
    return stream


def open_slice(path: str, start: int, stop: int, *, limits: Limits = DEFAULT_LIMITS) -> BinaryIO:
    """Open a part of a `.bz2` file: the bytes [start, stop), which consist of whole bz2 streams.

    Raises:
        InputError: as `open_input`; also if the last stream does not end at `stop`.
    """
    part = cast(BinaryIO, io.BufferedReader(_Slice(open_raw(path), start, stop), _PACKED_CHUNK))
    return unpacked(part, ".bz2", name=path, limits=limits, start=start)


def size_of(path: str) -> int:
    """Return the size of a file in bytes, as it is stored."""
    with open_raw(path) as raw:
        return raw.seek(0, io.SEEK_END)


def open_raw(path: str, *, readers: int = 1) -> io.BufferedReader:
    """Open a file of any fsspec file system without unpacking it.

    Args:
        readers: as of `open_input`.

    Raises:
        InputError: there is no such file, or it cannot be opened.
    """
    try:
        # `readline` of a remote file of fsspec takes no limit; a buffered reader's does.
        if is_remote(path):
            return count_reads(open_remote(path), readers=readers)
        require_regular_file(path)
        return count_reads(open(path, "rb", buffering=0), readers=readers)
    except FileNotFoundError as fault:
        raise InputError("no such file", where=path, hint="Check the path in the configuration") from fault
    except PermissionError as fault:
        raise InputError("the file cannot be opened", where=path, hint=fault.strerror or "") from fault


def _refuse_formats(head: bytes, path: str, formats: tuple[tuple[bytes, str], ...]) -> None:
    what = next((name for magic, name in formats if head.startswith(magic)), None)
    if head[_TAR_MAGIC] == b"ustar":
        what = "a tar archive"
    if what is not None:
        raise _refused(what, path)


def _refused(what: str, path: str) -> InputError:
    return InputError(f"the file is {what}", where=path, hint="Plain, .gz, .bz2, .xz and .zst files are read")
