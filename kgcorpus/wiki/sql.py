"""MySQL dumps of MediaWiki's tables: the rows of their `INSERT` and `REPLACE` statements, as a stream.

A grammar is followed from the first byte to the last, so nothing inside a quoted value (a statement, a
comment, a row's end) is ever read as syntax, and a byte that the grammar does not allow stops the reader.
Every pattern ends in a mark that must be in the buffer, so a match never depends on where the buffer ends.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import DEFAULT_LIMITS, Limits, open_input

_CHUNK = 1 << 20
# Groups are made possessive as (?>(?:...)*): see wikitext/markup.py.
_QUOTED = r"'[^'\\]*+(?>(?:(?:\\.|'')[^'\\]*+)*)'"
# A number, NULL, 0xFF, X'FF' or text; MySQL 8 names the character set before it, as in _binary 'a'.
_HEXADECIMAL = "[xX]'[0-9A-Fa-f]*+'"
_VALUE = rf"(?:(?:_\w++\s*+|[nN](?='))?(?:{_HEXADECIMAL}|{_QUOTED}|0[xX]\w++)|[-+.\w]++)"
# A name, also in backticks, and one that may follow its database's name.
_NAME_PATTERN = r"(?:`\w++`|\w++)"
_TABLE = rf"(?:{_NAME_PATTERN}\s*+\.\s*+)?({_NAME_PATTERN})"
# MySQL executes the content of /*!...*/. No pattern matches one with rows, so it is refused.
_ROWS = r"(?i:INSERT|REPLACE)\b"
_COMMENT = rf"(?:--(?:[^\S\n][^\n]*+)?\n|\#[^\n]*+\n|/\*(?!!\d*+\s*+{_ROWS})(?>(?:[^*]++|\*(?!/))*)\*/)"


def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode(), re.DOTALL)


_GAP = _compiled(rf"(?>(?:\s++|;|{_COMMENT})*)")
_STATEMENT = _compiled(
    rf"(?>(?:[^;'\"`\-\#/]++|{_QUOTED}|\"(?>(?:[^\"\\]++|\\.)*)\"|`[^`]*+`|{_COMMENT}|-(?!-\s)|/(?!\*))*);"
)
_INSERT = _compiled(
    r"(?i:(?:INSERT|REPLACE)\s++(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\s++)*+(?:INTO\s++)?"
    rf"{_TABLE}\s*+(?:\(([^()]*+)\)\s*+)?VALUES?+)\s*+(?=\()"
)
_INSERT_WORD = _compiled(_ROWS)
_CREATE = _compiled(r"(?i:CREATE\s++TABLE\s++(?:IF\s++NOT\s++EXISTS\s++)?)" + rf"{_TABLE}\s*+\(")
_COLUMN = _compiled(rf"\s*+({_NAME_PATTERN})")
_NAME = _compiled(rf"({_NAME_PATTERN})")
# Separator of the parts of a definition; a comma within quotes or brackets does not separate.
_MARK = _compiled(rf"{_QUOTED}|\"(?>(?:[^\"\\]++|\\.)*)\"|`[^`]*+`|{_COMMENT}|[(),]")
_NO_COLUMN = re.compile(
    rb"(?i:PRIMARY|UNIQUE|KEY|INDEX|FULLTEXT|SPATIAL|CONSTRAINT|FOREIGN|CHECK|PERIOD)(?![`\w])"
)

_INTRODUCER = re.compile(rb"_\w+\s*(?=[xX0']|$)|[nN](?=')")
_HEX = re.compile(rb"0[xX]((?:[0-9A-Fa-f]{2})*)|[xX]'((?:[0-9A-Fa-f]{2})*)'")
_ESCAPE = re.compile(rb"\\(.)|''", re.DOTALL)
_ESCAPED = {b"0": b"\0", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}

Values = tuple[bytes, ...]


def read_rows(
    path: str, wanted: Mapping[str, Sequence[str]], *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[str, Values]]:
    """Yield (table, the wanted columns' values as written) for each row, in the file's order.

    Args:
        path: `.sql`, packed or not, of one table or several.
        wanted: table -> columns, at least two.

    Raises:
        InputError: another table, an unknown column, something that is not SQL (with the byte of the unpacked
            file), or an end within a statement; or as `open_input`.
    """
    with open_input(path, limits=limits) as stream:
        yield from _Reader(stream, wanted, path=path, limits=limits).rows()


def unquoted(value: bytes) -> bytes:
    """Decode a value: NULL is empty, a number is its digits, 0x4142 and X'4142' are AB."""
    if value[:1] != b"'":
        if introduced := _INTRODUCER.match(value):
            return unquoted(value[introduced.end() :])
        if found := _HEX.fullmatch(value):
            return bytes.fromhex((found[1] or found[2] or b"").decode())
        return b"" if value.upper() == b"NULL" else value
    inner = value[1:-1]
    return _ESCAPE.sub(_unescaped, inner) if b"\\" in inner or b"'" in inner else inner


def _unescaped(found: re.Match[bytes]) -> bytes:
    character = found[1]
    return b"'" if character is None else _ESCAPED.get(character, character)


def _bare(name: bytes) -> str:
    return name.strip(b"`").decode("utf-8", "backslashreplace")


def _columns_in(statement: bytes, start: int) -> Iterator[str]:
    """The columns that a CREATE TABLE defines, from behind its opening bracket."""
    depth, begin = 0, start
    for mark in _MARK.finditer(statement, start):
        if mark[0] == b"(":
            depth += 1
        elif mark[0] == b")" and depth:
            depth -= 1
        elif mark[0] in (b",", b")") and not depth:
            found = _COLUMN.match(_without_comments(statement[begin : mark.start()]))
            if found and not _NO_COLUMN.match(found[1]):
                yield _bare(found[1])
            if mark[0] == b")":
                return
            begin = mark.end()


def _without_comments(part: bytes) -> bytes:
    while found := _GAP.match(part):
        if not found.end():
            break
        part = part[found.end() :]
    return part


class _Reader:
    """A buffer over the file, refilled where no pattern matches; `_at` is the place in it."""

    def __init__(
        self, stream: BinaryIO, wanted: Mapping[str, Sequence[str]], *, path: str, limits: Limits
    ) -> None:
        self._stream, self._wanted, self._path, self._limits = stream, wanted, path, limits
        self._buffer, self._at, self._before = b"", 0, 0
        self._columns: dict[str, list[str]] = {}

    def rows(self) -> Iterator[tuple[str, Values]]:
        """All rows; between the statements that hold none are skipped."""
        while True:
            self._take(_GAP)
            if _INSERT_WORD.match(self._buffer, self._at):
                if insert := self._take(_INSERT):
                    yield from self._insert(insert)
                    continue
            elif statement := self._take(_STATEMENT):
                self._learn(statement[0])
                continue
            if not self._refill():
                if self._at == len(self._buffer):
                    self._refuse_other_tables()
                    return
                raise self._error("no SQL statement that a MySQL dump holds begins here, or it has no end")

    def _insert(self, insert: re.Match[bytes]) -> Iterator[tuple[str, Values]]:
        table = _bare(insert[1])
        if insert[2]:
            self._columns[table] = [_bare(name) for name in _NAME.findall(insert[2])]
        row, groups = self._row_pattern(table, self._columns.get(table, []))
        end: bytes | None = b","
        while end == b",":
            if found := self._take(row):
                end = found[len(groups) + 1]
                yield table, found.group(*groups)
            elif not self._refill():
                raise self._error(f"no row of table {table} begins here, or it has no end")

    def _row_pattern(self, table: str, columns: Sequence[str]) -> tuple[re.Pattern[bytes], list[int]]:
        """A row and what ends it; and the groups of the wanted columns, in the requested order."""
        wanted = self._wanted.get(table)
        if wanted is None:
            raise self._error(f"the file holds table {table}, not {' or '.join(self._wanted)}")
        if missing := [name for name in wanted if name not in columns]:
            raise self._error(f"table {table} is not said to have a column {missing[0]}")
        captured = [name for name in columns if name in wanted]
        values = ",".join(
            rf"\s*+({_VALUE})\s*+" if name in wanted else rf"\s*+{_VALUE}\s*+" for name in columns
        )
        return _compiled(rf"\s*+\({values}\)\s*+([,;])"), [1 + captured.index(name) for name in wanted]

    def _learn(self, statement: bytes) -> None:
        if create := _CREATE.match(statement):
            self._columns[_bare(create[1])] = list(_columns_in(statement, create.end()))

    def _refuse_other_tables(self) -> None:
        """A file without a row says which table it is of by its CREATE TABLE."""
        if self._columns.keys().isdisjoint(self._wanted):
            held = f"table {next(iter(self._columns))}" if self._columns else "no table"
            raise self._error(f"the file holds {held}, not {' or '.join(self._wanted)}")

    def _take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        found = pattern.match(self._buffer, self._at)
        if found:
            self._at = found.end()
        return found

    def _refill(self) -> bool:
        """Append a chunk; False at the file's end, or where one statement or row passes the limit."""
        chunk = self._stream.read(_CHUNK)
        self._before += self._at
        self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        return bool(chunk) and len(self._buffer) <= self._limits.record_bytes + _CHUNK

    def _error(self, what: str) -> InputError:
        return InputError(
            what,
            where=f"{self._path}, unpacked byte {self._before + self._at}",
            hint="The file is damaged, truncated or no dump of this table: fetch it again",
        )
