"""Multistream dumps read in parts: whatever the borders, every page once."""

import bz2
import functools
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord, Limits, open_input
from kgcorpus.wiki.dump import read_pages
from kgcorpus.wiki.multistream import PageStream, _Document, cut, parts_of, read_index, read_streams

HEAD = "<mediawiki><siteinfo><dbname>enwiki</dbname></siteinfo>\n"
PAGES_A_STREAM = (3, 1, 4, 1, 5, 2)


def page(n):
    text = f"'''Page {n}''' &lt;ref&gt;see [[Page {n + 1}]]" + "x" * n
    revision = f"<revision><text>{text}</text></revision>"
    return f"<page><title>Page: {n}</title><ns>0</ns><id>{n}</id>{revision}</page>\n"


@pytest.fixture
def dump(tmp_path):
    """(dump, index) of 16 pages in six streams, at most 4 KiB."""
    streams, lines, n = [bz2.compress(HEAD.encode())], [], 0
    for size in PAGES_A_STREAM:
        offset = sum(map(len, streams))
        numbers = range(n + 1, n + 1 + size)
        lines += [f"{offset}:{number}:Page: {number}\n" for number in numbers]
        streams.append(bz2.compress("".join(map(page, numbers)).encode()))
        n += size
    streams.append(bz2.compress(b"</mediawiki>\n"))
    path, index = tmp_path / "d-multistream.xml.bz2", tmp_path / "d-multistream-index.txt.bz2"
    path.write_bytes(b"".join(streams))
    index.write_bytes(bz2.compress("".join(lines).encode()))
    assert path.stat().st_size <= 4096
    return str(path), str(index)


def ids(path, streams, **options):
    options.setdefault("tally", Tally())
    return [page.page_id for page in read_streams(path, streams, **options)]


def test_a_border_at_every_byte_loses_and_doubles_no_page(dump):
    path, index = dump
    streams = read_index(index, path)
    whole = list(range(1, sum(PAGES_A_STREAM) + 1))
    # Many borders give the same two parts; each part is read once.
    read = functools.cache(lambda *part: ids(path, part))
    for border in range(streams[-1].stop + 1):
        assert [n for part in cut(streams, [border]) for n in read(*part)] == whole
    assert read.cache_info().misses > len(streams)


@given(st.data())
def test_any_borders_lose_and_double_no_stream(data):
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=20))
    stops = list(itertools.accumulate(sizes))
    streams = [PageStream(stop - size, stop, 1) for size, stop in zip(sizes, stops, strict=True)]
    borders = sorted(data.draw(st.lists(st.integers(0, stops[-1]), max_size=9)))
    parts = cut(streams, borders)
    assert [stream for part in parts for stream in part] == streams
    assert all(parts)
    for part in parts:
        first = max((border for border in borders if border <= part[0].start), default=0)
        assert not [border for border in borders if first < border <= part[-1].start]


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_any_number_of_parts_gives_the_pages_of_the_whole(dump, n):
    path, index = dump
    with open_input(path) as stream:
        whole = list(read_pages(stream, where=path))
    parts = parts_of(read_index(index, path), n)
    assert 1 <= len(parts) <= n
    assert [page for part in parts for page in read_streams(path, part, tally=Tally())] == whole


def test_an_index_of_another_dump_is_refused(dump, tmp_path):
    path, index = dump
    lines = bz2.decompress(Path(index).read_bytes()).decode().splitlines(keepends=True)
    wrong = tmp_path / "wrong.txt"
    for text, message in [
        ("".join(lines[:4]) + "99999:5:x\n", r"wrong\.txt:5: offset 99999 does not follow \d+ within"),
        ("".join(reversed(lines)), "does not follow"),
        ("title\tQ1\n", r"wrong\.txt:1: this is not `offset:page id:title`"),
        ("-5:1:x\n", "this is not"),
        ("9" * 5000 + ":1:x\n", "this is not"),
    ]:
        wrong.write_text(text)
        with pytest.raises(InputError, match=message):
            read_index(str(wrong), path)
    for text, message in [
        ("".join(lines[:-1]), "names 1 pages here, but more are"),
        ("".join(lines[3:]), "names 0 pages here, but more are"),
        (f"{int(lines[0].split(':')[0]) + 1}:1:x\n", "too early|damaged"),
    ]:
        wrong.write_text(text)
        with pytest.raises(InputError, match=message):
            ids(path, read_index(str(wrong), path))


@pytest.mark.parametrize("ident", ["5", "x"], ids=["pages", "bad pages"])
def test_behind_a_cut_off_index_no_more_is_read_than_it_names(tmp_path, monkeypatch, ident):
    """Else the last stream is all the rest of the dump, in memory at once."""
    rest = (page(4) * 30_000).replace("<id>4", f"<id>{ident}").encode()
    head, first = bz2.compress(HEAD.encode()), bz2.compress(page(1).encode())
    path, index = tmp_path / "d.xml.bz2", tmp_path / "index.txt"
    path.write_bytes(head + first + bz2.compress(rest + b"</mediawiki>"))
    index.write_text(f"{len(head)}:1:a\n")
    read, whole = [], _Document.read

    def counted(self, n):
        read.append(whole(self, n))
        return read[-1]

    monkeypatch.setattr(_Document, "read", counted)
    with pytest.raises(InputError, match=r"1 pages here, but more are\. Is the index"):
        ids(str(path), read_index(str(index), str(path)), on_bad=lambda bad: None)
    assert sum(map(len, read)) < 2 << 20 < len(rest)


@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_a_flipped_byte_costs_its_stream_and_no_other(dump, place):
    path, index = dump
    streams = read_index(index, path)
    hurt = streams[3]
    at = {"start": hurt.start, "middle": (hurt.start + hurt.stop) // 2, "end": hurt.stop - 6}[place]
    data = bytearray(Path(path).read_bytes())
    data[at] ^= 16
    Path(path).write_bytes(data)
    bad: list[BadRecord] = []
    tally = Tally()
    found = ids(path, streams, tally=tally, on_bad=bad.append)
    assert found == [n for n in range(1, 17) if n not in range(5, 9)]
    assert [(record.where, record.text) for record in bad] == [
        (f"d-multistream.xml.bz2, stream at byte {hurt.start}", "4 pages")
    ]
    assert tally.drops["bad_input"] == 3  # and one more that `on_bad` counts in a build
    with pytest.raises(InputError, match=f"stream at byte {hurt.start}: .*(damaged|early)"):
        ids(path, streams)


def test_a_bad_page_is_set_aside_alone(dump, tmp_path):
    path, index = dump
    streams = [bz2.compress(part) for part in (HEAD.encode(), page(1).replace("<id>1", "<id>x").encode())]
    streams.append(bz2.compress((page(2) + "</mediawiki>").encode()))
    first, second = len(streams[0]), len(streams[0]) + len(streams[1])
    Path(path).write_bytes(b"".join(streams))
    Path(index).write_bytes(bz2.compress(f"{first}:1:a\n{second}:2:b\n".encode()))
    bad: list[BadRecord] = []
    assert ids(path, read_index(index, path), on_bad=bad.append) == [2]
    assert "<id>" in bad[0].reason


def test_a_stream_that_unpacks_without_end_is_refused(dump):
    path, index = dump
    Path(path).write_bytes(bz2.compress(HEAD.encode()) + bz2.compress(b" " * (8 << 20)) * 9)
    Path(index).write_bytes(bz2.compress(f"{len(bz2.compress(HEAD.encode()))}:1:a\n".encode()))
    with pytest.raises(InputError, match="more than 50 times its size"):
        ids(path, read_index(index, path), limits=Limits(decompression_ratio=50))
