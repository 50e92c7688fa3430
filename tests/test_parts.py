"""Parts of a bzip2 file: blocks found at any bit, every record once, damage never silent."""

import bz2
import itertools
import random
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import FilePart, PagesOfPart, open_input, part_lines, split_file
from kgcorpus.wiki.dump import read_pages
from tests.bzip2_files import (
    BLOCK,
    END,
    LIMITS,
    Bits,
    block_of,
    blocks_of,
    content_of,
    parts_at,
    stream_of,
    written,
)

TAGS = [b"<page>", b"</page>", b"\n", b"<pa", b"ge>", b"<page >", b"<pages>", b"x" * 40, b"<", b"\r\n"]
pieces = st.lists(st.binary(max_size=12) | st.sampled_from(TAGS), min_size=1, max_size=4).map(b"".join)
streams = st.lists(st.lists(pieces.filter(bool), max_size=6), min_size=1, max_size=4)
borders = st.lists(st.integers(0, 24), max_size=6)


def check_lines(folder: Path, streams: list[list[bytes]], borders: list[int], level: int) -> None:
    path = written(folder, b"".join(stream_of([block_of(c, level) for c in s], level) for s in streams))
    content = b"".join(text for stream in streams for text in stream)
    assert bz2.decompress(Path(path).read_bytes()) == content
    blocks = blocks_of(path)
    assert blocks is not None
    assert len(blocks.starts) == sum(map(len, streams))
    assert content_of(path, blocks) == content
    numbered = [
        (part.number_of(line, most=2**40), line)
        for part in parts_at(path, blocks, borders)
        for line in part_lines(part)
    ]
    lines = [line for _, line in numbered]
    assert [line.text for line in lines] == re.findall(rb"[^\n]*\n|[^\n]+", content)
    whole = FilePart(path, blocks, 0, 1).whole
    assert lines == list(part_lines(whole))
    numbers = [number for number, _ in numbered]
    assert numbers == [whole.number_of(line, most=2**40) for line in lines]
    assert numbers == sorted(set(numbers))
    assert all(0 <= number < 2**40 for number in numbers)


@settings(max_examples=60, deadline=None)
@given(streams, borders, st.integers(1, 9))
def test_every_line_is_in_one_part(tmp_path_factory, streams, borders, level):
    check_lines(tmp_path_factory.mktemp("parts"), streams, borders, level)


def examples_of(check: Callable[..., None], folder: Path, n: int, *values: st.SearchStrategy[Any]) -> int:
    """Check about n examples; returns how many were run."""
    count = itertools.count()

    @settings(max_examples=n, deadline=None)
    @given(st.tuples(*values))
    def run(values: tuple[Any, ...]) -> None:
        next(count)
        check(folder, *values)

    run()
    return next(count)


@pytest.mark.slow
def test_every_line_is_in_one_part_of_many_files(tmp_path):
    assert examples_of(check_lines, tmp_path, 2_500, streams, borders, st.integers(1, 9)) >= 2_000


def page(n: int, text: str) -> str:
    return f"<page><title>T{n}</title><ns>0</ns><id>{n}</id><revision><text>{text}</text></revision></page>\n"


cuts = st.lists(st.integers(1, 700), max_size=30)


def check_pages(folder: Path, texts: list[str], cuts: list[int], borders: list[int]) -> None:
    pages = "".join(page(n, text) for n, text in enumerate(texts, start=1))
    xml = f"<mediawiki>\n<siteinfo/>\n{pages}</mediawiki>\n".encode()
    ends = sorted({0, len(xml), *(cut for cut in cuts if cut < len(xml))})
    path = written(folder, stream_of([block_of(xml[i:j]) for i, j in pairwise(ends)]))
    blocks = blocks_of(path)
    assert blocks is not None
    with open_input(path) as stream:
        expected = list(read_pages(stream, where=path))
    found = [
        page
        for part in parts_at(path, blocks, borders)
        for page in read_pages(PagesOfPart(part), where=part.where)
    ]
    assert found == expected
    assert len(expected) == len(texts)


texts = st.lists(st.sampled_from(["", "&lt;page>", "long " * 20, "é", "page>", "a > b"]), max_size=6)


# The tag of the third page is in three blocks, and the first of them is the last of its part.
@example(["&lt;page>", "&lt;page>", ""], [1, 2, 119, 213, 214], [3, 4])
@settings(max_examples=60, deadline=None)
@given(texts, cuts, borders)
def test_every_page_is_in_one_part(tmp_path_factory, texts, cuts, borders):
    check_pages(tmp_path_factory.mktemp("parts"), texts, cuts, borders)


@pytest.mark.slow
def test_every_page_is_in_one_part_of_many_files(tmp_path):
    assert examples_of(check_pages, tmp_path, 2_500, texts, cuts, borders) >= 2_000


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    data = b"".join(stream_of([block_of(text) for text in stream]) for stream in draw(streams))
    match draw(st.sampled_from(["cut", "flip", "insert", "append", "swap"])):
        case "cut":
            return data[: draw(st.integers(0, len(data) - 1))]
        case "flip":
            bit = draw(st.integers(0, 8 * len(data) - 1))
            return (int.from_bytes(data) ^ 1 << bit).to_bytes(len(data))
        case "insert":
            at = draw(st.integers(0, len(data)))
            return data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at:]
        case "append":
            return data + draw(
                st.binary(min_size=1, max_size=20) | st.sampled_from([b"BZh9", b"BZh", b"\0" * 4])
            )
        case _:
            at = draw(st.integers(0, len(data)))
            return data[at:] + data[:at]


def check_damage(folder: Path, data: bytes) -> None:
    """What is read by blocks is what is read from start to end; an error there is an error here."""
    path = written(folder, data)
    blocks = blocks_of(path)
    if blocks is None:
        return
    try:
        content = content_of(path, blocks)
    except InputError:
        content = None
    try:
        with open_input(path) as stream:
            expected = stream.read()
    except InputError as error:
        # Archives and the like are refused before a file is split.
        expected = None if "the file is" not in str(error) else content
    assert content == expected


EMPTY = b"BZh9" + END.to_bytes(6) + bytes(4)


@settings(max_examples=100)
@example(EMPTY + b"\0" + EMPTY)
@given(damaged_files())
def test_damage_is_never_silent(tmp_path_factory, data):
    check_damage(tmp_path_factory.mktemp("parts"), data)


@pytest.mark.slow
def test_damage_is_never_silent_in_many_files(tmp_path):
    assert examples_of(check_damage, tmp_path, 4_000, damaged_files()) >= 2_000


def block_with(symbols: bytes) -> tuple[bytes, tuple[int, int, int]]:
    """A block whose coded bits are these bytes, each 2 to 254: all Huffman codes have 8 bits.

    Returns:
        Its content, and as `block_of`.
    """
    order = list(range(1, 255))
    last = bytearray()
    for symbol in symbols:
        order.insert(0, order.pop(symbol - 1))
        last.append(order[0])
    # The inverse of the Burrows-Wheeler transform, then of the run-length code before it.
    by_byte = sorted(range(len(last)), key=lambda i: last[i])
    at, text = by_byte[0], bytearray()
    for _ in last:
        text.append(last[at])
        at = by_byte[at]
    content, run = bytearray(), 0
    for byte in text:
        if run == 4:
            content += content[-1:] * byte
            run = 0
            continue
        run = run + 1 if content and content[-1] == byte and run else 1
        content.append(byte)
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)
            crc &= 0xFFFFFFFF
    crc ^= 0xFFFFFFFF
    bits = Bits().add(BLOCK, 48).add(crc, 32).add(0, 1 + 24).add(0xFFFF, 16)
    # The bytes 1 to 254 are in use.
    bits.add((1 << 256) - 1 - (1 << 255) - 1, 256)
    groups = len(symbols) // 50 + 1
    bits.add(2, 3).add(groups, 15).add(0, groups)
    for _ in range(2):
        bits.add(8, 5).add(0, 256)
    bits.add(int.from_bytes(symbols + b"\xff"), 8 * len(symbols) + 8)
    return bytes(content), (bits.value, bits.n, crc)


FALSE = [BLOCK.to_bytes(6), END.to_bytes(6)]


@pytest.mark.parametrize("false", [FALSE[:1], FALSE[1:], FALSE, FALSE[:1] * 2])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_magic_number_within_a_block_joins_its_neighbours(tmp_path, false, place):
    inner = b"".join(b"many other symbols " * 3 + magic + b"CRC?BZh9 and so on" for magic in false)
    content, block = block_with(inner)
    others = [b"one\ntwo", b"three\n"]
    blocks, contents = [block_of(text) for text in others], list(others)
    blocks.insert(place, block)
    contents.insert(place, content)
    # A stream of its own behind it stays split.
    data = stream_of(blocks) + bz2.compress(b"four\n")
    path = written(tmp_path, data)
    assert all(f"{int.from_bytes(magic):048b}" in f"{int.from_bytes(data):b}" for magic in false)
    assert bz2.decompress(data) == b"".join(contents) + b"four\n"
    found = blocks_of(path)
    if len(false) == 2 and false[0] == false[1]:
        # Two false ones in one stream: the file is read from start to end.
        assert found is None
        return
    assert found is not None
    assert len(found.starts) == 4
    assert content_of(path, found) == b"".join(contents) + b"four\n"
    for border in range(1, 4):
        lines = [line.text for part in parts_at(path, found, [border]) for line in part_lines(part)]
        assert b"".join(lines) == b"".join(contents) + b"four\n"


@pytest.mark.parametrize("level", [1, 9])
def test_a_file_that_bz2_wrote_is_split(tmp_path, level, monkeypatch):
    monkeypatch.setattr("kgcorpus.inputs.parts.PART_BYTES", 50_000)
    content = b"".join(b"%d %s\n" % (n, bytes(str(n**7), "ascii")) for n in range(60_000))
    halves = content[:400_000], content[400_000:]
    for data in (bz2.compress(content, level), b"".join(bz2.compress(half, level) for half in halves)):
        path = written(tmp_path, data)
        parts = split_file(path, parts=3)
        assert 1 < len(parts) <= len(data) // 50_000 + 3
        lines = [line for part in parts for line in part_lines(part)]
        assert b"".join(line.text for line in lines) == content
        assert lines == list(part_lines(FilePart(path, parts[0].blocks, 0, parts[-1].stop)))
        assert len({line.where("x") for line in lines}) == len(lines)


def test_small_damaged_and_other_files_are_one_part(tmp_path, monkeypatch):
    path = written(tmp_path, bz2.compress(b"a\nb"))
    assert split_file(path, parts=9) == [FilePart(path)]
    assert [line.where("x") for line in part_lines(FilePart(path))] == ["x:1", "x:2"]
    monkeypatch.setattr("kgcorpus.inputs.parts.PART_BYTES", 1)
    assert split_file(path, parts=9)[0].blocks is not None
    for data in (bz2.compress(b"a\nb")[:-1], bz2.compress(b"a\nb") + b"garbage", b"", bz2.compress(b"")):
        assert split_file(written(tmp_path, data), parts=9) == [FilePart(path)]
    plain = tmp_path / "x.txt"
    plain.write_bytes(b"BZh9")
    assert split_file(str(plain), parts=9) == [FilePart(str(plain))]


def test_lines_of_a_block_without_room_for_their_numbers_are_refused(tmp_path):
    path = written(tmp_path, bz2.compress(b"a\nb\nc\n") + bz2.compress(b"d\n"))
    blocks = blocks_of(path)
    assert blocks is not None
    whole = FilePart(path, blocks, 0, 1).whole
    assert [whole.number_of(line, most=10) for line in part_lines(whole)] == [0, 2, 4, 5]
    with pytest.raises(InputError, match=r"bzip2 block at byte 4, byte 4 of its content: a block unpacks"):
        [whole.number_of(line, most=8) for line in part_lines(whole)]


def test_a_line_longer_than_the_limit_is_refused_and_named(tmp_path):
    path = written(tmp_path, bz2.compress(b"a\n" + b"b" * (2 << 20), 1))
    blocks = blocks_of(path)
    assert blocks is not None
    with pytest.raises(
        InputError, match=r"bzip2 block at byte 4, byte 2 of its content: .* longer than 1 MiB"
    ):
        list(part_lines(FilePart(path, blocks, 0, 1), limits=LIMITS))
    # The line belongs to the part before.
    assert list(part_lines(FilePart(path, blocks, 1, 3), limits=LIMITS)) == []


def lines_and_error(part: FilePart) -> tuple[list[bytes], str]:
    """The lines up to a refused one, and why it is refused."""
    lines: list[bytes] = []
    try:
        lines.extend(line.text for line in part_lines(part, limits=LIMITS))
    except InputError as error:
        return lines, str(error)
    return lines, ""


# The line's length with its end; its start and its end in the same block, or blocks apart.
@pytest.mark.parametrize("length", [1 << 20, (1 << 20) + 1, 1_300_001])
@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_parts_have_the_line_limit_of_the_whole_file(tmp_path, length, level, end):
    letters = random.Random(1).randbytes(length - len(end)).replace(b"\n", b"x")
    for after in (b"b\n", b"") if end else (b"",):
        path = written(tmp_path, bz2.compress(b"a\n" + letters + end + after, level))
        lines, error = lines_and_error(FilePart(path))
        assert ("longer than 1 MiB" in error) == (length > 1 << 20)
        blocks = blocks_of(path)
        assert blocks is not None
        assert len(blocks.starts) > 1
        in_blocks = lines_and_error(FilePart(path, blocks, 0, 1).whole)
        # A block has no line numbers; the rest of the error is the same.
        assert in_blocks == (
            lines,
            error.replace(f"{path}:2", f"{path}, bzip2 block at byte 4, byte 2 of its content"),
        )
        for border in {1, len(blocks.starts) - 1}:
            found = [lines_and_error(part) for part in parts_at(path, blocks, [border])]
            # The first part has the start of the line, so it has the line.
            assert found[0][0][: len(lines)] == lines[: len(found[0][0])]
            assert found[0][1] == in_blocks[1]
            assert not error or found[0][0] == lines
            if not error:
                assert [line for part_lines, _ in found for line in part_lines] == lines


def test_a_long_line_within_a_block_is_refused(tmp_path):
    path = written(tmp_path, stream_of([block_of(b"a\n"), block_of(b"b" * (2 << 20) + b"\nc\n")]))
    blocks = blocks_of(path)
    assert blocks is not None
    for parts in ([FilePart(path, blocks, 0, 2)], parts_at(path, blocks, [1])):
        assert [error for part in parts for error in [lines_and_error(part)[1]] if error]


def test_blocks_have_the_limit_of_decompression(tmp_path):
    path = written(tmp_path, bz2.compress(bytes(90 << 20)))
    blocks = blocks_of(path)
    assert blocks is not None
    with pytest.raises(InputError, match="more than 100 times its size"):
        content_of(path, blocks)


@pytest.mark.parametrize("section", ["<!-- <page> -->", "<![CDATA[<page>]]>"])
def test_comments_and_cdata_are_refused_in_parts(tmp_path, section):
    xml = f"<mediawiki>{page(1, 'a')}{page(2, section)}{page(3, 'b')}</mediawiki>".encode()
    path = written(tmp_path, stream_of([block_of(xml[i : i + 40]) for i in range(0, len(xml), 40)]))
    blocks = blocks_of(path)
    assert blocks is not None

    def pages() -> Iterator[object]:
        for part in parts_at(path, blocks, range(1, 20)):
            yield from read_pages(PagesOfPart(part), where=part.where)

    with pytest.raises(InputError, match="comment, a CDATA section or a document type"):
        list(pages())
