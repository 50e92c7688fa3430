"""Decompression of bzip2, gzip, xz and zstd in bounded memory; errors name the position in the file."""

import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import BinaryIO, NamedTuple, Protocol

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs.limits import Limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# pzstd writes a skippable frame before each frame; its magic number ends in 0x0 to 0xF.
_SKIPPABLE = tuple(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16))
# The bytes that a file with this suffix begins with: one of them.
MAGIC: dict[str, tuple[bytes, ...]] = {
    ".bz2": (b"BZh",),
    ".gz": (b"\x1f\x8b",),
    ".xz": (b"\xfd7zXZ\x00",),
    ".zst": (b"\x28\xb5\x2f\xfd", *_SKIPPABLE),
}
_CHUNK = 1 << 20
_PACKED_CHUNK = 1 << 18
# Small files may be packed well; only past this many bytes does the ratio tell a bomb.
_FREE_BYTES = 64 << 20
# A file names the memory that it needs: 65 MiB at `xz -9`, 128 MiB at `zstd --long`, 4 GiB in a hostile one.
_WINDOW_BITS = 28
_MOST_BYTES = 1 << _WINDOW_BITS
_NO_MEMORY = ("Memory usage limit", "too much memory")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gunzip:
    """zlib's decompressor with the interface of bz2's."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        given = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        # A full buffer may hide output that zlib still holds though its input is used up.
        self.needs_input = not self._zlib.unconsumed_tail and len(given) < max_length
        return given


def _unxz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_BYTES)


def _unzstd() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_BITS})


class _Format(NamedTuple):
    """The decompressor of a suffix, and the block size of the zeros that may follow a stream; 0: none."""

    new: Callable[[], _Decompressor]
    padding: int


_FORMATS = {
    ".bz2": _Format(bz2.BZ2Decompressor, 0),
    ".gz": _Format(_Gunzip, 1),
    ".xz": _Format(_unxz, 4),
    ".zst": _Format(_unzstd, 0),
}


class _Decompressed(io.RawIOBase):
    """Decompressed bytes of one or many streams on end.

    `bz2` and `gzip` take garbage after a whole stream for the end of the file, and so lose the rest of a
    damaged multistream dump in silence; here it is an error with its place.
    """

    def __init__(self, raw: BinaryIO, packing: _Format, *, name: str, start: int, limits: Limits) -> None:
        self._raw, self._format, self.name, self._limits = raw, packing, name, limits
        self._stream = packing.new()
        self._ready = memoryview(b"")
        self._start = self._position = start
        self._given = 0

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._raw.close()
        super().close()

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        while not self._ready and self._advance():
            pass
        n = min(len(buffer), len(self._ready))
        buffer[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    def _advance(self) -> bool:
        """Decompress one more chunk; False at the end of the file."""
        packed = b""
        if self._stream.eof:
            packed = self._after_stream()
            if not packed:
                return False
            self._stream = self._format.new()
        elif self._stream.needs_input:
            packed = self._read()
            if not packed:
                raise InputError(
                    "the compressed file ends too early",
                    where=f"{self.name}, byte {self._position}",
                    hint="It is truncated: fetch it again",
                )
        try:
            self._ready = memoryview(self._stream.decompress(packed, _CHUNK))
        except (OSError, ValueError, zlib.error, lzma.LZMAError, zstd.ZstdError) as fault:
            raise self._refusal(fault) from fault
        self._given += len(self._ready)
        where = f"{self.name}, byte {self._position}"
        require_plausible_ratio(self._given, self._position - self._start, limits=self._limits, where=where)
        return True

    def _read(self) -> bytes:
        packed = self._raw.read(_PACKED_CHUNK)
        self._position += len(packed)
        return packed

    def _after_stream(self) -> bytes:
        """What follows on a whole stream and its padding; empty at the end of the file."""
        packed, zeros = self._stream.unused_data or self._read(), 0
        while self._format.padding and packed.startswith(b"\0"):
            rest = packed.lstrip(b"\0")
            zeros += len(packed) - len(rest)
            packed = rest or self._read()
        if zeros and zeros % self._format.padding:
            raise self._refusal()
        return packed

    def _refusal(self, fault: Exception | None = None) -> InputError:
        where = f"{self.name}, byte {max(self._start, self._position - _PACKED_CHUNK)} or after"
        if any(reason in str(fault) for reason in _NO_MEMORY):
            return InputError(
                f"needs more than {_MOST_BYTES >> 20} MiB to unpack",
                where=where,
                hint="Pack it again with xz -9 or zstd --long=27",
            )
        return damaged(where)


def damaged(where: str) -> InputError:
    """The error for packed data that cannot be unpacked."""
    hint = "Fetch the file again and compare its checksum"
    return InputError("the compressed data is damaged", where=where, hint=hint)


def require_plausible_ratio(given: int, packed: int, *, limits: Limits, where: str) -> None:
    """Refuse data that unpack to more than the limit allows, past the first 64 MiB.

    Args:
        given: bytes unpacked so far.
        packed: bytes that they were unpacked from.

    Raises:
        InputError: they do.
    """
    if given > max(_FREE_BYTES, limits.decompression_ratio * packed):
        raise InputError(
            f"unpacks to more than {limits.decompression_ratio} times its size",
            where=where,
            hint="If you trust the file, raise limits.decompression_ratio",
        )


def unpacked(raw: BinaryIO, suffix: str, *, name: str, limits: Limits, start: int = 0) -> io.BufferedReader:
    """The decompressed bytes of a file; reading raises `InputError` at damage or beyond the limits.

    Args:
        suffix: one of `MAGIC`, whose keys are the endings that are known.
        start: where in the file `raw` begins, for errors.
    """
    return io.BufferedReader(
        _Decompressed(raw, _FORMATS[suffix], name=name, start=start, limits=limits), _CHUNK
    )
