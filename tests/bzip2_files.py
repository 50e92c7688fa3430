"""bzip2 files made block by block, as bzip2 writes them, and their blocks and parts."""

import bz2
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from kgcorpus.inputs import FilePart, Limits
from kgcorpus.inputs.bzip2_blocks import Blocks, find_blocks, read_blocks

BLOCK, END = 0x314159265359, 0x177245385090
LIMITS = Limits(record_mib=1)


class Bits:
    """Bits that become bytes, padded by zeros."""

    def __init__(self) -> None:
        self.value, self.n = 0, 0

    def add(self, value: int, n: int) -> "Bits":
        self.value, self.n = self.value << n | value, self.n + n
        return self

    def to_bytes(self) -> bytes:
        pad = -self.n % 8
        return (self.value << pad).to_bytes((self.n + pad) // 8)


def block_of(content: bytes, level: int = 9) -> tuple[int, int, int]:
    """The bits, their number and the CRC of a block of its own."""
    packed = bz2.compress(content, level)
    bits = 8 * len(packed)
    value = int.from_bytes(packed)
    # The end of the stream is 80 bits, then at most 7 of padding.
    for pad in range(8):
        if value >> pad + 32 & (1 << 48) - 1 == END:
            n = bits - 32 - 80 - pad
            block = value >> pad + 80 & (1 << n) - 1
            if block >> n - 48 == BLOCK:
                return block, n, block >> n - 80 & 0xFFFFFFFF
    raise AssertionError(packed)


def stream_of(blocks: Sequence[tuple[int, int, int]], level: int = 9) -> bytes:
    """One stream of several blocks, as bzip2 writes for content above 100,000 bytes."""
    bits = Bits().add(int.from_bytes(b"BZh%d" % level), 32)
    crc = 0
    for block, n, crc_of_block in blocks:
        bits.add(block, n)
        crc = (crc << 1 | crc >> 31) & 0xFFFFFFFF ^ crc_of_block
    return bits.add(END, 48).add(crc, 32).to_bytes()


def written(folder: Path, data: bytes) -> str:
    path = folder / "x.bz2"
    path.write_bytes(data)
    return str(path)


def blocks_of(path: str) -> Blocks | None:
    with open(path, "rb") as raw:
        return find_blocks(raw)


def parts_at(path: str, blocks: Blocks, borders: Sequence[int]) -> list[FilePart]:
    n = len(blocks.starts)
    ends = sorted({0, n, *(border for border in borders if border < n)})
    return [FilePart(path, blocks, first, stop) for first, stop in pairwise(ends)]


def content_of(path: str, blocks: Blocks, limits: Limits = LIMITS) -> bytes:
    with open(path, "rb") as raw:
        return b"".join(text for _, text in read_blocks(raw, blocks, 0, name=path, limits=limits))
