"""MediaWiki XML dumps, read as a stream of raw pages in constant memory."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol
from xml.parsers import expat

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, Limits, OnBad, refuse
from kgcorpus.wiki.site import Site

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_ROOT = "mediawiki"
# `<model>` and `<format>` of a page that is not JSON, Lua, CSS or the like.
_WIKITEXT = ("wikitext", "text/x-wiki")
_HEAD_LINE, _HEAD_LINES = 1 << 16, 1 << 12
# What the columns of table `pages` hold.
_IDS, _NAMESPACES = 1 << 63, 1 << 31


class Readable(Protocol):
    """What a parser asks of a stream."""

    def read(self, n: int, /) -> bytes:
        """At most n bytes; none only at the end."""
        ...


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page as in the dump.

    Attributes:
        page_id: the page's id, not the revision's.
        ns: namespace number; None in dumps older than that element, where the title alone tells it.
        redirect: title of `<redirect>`, None for any other page (and in dumps older than that element).
        wikitext: of the last revision; empty without a `<text>`.
        is_wikitext: whether `<model>` and `<format>` say so; dumps older than these elements hold nothing
            else.
    """

    page_id: int
    ns: int | None
    title: str
    redirect: str | None
    wikitext: str
    is_wikitext: bool = True


class _Pages:
    """expat's callbacks: the text of some elements, by their depth below `<page>`."""

    # Elements a page is made of -> their depth; `<id>` of a revision or contributor lies deeper.
    _DEPTH = {"title": 1, "ns": 1, "id": 1, "model": 2, "format": 2, "text": 2}  # noqa: RUF012

    def __init__(self, *, where: str, limits: Limits, on_bad: OnBad) -> None:
        self.ready: list[RawPage] = []
        self._where, self._limits, self._on_bad = where, limits, on_bad
        self._depth = -1
        self._values: dict[str, str] = {}
        self._redirect: str | None = None
        self._text: list[str] = []
        self._room = 0
        self.parser = _strict_parser(where=where, start=self._start, end=self._end)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth < 0:
            if name == "page":
                self._depth, self._values, self._redirect = 0, {}, None
                self._room = self._limits.record_bytes
            return
        self._depth += 1
        if name == "redirect" and self._depth == 1:
            self._redirect = attributes.get("title")
        elif self._DEPTH.get(name) == self._depth:
            self._text = []
            self.parser.CharacterDataHandler = self._take

    def _take(self, data: str) -> None:
        self._room -= len(data)
        if self._room >= 0:
            self._text.append(data)

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
            if self._room < 0:
                raise ValueError(f"it is longer than {self._limits.record_mib} MiB")
            page_id, title = int(values["id"]), values["title"]
            ns = int(values["ns"]) if "ns" in values else None
            if not 0 <= page_id < _IDS or abs(ns or 0) >= _NAMESPACES:
                raise ValueError(f"id {page_id} in namespace {ns}")
        except (KeyError, ValueError) as fault:
            line = self.parser.CurrentLineNumber
            shown = {name: value[:200] for name, value in values.items()}
            self._on_bad(
                BadRecord(
                    f"a <page> lacks a proper <id>, <ns>, <title> or <text> ({fault})",
                    where=f"{self._where}, line {line}",
                    text=str(shown),
                )
            )
        else:
            kind = (values.get("model", _WIKITEXT[0]), values.get("format", _WIKITEXT[1]))
            text = values.get("text", "")
            self.ready.append(RawPage(page_id, ns, title, self._redirect, text, kind == _WIKITEXT))


def _strict_parser(
    *, where: str, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None]
) -> expat.XMLParserType:
    """A parser of one `<mediawiki>`, which calls `start` for the elements within."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = _CHUNK

    def line() -> str:
        return f"{where}, line {parser.CurrentLineNumber}"

    def root(name: str, _: dict[str, str]) -> None:
        if name != _ROOT:
            raise InputError(
                f"the XML is a <{name}>, not a <{_ROOT}>",
                where=line(),
                mend="The file is no MediaWiki export: fetch ...-pages-articles.xml.bz2",
            )
        parser.StartElementHandler = start

    def refuse_doctype(name: str, *_: object) -> None:
        root(name, {})
        # A DTD may declare entities that expand without bound; no dump has one.
        raise InputError(
            "a document type declaration is not allowed in a dump",
            where=line(),
            mend="Remove the <!DOCTYPE ...>",
        )

    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = root, end
    return parser


def _endless_tag(where: str, limits: Limits) -> InputError:
    return InputError(
        f"a tag of the XML is longer than {limits.record_mib} MiB",
        where=where,
        mend="It is damaged or no MediaWiki export: fetch it again",
    )


def _broken(fault: expat.ExpatError, *, where: str) -> InputError:
    return InputError(
        f"broken XML: {expat.ErrorString(fault.code)}",
        where=f"{where}, line {fault.lineno}, column {fault.offset}",
        mend="It is damaged, truncated or no MediaWiki export: fetch it again",
    )


def read_pages(
    stream: Readable, *, where: str, limits: Limits = DEFAULT_LIMITS, on_bad: OnBad = refuse
) -> Iterator[RawPage]:
    """All pages in the dump's order; memory holds the pages of one MiB at a time.

    Args:
        stream: XML in UTF-8 or UTF-16, as its declaration or byte order mark says.
        where: name of the input for errors.
        on_bad: told of a page without a proper id, namespace or title, or longer than the limit.

    Raises:
        InputError: broken XML, another root than `<mediawiki>`, a document type declaration, or a tag longer
            than a record may be; the pages before it have been given.
    """
    pages = _Pages(where=where, limits=limits, on_bad=on_bad)
    fault: InputError | None = None
    fed, end = 0, False
    while not end and fault is None:
        try:
            chunk = stream.read(_CHUNK)
            end = not chunk
            pages.parser.Parse(chunk, end)
            fed += len(chunk)
            if fed - pages.parser.CurrentByteIndex > limits.record_bytes + _CHUNK:
                fault = _endless_tag(where, limits)
        except expat.ExpatError as error:
            fault = _broken(error, where=where)
        except InputError as error:
            fault = error
        yield from pages.ready
        pages.ready.clear()
    if fault is not None:
        raise fault


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def read_site(stream: BinaryIO, *, lang: str) -> Site:
    """The wiki that a dump is of, from the `<siteinfo>` at its head; reads no further than needed.

    An export of an English wiki may lack it, as the names that every wiki understands are English.

    Raises:
        InputError: broken XML, another root than `<mediawiki>`, or no `<siteinfo>` in a dump of another
            language.
    """
    where = str(getattr(stream, "name", "") or "dump")
    values: dict[str, str] = {}
    names: dict[str, int] = {}
    text: list[str] = []
    key, done = 0, False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal key, done
        if name == "page":
            done = True
        elif name == "namespace":
            key = _number(attributes.get("key", ""))
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

    parser = _strict_parser(where=where, start=start, end=end)
    parser.CharacterDataHandler = text.append
    try:
        # By lines, so that nothing behind the head of a multistream dump is unpacked.
        for _ in range(_HEAD_LINES):
            chunk = stream.readline(_HEAD_LINE)
            parser.Parse(chunk, not chunk)
            if done or not chunk:
                break
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
