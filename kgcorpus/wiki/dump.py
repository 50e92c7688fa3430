"""Reads a MediaWiki XML dump as a stream of raw pages, in constant memory."""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol
from xml.parsers import expat

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, Limits, OnBad, refuse
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.xml_encoding import Transcoder

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_ROOT = "mediawiki"
# The `<model>` and `<format>` of a page of wikitext; JSON, Lua and CSS pages have others.
_WIKITEXT = ("wikitext", "text/x-wiki")
_HEAD_LINE, _HEAD_LINES = 1 << 16, 1 << 12
# Ids and namespaces are below these numbers: the columns of table `pages` hold no larger ones.
_IDS, _NAMESPACES = 1 << 63, 1 << 31
# A number of so many digits fits a 64-bit integer.
_MOST_DIGITS = 18
_REVISION = re.compile(rf"[0-9]{{1,{_MOST_DIGITS}}}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class Readable(Protocol):
    """The part of a stream that the parser uses."""

    def read(self, n: int, /) -> bytes:
        """Return at most n bytes, and no bytes only at the end of the stream."""
        ...


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page as the dump has it.

    Attributes:
        page_id: the page's id, not the revision's.
        ns: the number of the page's namespace. It is None in old dumps, which have no element `<ns>`; the
            title then shows the namespace.
        redirect: the title that `<redirect>` names. It is None for a page that is no redirect, and in old
            dumps, which have no such element.
        wikitext: the text of the latest revision; empty if the revision has no `<text>`.
        is_wikitext: whether `<model>` and `<format>` name wikitext. Old dumps without these elements
            contain wikitext only.
        revision: the id of the latest revision; None if the dump has none.
        time: the time of the latest revision, as `YYYY-MM-DDThh:mm:ssZ`; None if the dump has none.
    """

    page_id: int
    ns: int | None
    title: str
    redirect: str | None
    wikitext: str
    is_wikitext: bool = True
    revision: int | None = None
    time: str | None = None


class Stride(NamedTuple):
    """The share of one of several readers of a dump: the pages at the positions `first + k * of`."""

    first: int = 0
    of: int = 1


ALL_PAGES = Stride()


class _Pages:
    """Collects pages from the events of the XML parser expat.

    A page of a full history has many revisions. The latest one counts: the one with the highest timestamp,
    then the highest id, then the last place. Memory holds this revision and the one that is being read. The
    size limit applies to each revision, and to the page without its revisions.
    """

    # Name and depth identify an element: an upload and a contributor also have an `<id>`.
    _OF_PAGE = frozenset({"title", "ns", "id"})
    _OF_REVISION = frozenset({"id", "timestamp", "model", "format", "text"})

    def __init__(self, *, where: str, limits: Limits, on_bad: OnBad, stride: Stride) -> None:
        self.ready: list[RawPage] = []
        self._where, self._limits, self._on_bad = where, limits, on_bad
        self._stride, self._position, self._is_own = stride, -1, False
        self._depth = -1
        self._values: dict[str, str] = {}
        self._redirect: str | None = None
        self._text: list[str] = []
        self._room = 0
        self._is_too_long = False
        # The revision that is being read.
        self._revision: dict[str, str] | None = None
        # The latest revision so far: its timestamp and id, its elements, and whether it is too long.
        self._latest: tuple[tuple[str, int], dict[str, str], bool] | None = None
        self.parser = _strict_parser(where=where, start=self._start, end=self._end)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth < 0:
            if name == "page":
                self._position += 1
                self._is_own = self._position % self._stride.of == self._stride.first
                self._depth, self._values, self._redirect = 0, {}, None
                self._room, self._is_too_long = self._limits.record_bytes, False
                self._revision = self._latest = None
            return
        self._depth += 1
        if self._depth == 1 and name == "revision":
            self._is_too_long |= self._room < 0
            self._revision, self._room = {}, self._limits.record_bytes
        elif self._depth == 1 and name == "redirect":
            self._redirect = attributes.get("title")
        elif self._is_wanted(name):
            self._text = []
            self.parser.CharacterDataHandler = self._take

    def _is_wanted(self, name: str) -> bool:
        if not self._is_own:
            return False
        if self._depth == 1:
            return name in self._OF_PAGE
        return self._depth == 2 and self._revision is not None and name in self._OF_REVISION

    def _take(self, data: str) -> None:
        self._room -= len(data)
        if self._room >= 0:
            self._text.append(data)

    def _end(self, name: str) -> None:
        if self._depth < 0:
            return
        if self._depth == 0:
            if self._is_own:
                self._page()
        elif self._depth == 1 and name == "revision":
            self._keep_latest()
        elif self._is_wanted(name):
            self.parser.CharacterDataHandler = None
            values = self._values if self._depth == 1 else self._revision
            assert values is not None
            values[name] = "".join(self._text)
        self._depth -= 1

    def _keep_latest(self) -> None:
        """Keep the revision just read, unless an earlier one is newer.

        Revisions of old dumps have neither timestamp nor id; the last of them is kept.
        """
        assert self._revision is not None
        digits = "".join(filter(str.isdigit, self._revision.get("timestamp", "")[:40]))
        key = digits, _number(self._revision.get("id", "")[:_MOST_DIGITS])
        if self._latest is None or key >= self._latest[0]:
            self._latest = key, self._revision, self._room < 0
        self._revision, self._room = None, self._limits.record_bytes

    def _page(self) -> None:
        values = self._values
        _, revision, is_too_long = self._latest or (("", 0), {}, False)
        try:
            if self._room < 0 or self._is_too_long or is_too_long:
                raise ValueError(f"it is longer than {self._limits.record_mib} MiB")
            page_id, title = int(values["id"]), values["title"]
            ns = int(values["ns"]) if "ns" in values else None
            if not 0 <= page_id < _IDS or abs(ns or 0) >= _NAMESPACES:
                raise ValueError(f"id {page_id} in namespace {ns}")
        except (KeyError, ValueError) as fault:
            line = self.parser.CurrentLineNumber
            shown = {name: value[:200] for name, value in {**revision, **values}.items()}
            self._on_bad(
                BadRecord(
                    f"a <page> lacks a proper <id>, <ns>, <title> or <text> ({fault})",
                    where=f"{self._where}, line {line}",
                    text=str(shown),
                )
            )
        else:
            kind = (revision.get("model", _WIKITEXT[0]), revision.get("format", _WIKITEXT[1]))
            text = revision.get("text", "")
            number, time = revision.get("id", "").strip(), revision.get("timestamp", "").strip()
            page = RawPage(
                page_id,
                ns,
                title,
                self._redirect,
                text,
                kind == _WIKITEXT,
                revision=int(number) if _REVISION.fullmatch(number) else None,
                time=time if _TIME.fullmatch(time) else None,
            )
            self.ready.append(page)


def _strict_parser(
    *, where: str, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None]
) -> expat.XMLParserType:
    """Make a parser for a document `<mediawiki>`; it calls `start` and `end` for the elements inside."""
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
                hint="The file is no MediaWiki export: fetch ...-pages-articles.xml.bz2",
            )
        parser.StartElementHandler = start

    def refuse_doctype(name: str, *_: object) -> None:
        root(name, {})
        # A DTD may declare entities that expand without bound; no dump has one.
        raise InputError(
            "a document type declaration is not allowed in a dump",
            where=line(),
            hint="Remove the <!DOCTYPE ...>",
        )

    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = root, end
    return parser


def _endless_tag(where: str, limits: Limits) -> InputError:
    return InputError(
        f"a tag of the XML is longer than {limits.record_mib} MiB",
        where=where,
        hint="It is damaged or no MediaWiki export: fetch it again",
    )


def _broken(fault: expat.ExpatError, *, where: str) -> InputError:
    return InputError(
        f"broken XML: {expat.ErrorString(fault.code)}",
        where=f"{where}, line {fault.lineno}, column {fault.offset}",
        hint="It is damaged, truncated or no MediaWiki export: fetch it again",
    )


def _unreadable(fault: Exception, *, where: str) -> InputError:
    """The error for an encoding that expat cannot decode and `Transcoder` did not find declared."""
    return InputError(
        f"the XML cannot be decoded: {fault}", where=where, hint="Convert the dump to UTF-8, e.g. with iconv"
    )


def read_pages(
    stream: Readable,
    *,
    where: str,
    limits: Limits = DEFAULT_LIMITS,
    on_bad: OnBad = refuse,
    stride: Stride = ALL_PAGES,
) -> Iterator[RawPage]:
    """Yield the pages in the dump's order; memory holds the pages of one MiB of the dump at a time.

    Args:
        stream: XML in UTF-8, UTF-16 or an encoding that its declaration names (`xml_encoding`).
        where: name of the input for errors.
        on_bad: called with each page that lacks a proper id, namespace or title, or is longer than the limit.
        stride: which pages to yield; default: all. The other pages are parsed, but not collected.

    Raises:
        InputError: the XML is broken, its root is not `<mediawiki>`, it has a document type declaration, or a
            tag is longer than the limit. The pages before the fault have been yielded.
    """
    pages = _Pages(where=where, limits=limits, on_bad=on_bad, stride=stride)
    as_utf8 = Transcoder(where)
    fault: InputError | None = None
    fed, end = 0, False
    while not end and fault is None:
        try:
            raw = stream.read(_CHUNK)
            end = not raw
            chunk = as_utf8.feed(raw)
            pages.parser.Parse(chunk, end)
            fed += len(chunk)
            if fed - pages.parser.CurrentByteIndex > limits.record_bytes + _CHUNK:
                fault = _endless_tag(where, limits)
        except expat.ExpatError as error:
            fault = _broken(error, where=where)
        except BadRecord:
            raise
        except InputError as error:
            fault = error
        except (ValueError, LookupError) as error:
            fault = _unreadable(error, where=where)
        yield from pages.ready
        pages.ready.clear()
    if fault is not None:
        raise fault


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def read_site(stream: BinaryIO, *, lang: str, where: str = "dump") -> Site:
    """Read the `<siteinfo>` at the head of a dump, and no further: it describes the wiki.

    An export of an English wiki may lack it, because every wiki understands the English names.

    Args:
        where: the dump's path, for errors.

    Raises:
        InputError: the XML is broken, its root is not `<mediawiki>`, or a dump of another language than
            English has no `<siteinfo>`.
    """
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
        elif name in ("dbname", "case", "base"):
            values[name] = "".join(text).strip()
        elif name == "siteinfo":
            done = True

    parser = _strict_parser(where=where, start=start, end=end)
    parser.CharacterDataHandler = text.append
    as_utf8 = Transcoder(where)
    try:
        # By lines, so that nothing behind the head of a multistream dump is unpacked.
        for _ in range(_HEAD_LINES):
            chunk = stream.readline(_HEAD_LINE)
            parser.Parse(as_utf8.feed(chunk), not chunk)
            if done or not chunk:
                break
    except expat.ExpatError as error:
        raise _broken(error, where=where) from error
    except (ValueError, LookupError) as error:
        raise _unreadable(error, where=where) from error
    if not names:
        if lang != "en":
            raise InputError(
                "the dump has no <siteinfo>, so the names of its namespaces are unknown",
                where=where,
                hint="Keep the head of the original dump",
            )
        _log.warning("%s has no <siteinfo>: the English namespace names are used", where)
    return Site.of(
        lang,
        values.get("dbname", ""),
        first_letter=values.get("case") != "case-sensitive",
        names=names,
        base=values.get("base", ""),
    )
