"""MySQL dumps of MediaWiki's tables: the rows of their `INSERT` and `REPLACE` statements, as a stream.

A grammar is followed from the first byte to the last, so nothing inside a quoted value (a statement, a
comment, a row's end) is ever taken for syntax, and a byte that the grammar does not allow stops the reader.
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
_VALUE = rf"(?:{_QUOTED}|[-+.\w]++)"  # a number, NULL or 0xFF
# MySQL runs what stands in /*!...*/: one with rows is left to no pattern, so that it is refused.
_ROWS = r"(?i:INSERT|REPLACE)\b"
_COMMENT = rf"(?:--(?:[^\S\n][^\n]*+)?\n|\#[^\n]*+\n|/\*(?!!\d*+\s*+{_ROWS})(?>(?:[^*]++|\*(?!/))*)\*/)"


def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode(), re.DOTALL)


_GAP = _compiled(rf"(?>(?:\s++|;|{_COMMENT})*)")
_STATEMENT = _compiled(
    rf"(?>(?:[^;'\"`\-\#/]++|{_QUOTED}|\"(?>(?:[^\"\\]++|\\.)*)\"|`[^`]*+`|{_COMMENT}|-(?!-\s)|/(?!\*))*);"
)
_INSERT = _compiled(
    r"(?i:(?:INSERT|REPLACE)\s++(?:IGNORE\s++)?INTO\s++`(\w++)`\s*+(?:\(([^()]*+)\)\s*+)?VALUES)\s*+(?=\()"
)
_INSERT_WORD = _compiled(_ROWS)
_CREATE = _compiled(r"(?i:CREATE\s++TABLE\s++(?:IF\s++NOT\s++EXISTS\s++)?)`(\w++)`\s*+\(")
_COLUMN = re.compile(rb"^[ \t]*+`(\w++)`\s", re.MULTILINE)
_NAME = re.compile(rb"`(\w++)`")

_HEX = re.compile(rb"0x((?:[0-9A-Fa-f]{2})*)")
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
    """What a value stands for; NULL is empty, a number is its digits, 0x4142 is AB."""
    if value[:1] != b"'":
        if found := _HEX.fullmatch(value):
            return bytes.fromhex(found[1].decode())
        return b"" if value.upper() == b"NULL" else value
    inner = value[1:-1]
    return _ESCAPE.sub(_unescaped, inner) if b"\\" in inner or b"'" in inner else inner


def _unescaped(found: re.Match[bytes]) -> bytes:
    character = found[1]
    return b"'" if character is None else _ESCAPED.get(character, character)


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
        table = insert[1].decode()
        if insert[2]:
            self._columns[table] = [name.decode() for name in _NAME.findall(insert[2])]
        row, groups = self._row_pattern(table, self._columns.get(table, []))
        end: bytes | None = b","
        while end == b",":
            if found := self._take(row):
                end = found[len(groups) + 1]
                yield table, found.group(*groups)
            elif not self._refill():
                raise self._error(f"no row of table {table} begins here, or it has no end")

    def _row_pattern(self, table: str, columns: Sequence[str]) -> tuple[re.Pattern[bytes], list[int]]:
        """A row and what ends it; and the groups of the wanted columns, in the order asked for."""
        wanted = self._wanted.get(table)
        if wanted is None:
            raise self._error(f"the file holds table {table}, not {' or '.join(self._wanted)}")
        if missing := [name for name in wanted if name not in columns]:
            raise self._error(f"table {table} is not said to have a column {missing[0]}")
        captured = [name for name in columns if name in wanted]
        values = ",".join(f"({_VALUE})" if name in wanted else _VALUE for name in columns)
        return _compiled(rf"\s*+\({values}\)\s*+([,;])"), [1 + captured.index(name) for name in wanted]

    def _learn(self, statement: bytes) -> None:
        if create := _CREATE.match(statement):
            names = _COLUMN.findall(statement, create.end())
            self._columns[create[1].decode()] = [name.decode() for name in names]

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
            mend="The file is damaged, truncated or no dump of this table: fetch it again",
        )
