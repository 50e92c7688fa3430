"""The blocks of a bzip2 file, found without decompressing it, so that many tasks read parts of one file.

A stream is `BZh`, a digit, blocks, and an end with the CRC of all blocks. Blocks and ends begin with 48-bit
numbers at any bit; after a block's number comes its CRC. Each block is decompressed as a stream of its own,
so bz2 checks its CRC. The CRCs of all streams are checked against those of their blocks before that: a number
that is part of a block's data by chance makes them differ. No library finds blocks without decompressing the
whole file first (rapidgzip 0.16 also accepts garbage after a stream).
"""

import bz2
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kgcorpus.contracts.arrays import Int64s, UInt8s, UInt64s
from kgcorpus.inputs.limits import Limits
from kgcorpus.inputs.packed import damaged, require_plausible_ratio

_BLOCK, _END = 0x314159265359, 0x177245385090
_MAGIC_BITS, _CRC_BITS, _HEADER_BITS, _WORD = 48, 32, 32, 16
_RECORD_BITS = _MAGIC_BITS + _CRC_BITS
_HEADERS = {int.from_bytes(b"BZh%d" % level): level for level in range(1, 10)}
_CHUNK = 16 << 20
# Bytes behind a magic number that `_matches` reads: itself, the CRC, the next stream's header, the shift.
_AHEAD = 24
_MOST_CRC = 0xFFFFFFFF


class Blocks(NamedTuple):
    """Where the blocks of a file are, in the file's order.

    Attributes:
        starts, stops: int64 [B], bits of the file; a block begins with its magic number.
        levels: uint8 [B], the digit of its stream: the block has at most that many times 100,000 bytes
            before its runs are expanded.
    """

    starts: Int64s
    stops: Int64s
    levels: UInt8s

    def byte_of(self, block: int) -> int:
        """The byte of the file in which a block begins."""
        return int(self.starts[block]) >> 3


class _Magics(NamedTuple):
    """The magic numbers of a file in its order: [M] each; `header` is the number after an end, aligned."""

    starts: Int64s
    is_end: NDArray[np.bool_]
    crcs: UInt64s
    headers: UInt64s


def find_blocks(raw: BinaryIO) -> Blocks | None:
    """The blocks of a file; None unless it is whole streams whose CRCs are those of their blocks.

    None does not mean that the file is damaged: read it from its start to know.

    Args:
        raw: the packed file, at its start.
    """
    magics, first, size = _find_magics(raw)
    known = {int(start): i for i, start in enumerate(magics.starts)}
    ends = np.flatnonzero(magics.is_end)
    found: list[Blocks] = []
    at, header = 0, first
    while at < size:
        level, i = _HEADERS.get(header), known.get(8 * at + _HEADER_BITS)
        if level is None or i is None:
            return None
        end = _end_of_stream(magics, ends[np.searchsorted(ends, i) :], known, size)
        # A stream's first number is where one must be, so it is not data.
        if end is None or (magics.is_end[i] and end != i):
            return None
        starts = _true_blocks(magics, i, end)
        if starts is None:
            return None
        stops = np.append(starts[1:], magics.starts[end])[: len(starts)]
        found.append(Blocks(starts, stops, np.full(len(starts), level, np.uint8)))
        at, header = _byte_after(magics, end), int(magics.headers[end])
    if not found:
        return None
    return Blocks(*(np.concatenate(column) for column in zip(*found, strict=True)))


def read_blocks(
    raw: BinaryIO, blocks: Blocks, first: int, *, name: str, limits: Limits
) -> Iterator[tuple[int, bytes]]:
    """Yield (number, content) of the blocks from one on, to the last of the file.

    Raises:
        InputError: a block is damaged, or the blocks unpack beyond the limits.
    """
    given = packed = 0
    for block in range(first, len(blocks.starts)):
        start, stop = int(blocks.starts[block]), int(blocks.stops[block])
        raw.seek(start >> 3)
        data = raw.read((stop + 7 >> 3) - (start >> 3))
        stream = bz2.BZ2Decompressor()
        try:
            content = stream.decompress(_as_stream(data, start & 7, stop - start, int(blocks.levels[block])))
        except (OSError, ValueError) as fault:
            raise damaged(f"{name}, byte {start >> 3} or after") from fault
        if not stream.eof or stream.unused_data:
            raise damaged(f"{name}, byte {start >> 3} or after")
        given, packed = given + len(content), packed + len(data)
        require_plausible_ratio(given, packed, limits=limits, where=f"{name}, byte {stop >> 3}")
        yield block, content


def _as_stream(data: bytes, shift: int, bits: int, level: int) -> bytes:
    """A stream of one block: the CRC of the stream is that of the block."""
    block = int.from_bytes(data) >> (8 * len(data) - shift - bits) & ((1 << bits) - 1)
    crc = block >> (bits - _RECORD_BITS) & _MOST_CRC
    header = int.from_bytes(b"BZh%d" % level)
    end = _END << _CRC_BITS | crc
    length = _HEADER_BITS + bits + _RECORD_BITS
    padding = -length % 8
    stream = ((header << bits | block) << _RECORD_BITS | end) << padding
    return stream.to_bytes((length + padding) // 8)


def _find_magics(raw: BinaryIO) -> tuple[_Magics, int, int]:
    """All 48-bit matches, the file's first four bytes, and its size in bytes."""
    found: list[_Magics] = []
    base, carried, first = 0, b"", 0
    while True:
        data = _read_fully(raw, _CHUNK)
        buffer = carried + data
        if not base:
            first = int.from_bytes(buffer[:4])
        is_last = len(data) < _CHUNK
        stop = len(buffer) if is_last else len(buffer) - _AHEAD
        found.append(_matches(buffer, base, stop))
        if is_last:
            size = base + len(buffer)
            columns = (np.concatenate(column) for column in zip(*found, strict=True))
            return _Magics(*columns), first, size
        base, carried = base + stop, buffer[stop:]


def _read_fully(raw: BinaryIO, n: int) -> bytes:
    """n bytes; fewer only at the end of the file."""
    pieces = []
    while n and (piece := raw.read(n)):
        pieces.append(piece)
        n -= len(piece)
    return b"".join(pieces)


def _words() -> Iterator[tuple[int, int, bool]]:
    """(16 bits of a magic number, their place in it, whether it is an end's) for the places 0 to 15.

    Of every 16 bits at an even byte within a magic number, the first is at such a place.
    """
    for magic, is_end in ((_BLOCK, False), (_END, True)):
        for place in range(_WORD):
            yield magic >> (_MAGIC_BITS - _WORD - place) & 0xFFFF, place, is_end


_WORDS = tuple(_words())
_IS_WORD = np.zeros(1 << _WORD, np.bool_)
_IS_WORD[[word for word, _, _ in _WORDS]] = True


def _matches(buffer: bytes, base: int, stop: int) -> _Magics:
    """The magic numbers that begin in the first `stop` bytes of a buffer, which begins at byte `base`."""
    padded = np.frombuffer(buffer + bytes(_AHEAD + len(buffer) % 2), np.uint8)
    words = padded.view(">u2").astype(np.uint16)
    hits = np.flatnonzero(_IS_WORD[words])
    starts, ends = [], []
    for word, place, is_end in _WORDS:
        at = 16 * hits[words[hits] == word] - place
        at = at[(at >= 0) & (at < 8 * stop)]
        at = at[_bits(padded, at, _MAGIC_BITS) == (_END if is_end else _BLOCK)]
        starts.append(at)
        ends.append(np.full(len(at), is_end))
    found, is_end_of = np.concatenate(starts), np.concatenate(ends)
    order = np.argsort(found)
    found, is_end_of = found[order], is_end_of[order]
    headers = _bits(padded, (found + _RECORD_BITS + 7) & ~7, _HEADER_BITS)
    crcs = _bits(padded, found + _MAGIC_BITS, _CRC_BITS)
    return _Magics(found + 8 * base, is_end_of, crcs, headers)


def _bits(data: UInt8s, starts: Int64s, n: int) -> UInt64s:
    """[len(starts)] the n bits from each of some bits on; n is at most 56."""
    places, shifts = starts >> 3, (starts & 7).astype(np.uint64)
    value = np.zeros(len(starts), np.uint64)
    for i in range(8):
        value = value << np.uint64(8) | data[places + i].astype(np.uint64)
    return value << shifts >> np.uint64(64 - n)


def _byte_after(magics: _Magics, end: int) -> int:
    return (int(magics.starts[end]) + _RECORD_BITS + 7) >> 3


def _end_of_stream(magics: _Magics, ends: Int64s, known: dict[int, int], size: int) -> int | None:
    """The first end after which the file ends or a stream begins; others are data that look like one."""
    for i in ends:
        after = _byte_after(magics, i)
        if after == size:
            return int(i)
        if int(magics.headers[i]) in _HEADERS and 8 * after + _HEADER_BITS in known:
            return int(i)
    return None


def _true_blocks(magics: _Magics, first: int, end: int) -> Int64s | None:
    """[B] the blocks of a stream without at most one false magic number; None if no choice fits the CRC."""
    of_stream = np.arange(first, end)[~magics.is_end[first:end]]
    starts, crcs = magics.starts[of_stream], magics.crcs[of_stream]
    expected = int(magics.crcs[end])
    n = len(crcs)
    # The CRC of a stream: for each block rotate by one bit to the left, then XOR with the block's.
    turned = _rotated(crcs, np.arange(n - 1, -1, -1))
    if _xor(turned) == expected:
        return starts
    # Without block i, those before it are rotated once less.
    before = np.concatenate([[np.uint64(0)], np.bitwise_xor.accumulate(turned)])[:n]
    after = np.uint64(_xor(turned)) ^ before ^ turned
    without = _rotated(before, np.full(n, 31)) ^ after
    fitting = np.flatnonzero(without == expected)
    # The first number of a stream is where one must be.
    return np.delete(starts, fitting[0]) if len(fitting) == 1 and fitting[0] else None


def _rotated(values: UInt64s, by: Int64s) -> UInt64s:
    """32-bit numbers rotated to the left."""
    shift = (by % 32).astype(np.uint64)
    return (values << shift | values >> (np.uint64(32) - shift)) & np.uint64(_MOST_CRC)


def _xor(values: UInt64s) -> int:
    return int(np.bitwise_xor.reduce(values)) if len(values) else 0
