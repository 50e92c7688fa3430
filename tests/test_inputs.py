"""Files from outside: packed, damaged, bombs, archives, other encodings."""

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile
import zlib
from functools import partial
from itertools import pairwise

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.stages import format_of
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord, Limits, open_input, open_slice, read_lines, read_records, refuse
from kgcorpus.inputs.packed import MAGIC

zstd_with_checksum = partial(zstd.compress, options={zstd.CompressionParameter.checksum_flag: 1})
PACKERS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd_with_checksum,
}


def written(tmp_path, data, name="x.tsv"):
    path = tmp_path / name
    path.write_bytes(data)
    return str(path)


def content(path, limits=None):
    with open_input(path, limits=limits or Limits()) as stream:
        return stream.read()


@pytest.mark.parametrize("suffix", PACKERS)
def test_lines_are_numbered_whatever_the_packing_and_line_ends(tmp_path, suffix):
    data = "\ufeffQ1\tP1\tQ2\r\nQ1\tx\u2028y\x85\n".encode()
    path = written(tmp_path, PACKERS[suffix](data), "t.tsv" + suffix)
    assert list(read_lines(path)) == [(1, b"Q1\tP1\tQ2"), (2, "Q1\tx\u2028y\x85".encode())]


def test_no_byte_order_mark_of_joined_files_becomes_part_of_an_id(tmp_path):
    part = "\ufeffQ1\tP1\tQ2\n".encode()
    assert [line for _, line in read_lines(written(tmp_path, part + part))] == [b"Q1\tP1\tQ2"] * 2


@settings(max_examples=30)
@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=6), st.sampled_from([*PACKERS][1:]))
def test_streams_on_end_are_read_as_one(tmp_path_factory, rest, cuts, suffix):
    # What begins like an archive is refused.
    data = b"Q" + rest
    borders = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    packed = b"".join(PACKERS[suffix](data[i:j]) for i, j in pairwise(borders))
    path = written(tmp_path_factory.mktemp("packed"), packed, "x" + suffix)
    assert content(path) == data


@pytest.mark.parametrize("suffix", [*PACKERS][1:])
def test_a_truncated_damaged_or_empty_file_names_the_byte(tmp_path, suffix):
    packed = PACKERS[suffix](b" ".join(b"%d" % (n * n) for n in range(9999)))
    middle = len(packed) // 2
    flipped = packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :]
    for damaged, message in [
        (packed[:-5], f"byte {len(packed) - 5}: .*too early"),
        (b"", "byte 0: .*too early"),
        (packed + b"rubbish", "damaged"),
        (b"rubbish", "not packed"),
        (packed[: len(MAGIC[suffix][0])] + b"rubbish", "byte 0 or after: .*damaged"),
        (flipped, "damaged|early"),
    ]:
        with pytest.raises(InputError, match=message):
            content(written(tmp_path, damaged, "x" + suffix))


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_presigned_url_is_read_by_the_end_of_its_path(suffix):
    url = f"memory://presigned/t.sql{suffix}?sig=a%2Fb.json&expires=9#x.bz2"
    fsspec.filesystem("memory").pipe_file(url, PACKERS[suffix](b"Q1\tP1\tQ2\n"))
    assert list(read_lines(url)) == [(1, b"Q1\tP1\tQ2")]
    assert format_of(url) == ".sql"
    # In a local name these are characters like others.
    assert format_of("t.sql?x") == ""


def test_a_slice_is_the_streams_that_it_holds(tmp_path):
    streams = [bz2.compress(b"one"), bz2.compress(b"two"), bz2.compress(b"three")]
    path = written(tmp_path, b"".join(streams), "x.bz2")
    first, second = len(streams[0]), len(streams[0]) + len(streams[1])
    with open_slice(path, first, second) as stream:
        assert stream.read() == b"two"
    with open_slice(path, first, second - 1) as stream, pytest.raises(InputError, match="too early"):
        stream.read()
    with (
        open_slice(path, first + 1, second) as stream,
        pytest.raises(InputError, match=f"byte {first + 1} or"),
    ):
        stream.read()


@pytest.mark.parametrize("suffix", [*PACKERS][1:])
def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path, suffix):
    packed = PACKERS[suffix](bytes(8 << 20)) * 9
    path = written(tmp_path, packed, "x" + suffix)
    assert len(packed) < 100_000
    with open_input(path) as stream:
        assert len(stream.read(64 << 20)) == 64 << 20
        with pytest.raises(InputError, match="more than 100 times its size"):
            stream.read(2 << 20)
    assert len(content(path, Limits(decompression_ratio=10**8))) == 72 << 20


def test_an_xz_file_that_asks_for_gigabytes_to_unpack_is_refused(tmp_path):
    packed = bytearray(lzma.compress(b"x"))
    header = slice(12, 12 + 4 * (packed[12] + 1) - 4)
    packed[16] = 40  # the size of its dictionary, 4 GiB
    packed[header.stop : header.stop + 4] = zlib.crc32(packed[header]).to_bytes(4, "little")
    with pytest.raises(InputError, match=r"x\.xz, .* needs more than 256 MiB to unpack\. Pack it again"):
        content(written(tmp_path, bytes(packed), "x.xz"))


@pytest.mark.parametrize(("bits", "is_read"), [(28, True), (29, False)])
def test_a_zstd_file_with_a_window_above_256_mib_is_refused(tmp_path, bits, is_read):
    options = {zstd.CompressionParameter.window_log: bits}
    compressor = zstd.ZstdCompressor(options=options)
    path = written(tmp_path, compressor.compress(b"x" * 9) + compressor.flush(), "x.zst")
    if is_read:
        assert content(path) == b"x" * 9
    else:
        with pytest.raises(InputError, match=r"x\.zst, .* needs more than 256 MiB to unpack"):
            content(path)


def test_skippable_frames_of_pzstd_are_skipped(tmp_path):
    def skippable(n: int) -> bytes:
        return bytes([0x50 + n]) + b"\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"size"

    packed = b"".join(skippable(n) + zstd.compress(text) for n, text in ((0, b"one "), (15, b"two")))
    assert content(written(tmp_path, packed + skippable(3), "x.zst")) == b"one two"


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
@pytest.mark.parametrize("zeros", [4, 1 << 20])
def test_zeros_behind_a_stream_are_padding(tmp_path, suffix, zeros):
    padded = PACKERS[suffix](b"one") + bytes(zeros)
    assert content(written(tmp_path, padded * 2, "x" + suffix)) == b"oneone"


@pytest.mark.parametrize(("suffix", "zeros"), [(".xz", 3), (".xz", (1 << 20) + 1), (".bz2", 4), (".zst", 4)])
def test_other_zeros_behind_a_stream_are_damage(tmp_path, suffix, zeros):
    for behind in (b"", PACKERS[suffix](b"two")):
        packed = PACKERS[suffix](b"one") + bytes(zeros) + behind
        with pytest.raises(InputError, match=r"byte .* damaged"):
            content(written(tmp_path, packed, "x" + suffix))


def test_archives_are_refused_and_never_unpacked(tmp_path):
    tar, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"), io.BytesIO(b""))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("../../escaped", "x")
    for name, data, what in [
        ("wikidata5m_transductive.tar", tar.getvalue(), "a tar archive"),
        ("wikidata5m_transductive.tar.gz", gzip.compress(tar.getvalue()), "a tar archive"),
        ("x.zip", zipped.getvalue(), "a zip archive"),
        ("x.7z", b"7z\xbc\xaf\x27\x1c" + bytes(30), "a 7z archive"),
        ("x.txt", zstd.compress(b"x"), r"packed: call it \.zst"),
        ("x.bz2", bz2.compress(zstd.compress(b"x")), "packed twice"),
        ("x.txt", gzip.compress(b"x"), r"packed: call it \.gz"),
        ("x.gz", bz2.compress(b"x"), r"packed: call it \.bz2"),
        ("x.gz", lzma.compress(b"x"), r"packed: call it \.xz"),
        ("x.bz2", bz2.compress(gzip.compress(b"x")), "packed twice"),
    ]:
        with pytest.raises(InputError, match=f"{name}: the file is {what}"):
            content(written(tmp_path, data, name))
    assert not (tmp_path.parent.parent / "escaped").exists()


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"/nowhere/x\.bz2: no such file"):
        open_input("/nowhere/x.bz2")
    with pytest.raises(InputError, match="no regular file but a folder"):
        open_input(str(tmp_path))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_named(tmp_path, encoding):
    with pytest.raises(InputError, match="UTF-16"):
        list(read_lines(written(tmp_path, "Q1\tP1\tQ2\n".encode(encoding))))


@pytest.mark.parametrize("data", [b"a\tb\rc\td\r", b"a\rb\rc", b"a\rb\rc\n", b"\r\ra\r", b"a\r" * (1 << 20)])
def test_lines_that_end_in_cr_alone_are_refused(tmp_path, data):
    with pytest.raises(InputError, match=r"x\.tsv:1: the lines end in CR alone\. Convert their ends to LF"):
        list(read_lines(written(tmp_path, data), limits=Limits(record_mib=1)))


@pytest.mark.parametrize(
    "data", [b"a\rb", b"a\rb\r\n", b"a\rb\rc\nd", b"a\r\r\n", b"a\r", b"a\n\r\r", b"\r\r"]
)
def test_a_cr_among_other_line_ends_is_the_parsers_matter(tmp_path, data):
    assert b"".join(line for _, line in read_lines(written(tmp_path, data)))[:1] in (b"a", b"")


def test_a_name_may_hold_what_chains_urls(tmp_path):
    assert content(written(tmp_path, b"x", "a::b.txt")) == b"x"


def test_a_line_without_end_is_refused(tmp_path):
    path = written(tmp_path, b"a\n" + b"b" * (2 << 20))
    with pytest.raises(InputError, match=r"x\.tsv:2: the line is longer than 1 MiB"):
        list(read_lines(path, limits=Limits(record_mib=1)))


def test_bad_lines_are_reported_with_their_position_and_the_rest_is_read(tmp_path):
    def parse(line: str) -> int:
        try:
            return int(line)
        except ValueError:
            raise BadRecord("no number") from None

    path = written(tmp_path, b"1\n\n  \nx\n\xff\n5\n")
    bad: list[BadRecord] = []
    tally = Tally()
    assert list(read_records(path, parse, tally=tally, on_bad=bad.append)) == [1, 5]
    assert [(record.where, record.reason, record.text) for record in bad] == [
        ("x.tsv:4", "no number", "x"),
        ("x.tsv:5", "byte 0xff at position 0 is not UTF-8", "\\xff"),
    ]
    assert tally.drops["blank_line"] == 2
    with pytest.raises(InputError, match=r"x\.tsv:4: no number"):
        list(read_records(path, parse, tally=tally, on_bad=refuse))
