"""Labels and aliases by id and language, read out of Arrow's own buffers."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.tables import NAME

# 64-bit offsets: the names of a few million entities pass 2 GB.
_TEXT = pa.large_string()
_NAMES = pa.large_list(pa.struct([("lang", _TEXT), ("label", _TEXT), ("aliases", pa.large_list(_TEXT))]))


class Names:
    """The names in a table `entities` or `relations`.

    The strings stay in their Arrow buffers and are decoded when asked for: a Python string for each name of a
    few hundred thousand entities in ten languages would take several times the memory.
    """

    def __init__(self, ids: pa.LargeStringArray, names: pa.LargeListArray) -> None:
        """Take parallel arrays, the names as lists of structs (lang, label, aliases)."""
        self._row = {ident: row for row, ident in enumerate(ids.to_pylist())}
        self._bounds = _offsets(names)
        values = names.values
        langs = pc.dictionary_encode(values.field("lang"))
        self._languages: list[str] = langs.dictionary.to_pylist()
        self._code = {lang: chr(code) for code, lang in enumerate(self._languages)}
        # One character a name, so that str.find looks a language up within an entity's names.
        self._codes = "".join(map(chr, langs.indices.to_pylist()))
        self._labels = _Strings(pc.fill_null(values.field("label"), ""))
        aliases = pc.fill_null(values.field("aliases"), [])
        self._alias_bounds = _offsets(aliases)
        self._aliases = _Strings(aliases.values)

    @classmethod
    def from_arrow(cls, table: pa.Table, key: str) -> Self:
        """Take the columns `key` ("qid" or "pid") and `names`."""
        return cls(table[key].cast(_TEXT).combine_chunks(), table["names"].cast(_NAMES).combine_chunks())

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], key: str) -> Self:
        """Take rows with the fields `key` ("qid" or "pid") and `names`."""
        schema = pa.schema([(key, pa.string()), ("names", pa.list_(NAME))])
        return cls.from_arrow(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), key)

    def label(self, ident: str, lang: str) -> str | None:
        """The label, or the first alias in code point order where no label is known, or None."""
        at = self._find(ident, lang)
        if at < 0:
            return None
        return self._labels[at] or min(self._aliases_at(at), default=None)

    def aliases(self, ident: str, lang: str) -> list[str]:
        """The aliases, in the table's order; the label is not among them."""
        at = self._find(ident, lang)
        return [] if at < 0 else self._aliases_at(at)

    def draw_alias(self, ident: str, lang: str, u: float) -> str | None:
        """The alias at `u` in [0, 1) of the way through them, or None where there is none."""
        at = self._find(ident, lang)
        if at < 0:
            return None
        start, end = self._alias_bounds[at], self._alias_bounds[at + 1]
        return self._aliases[start + int(u * (end - start))] if end > start else None

    def languages(self, ident: str) -> list[str]:
        """The languages that have a label or an alias, in the table's order."""
        row = self._row.get(ident)
        if row is None:
            return []
        return [self._languages[ord(c)] for c in self._codes[self._bounds[row] : self._bounds[row + 1]]]

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, ident: object) -> bool:
        return ident in self._row

    def _find(self, ident: str, lang: str) -> int:
        row = self._row.get(ident)
        code = self._code.get(lang)
        if row is None or code is None:
            return -1
        return self._codes.find(code, self._bounds[row], self._bounds[row + 1])

    def _aliases_at(self, at: int) -> list[str]:
        return [self._aliases[i] for i in range(self._alias_bounds[at], self._alias_bounds[at + 1])]


class _Strings:
    """A read-only column of strings without nulls."""

    def __init__(self, column: pa.LargeStringArray) -> None:
        data = column.buffers()[2]
        self._data = memoryview(data) if data is not None else memoryview(b"")
        self._offsets = _offsets(column)

    def __getitem__(self, at: int) -> str:
        return str(self._data[self._offsets[at] : self._offsets[at + 1]], "utf-8")


def _offsets(column: pa.Array) -> "memoryview[int]":
    """The 64-bit offsets of a large string or list array, into the whole of its values."""
    end = (column.offset + len(column) + 1) * 8
    return memoryview(column.buffers()[1]).cast("B")[column.offset * 8 : end].cast("q")
