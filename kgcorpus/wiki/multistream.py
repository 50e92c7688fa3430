"""Multistream dumps: the index gives the offset of each bz2 stream, so that tasks read parts in parallel.

A file is a header stream, streams of whole pages, and a footer, on end. A part `[start, stop)` of the file's
bytes owns the streams that begin in it: whatever the borders, every page is read exactly once.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import BinaryIO

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, Limits, OnBad, open_slice, read_lines, refuse, size_of
from kgcorpus.wiki.dump import RawPage, read_pages

_ROOT, _ROOT_END = b"<mediawiki>", b"</mediawiki>"
_LAST_BYTES = 64
_MOST_DIGITS = 18  # of a 64-bit integer


@dataclass(frozen=True, slots=True)
class PageStream:
    """The bytes [start, stop) of a dump, and how many pages the index promises in them."""

    start: int
    stop: int
    pages: int


def read_index(index: str, dump: str, *, limits: Limits = DEFAULT_LIMITS) -> list[PageStream]:
    """The streams of a multistream dump, the header's first, in the file's order.

    Args:
        index: lines `offset:page id:title`, packed or not.
        dump: the `.bz2` file that it belongs to.

    Raises:
        InputError: a line is malformed, or its offset is not in the dump; or as `read_lines`.
    """
    size = size_of(dump)
    starts, pages = [0], [0]
    for offset, lines in groupby(_offsets(index, limits), itemgetter(1)):
        numbers = [number for number, _ in lines]
        if not starts[-1] < offset < size:
            raise InputError(
                f"offset {offset} does not follow {starts[-1]} within the dump's {size} bytes",
                where=f"{index}:{numbers[0]}",
                hint=f"Is this the index of {file_name(dump)}, whole and of the same date?",
            )
        starts.append(offset)
        pages.append(len(numbers))
    return [
        PageStream(start, stop, n) for (start, stop), n in zip(pairwise([*starts, size]), pages, strict=True)
    ]


def _offsets(index: str, limits: Limits) -> Iterator[tuple[int, int]]:
    for number, line in read_lines(index, limits=limits):
        offset, _, rest = line.partition(b":")
        page_id, colon, _ = rest.partition(b":")
        if not (colon and offset.isdigit() and page_id.isdigit() and len(offset) <= _MOST_DIGITS):
            raise InputError(
                "this is not `offset:page id:title`",
                where=f"{index}:{number}",
                hint="`index` names the file ...-multistream-index.txt.bz2",
            )
        yield number, int(offset)


def parts_of(streams: Sequence[PageStream], n: int) -> list[list[PageStream]]:
    """The streams in at most n parts of about equal bytes; no part is empty."""
    size = streams[-1].stop
    return cut(streams, [size * i // n for i in range(1, n)])


def cut(streams: Sequence[PageStream], borders: Sequence[int]) -> list[list[PageStream]]:
    """The streams in parts; a stream belongs to the part that contains its first byte; no part is empty.

    Args:
        borders: ascending bytes of the file, at each of which a part begins.
    """
    placed = groupby(streams, key=lambda stream: bisect_right(borders, stream.start))
    return [list(part) for _, part in placed]


def read_streams(
    dump: str,
    streams: Sequence[PageStream],
    *,
    tally: Tally,
    limits: Limits = DEFAULT_LIMITS,
    on_bad: OnBad = refuse,
) -> Iterator[RawPage]:
    """The pages of some streams, in order; memory holds those of one stream.

    A stream that is damaged, or holds fewer pages than the index says, is handed to `on_bad` as a whole.

    Raises:
        InputError: a stream holds more pages than the index says.
    """
    for stream in streams:
        where = f"{file_name(dump)}, stream at byte {stream.start}"
        # One that is set aside gives no page and no bad page, so what it holds is gathered first.
        found = _Found(stream.pages)
        try:
            with open_slice(dump, stream.start, stream.stop, limits=limits) as data:
                document = _Document(data, lacks_start=stream.start > 0)
                for page in read_pages(document, where=where, limits=limits, on_bad=found.add_bad):
                    found.add(page)
            if found.n != stream.pages:
                raise BadRecord(f"the index names {stream.pages} pages here, but {found.n} are")
        except (InputError, BadRecord) as fault:
            reason = fault.what if isinstance(fault, InputError) else fault.reason
            if found.n > stream.pages:
                # Beyond a truncated index the number of lost pages is unknown, so no share can be computed.
                raise InputError(
                    reason, where=where, hint="Is the index whole, and of the same date?"
                ) from None
            on_bad(BadRecord(reason, where=where, text=f"{stream.pages} pages"))
            # `max_bad_share` is about pages, and one record has been counted.
            tally.drop("bad_input", max(0, stream.pages - 1))
            continue
        for record in found.bad:
            on_bad(record)
        tally.good(len(found.pages))
        yield from found.pages


class _Found:
    """The pages of a stream, and at most one more than the index names: a cut-off index's last stream is all
    the rest of the dump."""

    def __init__(self, most: int) -> None:
        self.pages: list[RawPage] = []
        self.bad: list[BadRecord] = []
        self._most = most

    @property
    def n(self) -> int:
        return len(self.pages) + len(self.bad)

    def add(self, page: RawPage) -> None:
        self.pages.append(page)
        self._refuse_more()

    def add_bad(self, record: BadRecord) -> None:
        self.bad.append(record)
        self._refuse_more()

    def _refuse_more(self) -> None:
        if self.n > self._most:
            raise BadRecord(f"the index names {self._most} pages here, but more are")


class _Document:
    """A stream as XML of its own, with the root's tags, which are in other streams."""

    def __init__(self, stream: BinaryIO, *, lacks_start: bool) -> None:
        self._stream, self._head, self._tail = stream, _ROOT if lacks_start else b"", b""

    def read(self, n: int, /) -> bytes:
        head, self._head = self._head, b""
        data = head or self._stream.read(n)
        if not data and not self._tail.rstrip().endswith(_ROOT_END):
            data = _ROOT_END
        self._tail = (self._tail + data)[-_LAST_BYTES:]
        return data
