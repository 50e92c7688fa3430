"""A finished build as Python objects: tables as Arrow or `datasets`, records with a notebook view."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads

from kgcorpus.config import BuildConfig, load_resolved
from kgcorpus.contracts.errors import EnvironmentLacksError, InputError, UsageError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.languages import base_language_of
from kgcorpus.contracts.manifest import File, Manifest, load_manifest
from kgcorpus.contracts.remote import require_nonempty
from kgcorpus.contracts.shards import damage_named, read_batches
from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.tables import table as declared_table
from kgcorpus.mirror import local_build
from kgcorpus.report.html import row_as_html, table_as_html
from kgcorpus.report.inspect import render_row, sample_rows
from kgcorpus.report.labels import Labels, labels_of

if TYPE_CHECKING:
    from datasets import DatasetDict

    from kgcorpus.linking.linker import Linker


class Record(Mapping[str, Any]):
    """A row of a table, as a mapping: `record["text"]`. `str` and notebooks show it with marked spans."""

    def __init__(self, table: str, row: Mapping[str, Any], labels: Callable[[], Labels]) -> None:
        self.table = table
        self._row = row
        # They are loaded when the first record is shown.
        self._labels = labels

    def __getitem__(self, column: str) -> Any:
        return self._row[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def __str__(self) -> str:
        return render_row(self.table, self._row, label_of=self._labels())

    def __repr__(self) -> str:
        return f"Record({self.table!r}, {dict(self._row)!r})"

    def _repr_html_(self) -> str:
        return row_as_html(self.table, self._row, label_of=self._labels())


class Records(Sequence[Record]):
    """A sequence of records; `str` and notebooks show them one below the other."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = tuple(records)

    def __getitem__(self, index: Any) -> Any:
        found = self._records[index]
        return Records(found) if isinstance(index, slice) else found

    def __len__(self) -> int:
        return len(self._records)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self._records))

    def _repr_html_(self) -> str:
        return "".join(record._repr_html_() for record in self._records)


class Corpus:
    """A finished build.

    Attributes:
        path: the build's folder.
        manifest: the build's tables, sources and versions.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: str | Path) -> "Corpus":
        """Open the build in a folder, or at a URL: its tables are copied to this machine first.

        Raises:
            InputError: the folder does not contain a finished build.
            UsageError: the URL's scheme is unknown.
        """
        folder = local_build(require_nonempty(str(path)))
        return cls(folder, load_manifest(folder, required=True))

    @property
    def tables(self) -> dict[str, int]:
        """Number of rows of each table and shard config."""
        return {name: entry.rows for name, entry in sorted(self.manifest.tables.items())}

    @cached_property
    def config(self) -> BuildConfig:
        """The configuration of the build."""
        return load_resolved(self.path)

    @property
    def base_language(self) -> str:
        """The language that code switching mixes with the others, and the language of shown labels."""
        return base_language_of(self.path)

    @property
    def report(self) -> dict[str, Any]:
        """The contents of OUT/report.json: rows, drops and distributions by table.

        Raises:
            InputError: it is missing or damaged.
        """
        path = self.path / "report.json"
        require_regular_file(path)
        try:
            report = parse_json(path.read_bytes())
            if not isinstance(report, dict):
                raise ValueError("it is no JSON object")
        except ValueError as error:
            raise InputError(
                f"is not a build's report ({error})",
                where=str(path),
                hint="Run kgcorpus build-corpus again, which writes it",
            ) from None
        return report

    def splits(self, table: str) -> tuple[str, ...]:
        """Return the non-empty splits of a shard config; `part` for a table that is not published."""
        return tuple(dict.fromkeys(file.split for file in self._files(table) if file.rows))

    def dataset(self, table: str, split: str | None = None) -> pads.Dataset:
        """Open a table as an Arrow dataset, which reads lazily.

        Args:
            table: a table or shard config.
            split: train, validation or test of a shard config; None for all splits.

        Raises:
            UsageError: the table or split does not exist.
            InputError: the table is not built, or one of its files is missing or damaged.
        """
        paths = [str(self.path / file.path) for file in self._files(table, split)]
        return pads.dataset(paths, schema=declared_table(table).schema, format="parquet")

    def arrow(
        self, table: str, split: str | None = None, *, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Read a whole table into memory; arguments and errors as for `dataset`.

        Args:
            columns: columns to read; default: all.
        """
        known = declared_table(table).columns
        if missing := [name for name in columns or () if name not in known]:
            raise UsageError(
                f"{table} has no column {missing[0]}",
                where=str(self.path),
                hint=f"It has: {', '.join(known)}",
            )
        with damage_named(self.path):
            return self.dataset(table, split).to_table(columns=columns and list(columns))

    def datasets(self, table: str) -> "DatasetDict":
        """Load a table as a `datasets.DatasetDict`, keyed by split.

        Raises:
            EnvironmentLacksError: the package `datasets` is not installed.
            UsageError: the table does not exist.
            InputError: as for `dataset`.
        """
        try:
            from datasets import load_dataset
        except ImportError as error:
            raise EnvironmentLacksError(
                "the package datasets is not installed", hint="Run pip install datasets"
            ) from error
        files = {
            split: [str(self.path / file.path) for file in self._files(table, split)]
            for split in self.splits(table)
        }
        return load_dataset("parquet", data_files=files)

    def rows(self, table: str, split: str | None = None) -> Iterator[Record]:
        """Yield all records in stored order, with bounded memory; arguments and errors as for `dataset`."""
        for file in self._files(table, split):
            for batch in read_batches(self.path / file.path, rows=1024):
                yield from (self._record(table, row) for row in batch.to_pylist())

    def records(self, table: str, n: int = 3, *, split: str | None = None, seed: int = 0) -> Records:
        """Sample records without replacement, in stored order.

        Args:
            table: a table or shard config.
            n: number of records; all if there are fewer.
            split: train, validation or test of a shard config; None for all splits.
            seed: equal seeds give equal records.

        Raises:
            UsageError: the table or split does not exist.
            InputError: as for `dataset`.
        """
        paths = [str(self.path / file.path) for file in self._files(table, split)]
        return Records([self._record(table, row) for row in sample_rows(paths, n, seed=seed)])

    def linker(self, lang: str | None = None, *, overrides: Sequence[str] = ()) -> "Linker":
        """Open the entity linker of this build, which uses its links and names.

        Args:
            lang: language of the texts; None for the base language.
            overrides: `linking.key=value` settings that replace those of the build.

        Raises:
            InputError: the build has neither links nor entity names.
            UsageError: the build has no entity names in this language.
        """
        from kgcorpus.linking.linker import Linker

        return Linker.open(self.path, lang, overrides=overrides)

    def label(self, ident: str) -> str | None:
        """Return the label of an entity or relation in the base language; None if there is none."""
        return self._labels(ident)

    @cached_property
    def _labels(self) -> Labels:
        return labels_of(self.manifest, self.path)

    def _record(self, table: str, row: Mapping[str, Any]) -> Record:
        return Record(table, row, lambda: self._labels)

    def _files(self, name: str, split: str | None = None) -> list[File]:
        files = self.manifest.built(self.path, declared_table(name).name).files
        chosen = [file for file in files if split in (None, file.split)]
        if not chosen:
            splits = ", ".join(dict.fromkeys(file.split for file in files))
            raise UsageError(f"{name} has no split {split}", where=str(self.path), hint=f"It has: {splits}")
        return chosen

    def __repr__(self) -> str:
        return f"Corpus({str(self.path)!r}: {len(self.tables)} tables)"

    def _repr_html_(self) -> str:
        # A manifest of another version may name other tables.
        rows = [
            (name, f"{rows:,}", TABLES[name].meaning if name in TABLES else "")
            for name, rows in self.tables.items()
        ]
        return table_as_html(("table", "rows", "one row is"), rows)
