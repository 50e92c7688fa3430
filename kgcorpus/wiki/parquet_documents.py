"""Rows of a Parquet file as rows of table `pages`: running text, with its own links where a column has them.

A row has what a JSON line of `kgcorpus.wiki.documents` has; a configuration names the columns. Groups of rows
are read independently, so several tasks can read one file.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.stages import format_of
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import DEFAULT_LIMITS, BadRecord, Limits, OnBad
from kgcorpus.inputs.opening import open_raw
from kgcorpus.inputs.packed import require_plausible_ratio
from kgcorpus.wiki.column_paths import COLUMNS, TextField, field_of, has_path
from kgcorpus.wiki.documents import document_parser
from kgcorpus.wiki.plaintext import BYTES_A_FILE
from kgcorpus.wiki.site import Site

FORMAT = ".parquet"
# Rows that are decoded at a time: a dictionary repeats a value of any size.
_ROWS = 32


def is_parquet(path: str) -> bool:
    """Whether the file's name says that it is a Parquet file."""
    return format_of(path) == FORMAT


def row_groups(path: str) -> int:
    """The number of groups of rows in a file.

    Raises:
        InputError: the file cannot be opened, or is no Parquet file.
    """
    with _opened(path) as file:
        return int(file.metadata.num_row_groups)


def read_parquet_documents(
    path: str,
    *,
    lang: str,
    ordinal: int,
    sites: Mapping[str, Site],
    tally: Tally,
    on_bad: OnBad,
    columns: Mapping[TextField, str | None] | None = None,
    groups: Sequence[int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    languages: Collection[str] = (),
    link_title: bool = False,
) -> Iterator[dict[str, Any]]:
    """The documents of one file, as rows of table `pages`.

    Args:
        lang, ordinal, sites, languages, link_title: as for JSON lines; a document's page id is
            `-(ordinal * 2**40 + row)`, counted from 1.
        columns: field (text, lang, title, qid, links) -> column, or a path to values within it
            (`column_paths`), or None to leave the column out; another field has the column of its own name,
            if the file has it.
        groups: the groups of rows to read; default: all.
        on_bad: receives a row with another type, a link outside its text, or more than `limits.record_mib`.

    Raises:
        InputError: the file is damaged or no Parquet file, lacks a named column, or unpacks beyond limits.
    """
    parse = document_parser(lang=lang, sites=sites, tally=tally, languages=languages, link_title=link_title)
    name = file_name(path)
    with _opened(path) as file:
        names = _columns_of(file, columns or {}, where=path)
        known = file.schema_arrow.names
        read = sorted({column if column in known else column.partition(".")[0] for column in names.values()})
        first, given, packed = 0, 0, 0
        for group in range(file.metadata.num_row_groups):
            about = file.metadata.row_group(group)
            if groups is not None and group not in groups:
                first += about.num_rows
                continue
            packed += sum(about.column(i).total_compressed_size for i in range(about.num_columns))
            for batch in file.iter_batches(_ROWS, row_groups=[group], columns=read):
                for values in batch.to_pylist():
                    first += 1
                    try:
                        row: dict[str, Any] = {
                            field: field_of(values, field, column) for field, column in names.items()
                        }
                        size = len(row["text"]) if isinstance(row["text"], str) else 0
                        given += size
                        require_plausible_ratio(given, packed, limits=limits, where=f"{path}, row {first}")
                        if size > limits.record_bytes:
                            raise BadRecord(f"it is longer than {limits.record_mib} MiB")
                        document = parse(row)
                    except BadRecord as bad:
                        bad.where, bad.text = f"{name}, row {first}", str(values)[:1000]
                        on_bad(bad)
                        continue
                    tally.good()
                    if document["text"].strip():
                        yield {"page_id": -(ordinal * BYTES_A_FILE + first), **document}
                    else:
                        tally.drop("no_text")


def _columns_of(
    file: pq.ParquetFile, columns: Mapping[TextField, str | None], *, where: str
) -> dict[TextField, str]:
    schema = file.schema_arrow
    known = schema.names
    # A name that has dots wins over a path.
    whole = pa.struct([field for field in schema if known.count(field.name) == 1])
    found: dict[TextField, str] = {}
    for field, own in COLUMNS.items():
        column = columns.get(field, own)
        if column is None:
            continue
        if column in known or has_path(whole, column.split(".")):
            found[field] = column
        elif field in columns or field == "text":
            raise InputError(
                f"it has no column {column!r}, but {', '.join(sorted(known)[:10])}",
                where=where,
                hint=f"Name the column of `{field}` in `columns` of this text",
            )
    return found


@contextmanager
def _opened(path: str) -> Iterator[pq.ParquetFile]:
    with open_raw(path) as raw:
        try:
            with pq.ParquetFile(raw) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"this cannot be read as Parquet: {str(error).splitlines()[0]}",
                where=path,
                hint="Fetch the file again, or name it by what it is",
            ) from None
