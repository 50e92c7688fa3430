"""MediaWiki XML dumps: opened from any file system, read as a stream of raw pages in constant memory."""

import bz2
import io
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast
from xml.parsers import expat

import fsspec

from kgcorpus.contracts.errors import InputError
from kgcorpus.wiki.site import Site

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_PACKED_CHUNK = 1 << 18


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Decompressed(io.RawIOBase):
    """Decompressed bytes of one or many streams on end.

    `bz2` and `gzip` take garbage after a whole stream for the end of the file, and so lose the rest of a
    damaged multistream dump in silence; here it is an error with its place.
    """

    def __init__(self, raw: BinaryIO, decompressor: Callable[[], _Decompressor], *, where: str) -> None:
        self._raw, self._new, self.name = raw, decompressor, where
        self._stream: _Decompressor | None = None
        self._ready = memoryview(b"")
        self._position = 0

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
        finished = self._stream.unused_data if self._stream is not None and self._stream.eof else b""
        packed = finished or self._raw.read(_PACKED_CHUNK)
        if not finished:
            self._position += len(packed)
        if not packed:
            if self._stream is not None and self._stream.eof:
                return False
            raise InputError(
                "the compressed file ends too early",
                where=f"{self.name}, byte {self._position}",
                mend="It is truncated: fetch it again",
            )
        if self._stream is None or self._stream.eof:
            self._stream = self._new()
        try:
            self._ready = memoryview(self._stream.decompress(packed))
        except (OSError, ValueError, zlib.error) as fault:
            raise InputError(
                "the compressed data is damaged",
                where=f"{self.name}, byte {self._position - len(packed)} or after",
                mend="Fetch the file again and compare its checksum",
            ) from fault
        return True


def open_dump(path: str) -> BinaryIO:
    """Open a file of any fsspec file system for reading; `.bz2` (also multistream) and `.gz` decompressed.

    Raises:
        InputError: there is no such file; or, while reading, it is truncated or damaged (with the position
            in the compressed file).
    """
    try:
        raw = cast(BinaryIO, fsspec.open(path, "rb").open())
    except (FileNotFoundError, IsADirectoryError, PermissionError) as fault:
        raise InputError("the file cannot be opened", where=path, mend=str(fault)) from fault
    decompressor: Callable[[], _Decompressor]
    if path.endswith(".bz2"):
        decompressor = bz2.BZ2Decompressor
    elif path.endswith(".gz"):
        decompressor = lambda: zlib.decompressobj(wbits=31)  # noqa: E731
    else:
        return raw
    return io.BufferedReader(_Decompressed(raw, decompressor, where=path), _CHUNK)


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page as in the dump.

    Attributes:
        page_id: the page's id, not the revision's.
        ns: namespace number.
        redirect: title of `<redirect>`, None for any other page (and in dumps older than that element).
        wikitext: of the last revision; empty without a `<text>`.
    """

    page_id: int
    ns: int
    title: str
    redirect: str | None
    wikitext: str


class _Pages:
    """expat's callbacks: the text of four elements, by their depth below `<page>`."""

    # Elements a page is made of -> their depth; `<id>` of a revision or contributor lies deeper.
    _DEPTH = {"title": 1, "ns": 1, "id": 1, "text": 2}  # noqa: RUF012

    def __init__(self, *, where: str) -> None:
        self.ready: list[RawPage] = []
        self._where = where
        self._depth = -1
        self._values: dict[str, str] = {}
        self._redirect: str | None = None
        self._text: list[str] = []
        self.parser = _strict_parser(where=where)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth < 0:
            if name == "page":
                self._depth, self._values, self._redirect = 0, {}, None
            return
        self._depth += 1
        if name == "redirect" and self._depth == 1:
            self._redirect = attributes.get("title")
        elif self._DEPTH.get(name) == self._depth:
            self._text = []
            self.parser.CharacterDataHandler = self._text.append

    def _end(self, name: str) -> None:
        if self._depth < 0:
            return
        if self._depth == 0:
            self._page()
        elif self._DEPTH.get(name) == self._depth:
            self.parser.CharacterDataHandler = None
            self._values[name] = "".join(self._text)
        self._depth -= 1

    def _page(self) -> None:
        values = self._values
        try:
            page_id, ns, title = int(values["id"]), int(values.get("ns", 0)), values["title"]
        except (KeyError, ValueError) as fault:
            line = self.parser.CurrentLineNumber
            raise InputError(
                f"a <page> lacks a proper <id>, <ns> or <title> ({fault})",
                where=f"{self._where}, line {line}",
                mend="Is this a MediaWiki export?",
            ) from fault
        self.ready.append(RawPage(page_id, ns, title, self._redirect, values.get("text", "")))


def _strict_parser(*, where: str) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = _CHUNK

    def refuse(*_: object) -> None:
        # A DTD may declare entities that expand without bound; no dump has one.
        raise InputError(
            "a document type declaration is not allowed in a dump",
            where=f"{where}, line {parser.CurrentLineNumber}",
            mend="Remove the <!DOCTYPE ...>",
        )

    parser.StartDoctypeDeclHandler = refuse
    return parser


def _broken(fault: expat.ExpatError, *, where: str) -> InputError:
    return InputError(
        f"broken XML: {expat.ErrorString(fault.code)}",
        where=f"{where}, line {fault.lineno}, column {fault.offset}",
        mend="The file is damaged, truncated or no MediaWiki export",
    )


def read_pages(stream: BinaryIO, *, where: str) -> Iterator[RawPage]:
    """All pages in the dump's order; memory holds the pages of one MiB at a time.

    Args:
        stream: XML in UTF-8 or UTF-16, as its declaration or byte order mark says.
        where: name of the input for errors.

    Raises:
        InputError: broken XML, or a document type declaration; the pages before it have been given.
    """
    pages = _Pages(where=where)
    fault: InputError | None = None
    end = False
    while not end and fault is None:
        try:
            chunk = stream.read(_CHUNK)
            end = not chunk
            pages.parser.Parse(chunk, end)
        except expat.ExpatError as error:
            fault = _broken(error, where=where)
        except InputError as error:
            fault = error
        yield from pages.ready
        pages.ready.clear()
    if fault is not None:
        raise fault


def read_site(stream: BinaryIO, *, lang: str) -> Site:
    """The wiki that a dump is of, from the `<siteinfo>` at its head; reads no further than needed.

    An export of an English wiki may lack it, as the names that every wiki understands are English.

    Raises:
        InputError: broken XML, or no `<siteinfo>` in a dump of another language.
    """
    where = str(getattr(stream, "name", "") or "dump")
    parser = _strict_parser(where=where)
    values: dict[str, str] = {}
    names: dict[str, int] = {}
    text: list[str] = []
    key, done = 0, False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal key, done
        if name == "page":
            done = True
        elif name == "namespace":
            key = int(attributes["key"])
        text.clear()

    def end(name: str) -> None:
        nonlocal done
        if done:
            return
        if name == "namespace":
            names["".join(text)] = key
        elif name in ("dbname", "case"):
            values[name] = "".join(text).strip()
        elif name == "siteinfo":
            done = True

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    try:
        while not done:
            chunk = stream.read(1 << 16)
            parser.Parse(chunk, not chunk)
            done = done or not chunk
    except expat.ExpatError as error:
        raise _broken(error, where=where) from error
    if not names:
        if lang != "en":
            raise InputError(
                "the dump has no <siteinfo>, so the names of its namespaces are unknown",
                where=where,
                mend="Keep the head of the original dump",
            )
        _log.warning("%s has no <siteinfo>: taken for a wiki with the English namespace names", where)
    return Site.of(
        lang, values.get("dbname", ""), first_letter=values.get("case") != "case-sensitive", names=names
    )
