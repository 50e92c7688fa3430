"""Tab-separated files of a graph: plain, gzip or bzip2, local or remote; further columns are ignored.

A parser takes one line and raises `BadLine` if it is malformed; `read` reports such lines with their
position, and the caller refuses them (`refuse`) or sets them aside.
"""

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Literal, NamedTuple, NoReturn, TypeVar

import fsspec

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tally import Tally

T = TypeVar("T")
_LANGUAGE_CODE = re.compile(r"simple|[a-z]{2,3}(-[a-z]+)*")
_SNIFFED_LINES = 50
_AS_UTF8 = "Save the file as UTF-8"


class BadLine(ValueError):  # noqa: N818 - a line to set aside, not a failure
    """A malformed line; the message is the reason."""


class TripleRow(NamedTuple):
    """A fact, directed."""

    h: str
    r: str
    t: str


class NameRow(NamedTuple):
    """The names of an entity or a relation in one language; label None where only aliases are known."""

    id: str
    lang: str
    label: str | None
    aliases: list[str]


class TypesRow(NamedTuple):
    """An entity and its classes."""

    qid: str
    types: list[str]


class DescriptionRow(NamedTuple):
    """An entity and a text that describes it."""

    qid: str
    text: str


class TitleRow(NamedTuple):
    """A page title and its entity."""

    title: str
    qid: str


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """A line that was set aside: the file's base name, the line's number from 1, why, and the line itself."""

    file: str
    line: int
    reason: str
    text: str


def refuse(row: BadRow) -> NoReturn:
    """The `on_bad` of a build that stops at bad input.

    Raises:
        InputError: always.
    """
    raise InputError(
        row.reason,
        where=f"{row.file}:{row.line}",
        mend="Mend the line, or set on_bad_input: quarantine to set such lines aside",
    )


def open_lines(path: str) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 file, with or without a byte order mark.

    Raises:
        InputError: the file cannot be read, is cut short, or holds bytes that are not UTF-8.
    """
    for number, raw in _raw_lines(path):
        try:
            yield number, raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(_not_utf8(error), where=f"{path}:{number}", mend=_AS_UTF8) from error


def read(
    path: str, parser: Callable[[str], T], *, tally: Tally, on_bad: Callable[[BadRow], None]
) -> Iterator[T]:
    """Yield the parsed lines; blank ones are dropped and counted, malformed ones handed to `on_bad`.

    Raises:
        InputError: the file cannot be read, or is cut short.
    """
    file = PurePosixPath(path).name
    for number, raw in _raw_lines(path):
        try:
            line = raw.decode("utf-8")
            if not line.strip():
                tally.drop("blank_line")
                continue
            row = parser(line)
        except (BadLine, UnicodeDecodeError) as error:
            reason = _not_utf8(error) if isinstance(error, UnicodeDecodeError) else str(error)
            text = raw.decode("utf-8", "backslashreplace")
            on_bad(BadRow(file=file, line=number, reason=reason, text=text))
            continue
        yield row


def parse_triple(line: str) -> TripleRow:
    """`h r t`."""
    h, r, t = _fields(line, "a triple (h, r, t)", 3)[:3]
    return TripleRow(h, r, t)


def parse_names(line: str) -> NameRow:
    """`QID lang label alias...`; the label may be empty where there is an alias."""
    fields = _fields(line, "a row of labels (id, lang, label)", 3, may_be_empty=2)
    return _name_row(fields[0], fields[1], fields[2], fields[3:])


def parse_relation(line: str) -> NameRow:
    """`PID lang label description alias...`; the description may be missing, and is not kept."""
    fields = _fields(line, "a row of relations (id, lang, label)", 3, may_be_empty=2)
    return _name_row(fields[0], fields[1], fields[2], fields[4:])


def parse_wikidata5m_names(line: str) -> NameRow:
    """Wikidata5M's `id alias alias...` of entities or relations: English, the first alias is the label."""
    fields = _fields(line, "a row of names (id, name)", 2)
    return _name_row(fields[0], "en", fields[1], fields[2:])


def parse_types(line: str) -> TypesRow:
    """`QID typeQID...`."""
    qid, *types = _fields(line, "a row of types (id, class)", 2)
    return TypesRow(qid, _distinct(types))


def parse_description(line: str) -> DescriptionRow:
    """`QID text`."""
    qid, text = _fields(line, "a description (id, text)", 2)[:2]
    return DescriptionRow(qid, text)


def parse_title(line: str) -> TitleRow:
    """`title QID`."""
    title, qid = _fields(line, "a title (title, id)", 2)[:2]
    return TitleRow(title, qid)


def sniff_names(path: str, languages: Sequence[str]) -> Literal["names", "wikidata5m"]:
    """Tell whether a file of entity or relation names states a language in its second column.

    Args:
        path: a file in the layout of `parse_names`, `parse_relation` or `parse_wikidata5m_names`.
        languages: the configured languages; the file may hold others as well.

    Raises:
        InputError: every second column could be a language code, but none is a configured one.
    """
    second = []
    for _, line in islice(open_lines(path), _SNIFFED_LINES):
        fields = line.split("\t")
        if len(fields) > 1:
            second.append(fields[1].strip())
    if not second or not all(map(_LANGUAGE_CODE.fullmatch, second)):
        return "wikidata5m"
    if set(second).isdisjoint(languages):
        raise InputError(
            f"the second column holds {', '.join(sorted(set(second))[:5])}: "
            "languages that are not configured, or names",
            where=path,
            mend="Add the language to `languages`, or write the rows as `id lang label alias...`",
        )
    return "names"


def _raw_lines(path: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with fsspec.open(path, "rb", compression="infer") as file:
            for number, raw in enumerate(file, 1):
                line = raw
                if number == 1:
                    _refuse_utf16(path, raw)
                    line = raw.removeprefix(b"\xef\xbb\xbf")
                yield number, line.rstrip(b"\r\n")
    except FileNotFoundError as error:
        raise InputError("no such file", where=path, mend="Check the path in the configuration") from error
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"cannot be read past line {number}: {error}", where=path, mend="Fetch or write the file again"
        ) from error


def _refuse_utf16(path: str, first_line: bytes) -> None:
    if first_line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in first_line:
        raise InputError("this is not UTF-8 but looks like UTF-16", where=f"{path}:1", mend=_AS_UTF8)


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at position {error.start} is not UTF-8"


def _fields(line: str, what: str, needed: int, *, may_be_empty: int = -1) -> list[str]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) < needed:
        raise BadLine(f"{what} has at least {needed} tab-separated columns, here {len(fields)}")
    for column in range(needed):
        if not fields[column] and column != may_be_empty:
            raise BadLine(f"column {column + 1} of {what} is empty")
    return fields


def _name_row(ident: str, lang: str, label: str, aliases: Sequence[str]) -> NameRow:
    others = [alias for alias in _distinct(aliases) if alias != label]
    return NameRow(ident, lang, label or None, others)


def _distinct(values: Sequence[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]
