"""Parts of a big `.bz2` file that tasks read at the same time; every record belongs to exactly one part.

A part owns some blocks. A line belongs to the part that owns the line end before it (the first line: to the
first part), an element of XML to the part that owns its `<`. A part reads on behind its blocks to the end of
its last record.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.remote import file_name, without_query
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs.bzip2_blocks import Blocks, find_blocks, read_blocks
from kgcorpus.inputs.limits import DEFAULT_LIMITS, Limits, OnBad
from kgcorpus.inputs.lines import UTF8_BOM, line_too_long, parsed_lines, raw_lines
from kgcorpus.inputs.opening import open_raw, size_of

T = TypeVar("T")
# Smaller files are read by one task.
PART_BYTES = 32 << 20
_ROOT, _ROOT_END = b"<mediawiki>", b"</mediawiki>"
_PAGE = re.compile(rb"<page[\s>]")
# Bytes at the end of a block that may begin such a tag.
_TAG_BYTES = 5


@dataclass(frozen=True)
class FilePart:
    """Some blocks of a file, `range(first, stop)`; without blocks the whole file, of any packing."""

    path: str
    blocks: Blocks | None = None
    first: int = 0
    stop: int = 0

    @property
    def where(self) -> str:
        """The file and, of a part, the byte at which it begins, for errors."""
        return f"{self.path}, from byte {self.blocks.byte_of(self.first)} on" if self.blocks else self.path

    @property
    def whole(self) -> "FilePart":
        """All blocks of the file as one part, in which a line has the place that it has in any part."""
        return self if self.blocks is None else replace(self, first=0, stop=len(self.blocks.starts))

    def number_of(self, line: "PlacedLine", *, most: int) -> int:
        """A number in `range(most)` that no other line of the file has, and that no division changes.

        Of a file that is read as a whole it is the byte at which the line begins. Of blocks it is
        `most // number of blocks` for each block before, plus the line's offset in its block.

        Raises:
            InputError: the line begins so far in its block that the number would be the next block's.
        """
        if self.blocks is None:
            return line.offset
        room = most // len(self.blocks.starts)
        if line.offset >= room:
            raise InputError(
                "a block unpacks to so many bytes that lines cannot be numbered",
                where=line.where(self.path),
                hint="Pack the file as .gz or .zst, which is read from start to end",
            )
        return int(np.searchsorted(self.blocks.starts, line.block)) * room + line.offset


class PlacedLine(NamedTuple):
    """A line with its end, and its place, which does not depend on the parts.

    Attributes:
        block: the bit of the packed file at which the block begins that the line begins in; 0 for a line of a
            file that is read as a whole.
        offset: bytes from the start of the block's content, or of the whole file's.
        number: of the line in a file that is read as a whole, from 1; else 0.
    """

    block: int
    offset: int
    number: int
    text: bytes

    def where(self, file: str) -> str:
        """The place for errors and the quarantine."""
        if self.number:
            return f"{file}:{self.number}"
        return f"{file}, bzip2 block at byte {self.block >> 3}, byte {self.offset} of its content"


def split_file(path: str, *, parts: int) -> list[FilePart]:
    """The parts of a file: one, or for a `.bz2` file of 32 MiB or more at least `parts`, of at most 32 MiB.

    A file whose blocks cannot be found for certain, such as a damaged one, is one part.

    Raises:
        InputError: the file cannot be opened.
    """
    size = size_of(path)
    if not without_query(path).endswith(".bz2") or size < PART_BYTES:
        return [FilePart(path)]
    with open_raw(path) as raw:
        blocks = find_blocks(raw)
    if blocks is None or not len(blocks.starts):
        return [FilePart(path)]
    n = max(parts, -(-size // PART_BYTES))
    borders = np.searchsorted(blocks.starts, np.arange(1, n) * (8 * size // n))
    ends = sorted({0, *borders.tolist(), len(blocks.starts)})
    return [FilePart(path, blocks, first, stop) for first, stop in pairwise(ends)]


def part_lines(part: FilePart, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[PlacedLine]:
    """The lines of a part, with their ends and byte order marks.

    Raises:
        InputError: as `raw_lines`, but the first line is not looked at for other encodings.
    """
    if part.blocks is not None:
        yield from _lines_of_blocks(part, part.blocks, limits)
        return
    offset = 0
    for number, line in enumerate(raw_lines(part.path, limits=limits), start=1):
        yield PlacedLine(0, offset, number, line)
        offset += len(line)


def part_records(
    part: FilePart,
    parse: Callable[[str], T],
    *,
    tally: Tally,
    on_bad: OnBad,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[tuple[PlacedLine, T]]:
    """The parsed lines of a part, each with its line; arguments as of `inputs.read_records`.

    Raises:
        InputError: as `part_lines`.
    """
    file = file_name(part.path)
    lines = (
        (line, line.text.removeprefix(UTF8_BOM).rstrip(b"\r\n")) for line in part_lines(part, limits=limits)
    )
    yield from parsed_lines(lines, parse, where=lambda line: line.where(file), tally=tally, on_bad=on_bad)


def _lines_of_blocks(part: FilePart, blocks: Blocks, limits: Limits) -> Iterator[PlacedLine]:
    begun, is_inside = b"", part.first == 0
    block, offset = 0, 0

    def refuse_too_long(length: int) -> None:
        if length > limits.record_bytes:
            raise line_too_long(PlacedLine(block, offset, 0, b"").where(part.path), limits=limits)

    with open_raw(part.path) as raw:
        for number, content in read_blocks(raw, blocks, part.first, name=part.path, limits=limits):
            is_own, start = number < part.stop, 0
            if not is_inside:
                start = content.find(b"\n") + 1 if is_own else 0
                if not start:
                    if is_own:
                        continue
                    return
                is_inside = True
            if not begun:
                block, offset = int(blocks.starts[number]), start
            while stop := content.find(b"\n", start) + 1:
                refuse_too_long(len(begun) + stop - start)
                yield PlacedLine(block, offset, 0, begun + content[start:stop])
                if not is_own:
                    return
                begun, start = b"", stop
                block, offset = int(blocks.starts[number]), start
            refuse_too_long(len(begun) + len(content) - start)
            begun += content[start:]
    if begun:
        yield PlacedLine(block, offset, 0, begun)


def last_line(path: str, blocks: Blocks, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The last line that is not blank, without white space around it.

    Args:
        blocks: of the file.

    Raises:
        InputError: as `read_blocks`.
    """
    tail = b""
    with open_raw(path) as raw:
        for number in reversed(range(len(blocks.starts))):
            _, content = next(read_blocks(raw, blocks, number, name=path, limits=limits))
            tail = content + tail
            _, end, last = tail.rstrip().rpartition(b"\n")
            if (end and last) or len(tail) > limits.record_bytes:
                return last.strip()
    return tail.strip()


class PagesOfPart:
    """The pages of a part as XML of its own: a stream for `wiki.dump.read_pages`.

    Args:
        part: of a MediaWiki export in UTF-8, with blocks.
    """

    def __init__(self, part: FilePart, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._chunks = _pages_of_blocks(part, limits)

    def read(self, n: int, /) -> bytes:
        """The next bytes, of any number but 0; none at the end."""
        return next((chunk for chunk in self._chunks if chunk), b"")


def _pages_of_blocks(part: FilePart, limits: Limits) -> Iterator[bytes]:
    assert part.blocks is not None
    is_inside = part.first == 0
    if not is_inside:
        yield _ROOT
    # `base` is the offset of `kept` from the part's start, `end` that of the first block of the next part.
    kept, base, end = b"", 0, None
    with open_raw(part.path) as raw:
        for number, content in read_blocks(raw, part.blocks, part.first, name=part.path, limits=limits):
            if end is None and number >= part.stop:
                end = base + len(kept)
            data = kept + content
            if not is_inside:
                found = _PAGE.search(data)
                # A tag that begins in the last bytes of the part may need several blocks more.
                if found is not None and end is not None and base + found.start() >= end:
                    break
                if found is None:
                    if end is not None and base + len(data) >= end + _TAG_BYTES:
                        break
                    kept, base = data[-_TAG_BYTES:], base + len(data[:-_TAG_BYTES])
                    continue
                is_inside, data, base = True, data[found.start() :], base + found.start()
            if end is not None and (found := _PAGE.search(data, max(0, end - base))):
                yield _without_sections(data[: found.start()], part)
                break
            _without_sections(data, part)
            yield data[:-_TAG_BYTES]
            kept, base = data[-_TAG_BYTES:], base + len(data[:-_TAG_BYTES])
        else:
            # The file ends with the end of its root.
            yield kept if is_inside else _ROOT_END
            return
    yield _ROOT_END


def _without_sections(data: bytes, part: FilePart) -> bytes:
    """The data; in a comment or a CDATA section a tag is text, so a part would begin in the wrong place."""
    if b"<!" in data:
        raise InputError(
            "the XML has a comment, a CDATA section or a document type, so it cannot be read in parts",
            where=part.where,
            hint="Remove it, or pack the dump as .gz or .xz, which is read from start to end",
        )
    return data
