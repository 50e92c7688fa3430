"""Labels and aliases by id and language: Arrow columns in the ids' order, one file a language."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgcorpus.contracts.digests import seal, sealed_files
from kgcorpus.contracts.store import replacing
from kgcorpus.contracts.tables import NAME

if TYPE_CHECKING:
    from kgcorpus.kg.strings import Column, IdIndex

# 64-bit offsets: the names of a few million entities pass 2 GB.
_TEXT = pa.large_string()
_TEXTS = pa.large_list(_TEXT)
_NAMES = pa.large_list(pa.struct([("lang", _TEXT), ("label", _TEXT), ("aliases", _TEXTS)]))
# No language code begins with an underscore. `lang-` keeps files of older versions from being read.
_IDS_FILE = "_ids.arrow"
_LANGUAGE_FILE = "lang-{}.arrow"


@dataclass(frozen=True, eq=False)
class LabelColumn:
    """The names of one language, parallel to the ids.

    Attributes:
        labels: [N] the label, or the first alias in code point order where none is known, or null.
        aliases: [N] lists in the table's order; the label is not among them.
    """

    labels: pa.LargeStringArray
    aliases: pa.LargeListArray

    @cached_property
    def label_column(self) -> "Column":
        """The labels' buffers; a missing label is empty."""
        from kgcorpus.kg.strings import column_of

        return column_of(self.labels)

    @cached_property
    def alias_column(self) -> "Column":
        """The buffers of all the aliases."""
        from kgcorpus.kg.strings import column_of

        return column_of(self.aliases.values)

    @cached_property
    def alias_bounds(self) -> NDArray[np.int64]:
        """[N + 1] an id's first place in `alias_column`."""
        bounds = self.aliases.offsets.to_numpy().view()
        bounds.flags.writeable = False
        return bounds

    def has_label(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the ids at these rows have a label; False for row -1. Shaped like the argument."""
        offsets = self.label_column.offsets
        return (rows >= 0) & (offsets[rows + 1] > offsets[np.maximum(rows, 0)])


class LabelIndex:
    """The names in a table `entities` or `relations`, as one `LabelColumn` a language."""

    def __init__(self, ids: pa.LargeStringArray, columns: Mapping[str, LabelColumn]) -> None:
        self._ids = ids
        self._columns = dict(columns)

    @classmethod
    def from_arrow(cls, table: pa.Table, key: str) -> Self:
        """Take the columns `key` ("qid" or "pid") and `names`."""
        ids = table[key].cast(_TEXT).combine_chunks()
        names = table["names"].cast(_NAMES).combine_chunks()
        rows, values = pc.list_parent_indices(names).to_numpy(), names.flatten()
        found = {}
        for lang in sorted(pc.unique(values.field("lang")).to_pylist()):
            own = pc.equal(values.field("lang"), lang)
            place = np.full(len(ids), -1, np.int64)
            place[rows[own.to_numpy(zero_copy_only=False)]] = np.arange(pc.sum(own).as_py() or 0)
            found[lang] = _column_of(values.filter(own).take(pa.array(place, mask=place < 0)))
        return cls(ids, found)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], key: str) -> Self:
        """Take rows with the fields `key` ("qid" or "pid") and `names`."""
        schema = pa.schema([(key, pa.string()), ("names", pa.list_(NAME))])
        return cls.from_arrow(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), key)

    def save(self, folder: Path) -> None:
        """Write the ids, one Arrow file a language, and last the digests of all of them."""
        columns = {_LANGUAGE_FILE.format(lang): column for lang, column in self._columns.items()}
        for name, column in columns.items():
            _write(folder / name, label=column.labels, aliases=column.aliases)
        _write(folder / _IDS_FILE, id=self._ids)
        seal(folder, [_IDS_FILE, *columns])

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map the files that `save` wrote into memory, which all the processes of a machine share.

        Raises:
            FileNotFoundError: `save` has not ended there, or a file is missing or damaged since.
        """
        files = sealed_files(folder)
        if folder / _IDS_FILE not in files:
            raise FileNotFoundError(folder)
        files.remove(folder / _IDS_FILE)
        (ids,) = _map(folder / _IDS_FILE)
        return cls(ids, {path.stem.removeprefix("lang-"): LabelColumn(*_map(path)) for path in files})

    def rows(self, ids: pa.Array) -> NDArray[np.int64]:
        """[n] the rows of these ids in every `LabelColumn`, -1 for an unknown one."""
        return self._index.find(ids)

    def places(self, ids: pa.Array) -> NDArray[np.int64]:
        """The same without compiled code, for a few large batches: the table is built in each call."""
        found = pc.index_in(ids.cast(_TEXT), value_set=self._ids)
        return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)

    @property
    def ids(self) -> pa.LargeStringArray:
        """[N] the ids, in the order of the rows."""
        return self._ids

    @property
    def row_of(self) -> Mapping[str, int]:
        """Id -> its row in every `LabelColumn`; for single ids, which take a Python string each."""
        return self._row

    def column(self, lang: str) -> LabelColumn:
        """The names of one language; all missing where the table has none of it."""
        if lang not in self._columns:
            n = len(self._ids)
            empty = pa.LargeListArray.from_arrays(np.zeros(n + 1, np.int64), pa.array([], _TEXT))
            self._columns[lang] = LabelColumn(pa.nulls(n, _TEXT), empty)
        return self._columns[lang]

    def label(self, ident: str, lang: str) -> str | None:
        """The label, or the first alias in code point order where no label is known, or None."""
        row = self._row.get(ident)
        return self._columns[lang].labels[row].as_py() if row is not None and lang in self._columns else None

    def aliases(self, ident: str, lang: str) -> list[str]:
        """The aliases, in the table's order; the label is not among them."""
        row = self._row.get(ident)
        return self._columns[lang].aliases[row].as_py() if row is not None and lang in self._columns else []

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, ident: object) -> bool:
        return ident in self._row

    @cached_property
    def _index(self) -> "IdIndex":
        from kgcorpus.kg.strings import IdIndex

        return IdIndex(self._ids)

    @cached_property
    def _row(self) -> dict[str, int]:
        """For single ids; batches are looked up without a Python string an id."""
        return {ident: row for row, ident in enumerate(self._ids.to_pylist())}


def _column_of(names: pa.StructArray) -> LabelColumn:
    labels, aliases = (pc.struct_field(names, field) for field in ("label", "aliases"))
    labels = pc.if_else(pc.equal(labels, ""), pa.scalar(None, _TEXT), labels)
    aliases = pc.fill_null(aliases, pa.scalar([], _TEXTS))
    missing = pc.and_(pc.is_null(labels), pc.greater(pc.list_value_length(aliases), 0))
    first = pa.array([min(known) for known in aliases.filter(missing).to_pylist()], _TEXT)
    return LabelColumn(pc.replace_with_mask(labels, missing, first), aliases)


def _write(path: Path, **columns: pa.Array) -> None:
    batch = pa.record_batch(columns)
    with replacing(path) as temporary, pa.ipc.new_file(str(temporary), batch.schema) as writer:
        writer.write_batch(batch)


def _map(path: Path) -> list[pa.Array]:
    return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0).columns
