"""The manifest of a build: the current files of every table. It is written last, and commits a stage."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AfterValidator, NonNegativeInt, Strict, TypeAdapter, ValidationError

from kgcorpus.contracts.digests import MEMORY, FileDigests
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.files import parse_json, require_regular_file
from kgcorpus.contracts.remote import is_remote
from kgcorpus.contracts.store import write_text
from kgcorpus.contracts.tables import table

FORMAT = 1
MANIFEST = "manifest.json"
# No path component starts with a dot, so a path cannot leave the folder.
_INSIDE = re.compile(r"(tables|data)(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")


def is_inside(path: str) -> bool:
    """Whether the path is a file under tables/ or data/, which a build may write and delete."""
    return _INSIDE.fullmatch(path) is not None


def _inside(path: str) -> str:
    # Manifests are untrusted: they may come from any URL.
    if not is_inside(path):
        raise ValueError(f"{path!r} is no file under tables/ or data/")
    return path


def table_folder(stage: str, fingerprint: str) -> str:
    """The folder of a table's shards, relative to the build's. Its name changes with the content."""
    return f"tables/{stage}/{fingerprint[:12]}"


_Count = Annotated[NonNegativeInt, Strict()]
_SOURCE_TYPES = {"role": str, "lang": str, "file": str, "bytes": int, "sha256": str}


def _source(entry: dict[str, Any]) -> dict[str, Any]:
    for key, kind in _SOURCE_TYPES.items():
        if key in entry and type(entry[key]) is not kind:
            raise ValueError(f"{key} is no {kind.__name__}")
    return entry


_Source = Annotated[dict[str, Any], AfterValidator(_source)]


@dataclass(frozen=True)
class File:
    """One Parquet file; `path` is relative to the build's folder."""

    path: Annotated[str, AfterValidator(_inside)]
    rows: _Count
    bytes: _Count
    sha256: str

    @property
    def split(self) -> str:
        """train, validation or test for a published file, `part` for a table's."""
        return self.path.rsplit("/", 1)[-1].split("-", 1)[0]


@dataclass(frozen=True)
class TableEntry:
    """A committed table."""

    stage: str
    fingerprint: str
    digest: str
    rows: _Count
    drops: dict[str, _Count]
    counts: dict[str, _Count]
    files: tuple[File, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "files": [vars(file) for file in self.files]}


def key_of(entry: TableEntry, file: File) -> str:
    """The immutable key of a file in an object store: readers never read data/, which a build replaces."""
    return f"{table_folder(entry.stage, entry.fingerprint)}/{file.path.rpartition('/')[2]}"


@dataclass
class Manifest:
    """The tables of a build, the files it read and the versions it depends on.

    Attributes:
        pending: tables that the current or interrupted build has not reached yet, and `report` for
            config.yaml, report.json and README.md. Their present contents may not match the other tables.
    """

    tables: dict[str, TableEntry] = field(default_factory=dict)
    sources: list[_Source] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    pending: frozenset[str] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        pending = {"pending": sorted(self.pending)} if self.pending else {}
        return {
            "format": FORMAT,
            "tables": {name: self.tables[name].to_dict() for name in sorted(self.tables)},
            "sources": self.sources,
            "versions": self.versions,
            **pending,
        }

    def to_text(self) -> str:
        """Return the text of OUT/manifest.json; equal builds have equal texts."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    def save(self, out: Path) -> None:
        """Replace OUT/manifest.json atomically."""
        write_text(out / MANIFEST, self.to_text())

    def files(self, out: str | Path, table: str) -> list[str]:
        """Return the paths of a table's files, in shard order; URLs if `out` is one (`key_of`)."""
        entry = self.tables[table]
        if is_remote(str(out)):
            return [f"{out}/{key_of(entry, file)}" for file in entry.files]
        return [str(Path(out) / file.path) for file in entry.files]

    def built(self, out: Path, name: str) -> TableEntry:
        """Return the entry of a required table.

        Raises:
            InputError: the table is not built, is pending, or has missing or damaged files (`check_files`).
        """
        if name not in self.tables:
            raise InputError(
                f"holds no table {name}", where=str(out), hint=f"Run kgcorpus build-corpus {name}"
            )
        self.check_files(out, (name,))
        return self.tables[name]

    def check_files(self, out: Path, tables: Collection[str]) -> None:
        """Check that the tables are not pending, and verify the files of those that are built.

        Files are hashed once; OUT/.sources.json caches the digests (`FileDigests`). The tables may come from
        different builds, because a build of some targets leaves the other tables unchanged.

        Raises:
            InputError: a table is pending, or a file is missing, truncated, damaged or lacks a column.
        """
        self.check_pending(out, tables)
        self.verify_files(out, tables)
        for name in self.tables.keys() & tables:
            for file in self.tables[name].files:
                if fault := _lacks(out / file.path, table(name).schema.names):
                    raise _broken(out / file.path, fault)

    def verify_files(self, out: Path, tables: Collection[str]) -> None:
        """Verify the bytes of the tables' files, including pending tables.

        Raises:
            InputError: a file is missing, truncated or damaged.
        """
        digests = FileDigests(out / MEMORY)
        for name in sorted(self.tables.keys() & tables):
            for file in self.tables[name].files:
                require_whole(out, file, digests)
        digests.save()

    def check_pending(self, out: str | Path, names: Collection[str]) -> None:
        """Check that none of the tables is pending.

        Raises:
            InputError: a table is pending.
        """
        if waiting := sorted(self.pending & set(names)):
            more = f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""
            raise InputError(
                f"the last build stopped before finishing {', '.join(waiting[:3])}{more}",
                where=str(out),
                hint="Wait for it, or run the same kgcorpus build-corpus again",
            )


def _broken(path: Path, fault: str) -> InputError:
    return InputError(fault, where=str(path), hint="Delete it and run kgcorpus build-corpus again")


def require_whole(out: Path, file: File, digests: FileDigests) -> None:
    """Verify the bytes of one file of a build.

    Raises:
        InputError: the file is missing, truncated or damaged.
    """
    if fault := file_fault(out, file, digests):
        raise _broken(out / file.path, fault)


def file_fault(out: Path, file: File, digests: FileDigests) -> str | None:
    """Return the fault of a build's file as a sentence; None if its bytes match the manifest."""
    path = out / file.path
    if not path.is_file() or path.stat().st_size != file.bytes:
        return "is missing, or not of the length that the manifest names"
    if digests.of(path) != file.sha256:
        return "its bytes are not those that the manifest names"
    return None


def _lacks(path: Path, columns: list[str]) -> str | None:
    try:
        lacking = set(columns) - set(pq.read_schema(path).names)
    except (pa.ArrowInvalid, OSError) as error:
        return f"cannot be read ({error})"
    return f"lacks the columns {', '.join(sorted(lacking))}" if lacking else None


def load_manifest(out: Path, *, required: bool = False) -> Manifest:
    """Read OUT/manifest.json; a missing file gives an empty manifest unless `required`.

    Raises:
        InputError: the file is required and missing, or is not a manifest (`parse_manifest`).
    """
    path = out / MANIFEST
    if not path.exists():
        if required:
            raise InputError(
                "holds no finished build (no manifest.json)", where=str(out), hint="Run kgcorpus build-corpus"
            )
        return Manifest()
    require_regular_file(path)
    return parse_manifest(path.read_bytes(), where=str(path))


def parse_manifest(text: bytes, *, where: str) -> Manifest:
    """Parse a manifest and validate all its types and paths.

    Args:
        text: the file's bytes.
        where: the file's path or URL, for the error.

    Raises:
        InputError: the text is not JSON, has another format version or wrong types, or names a file outside
            tables/ and data/.
    """
    try:
        data = parse_json(text)
        if b"\\u" in text:
            # Half a surrogate pair could not be written to report.json or the card.
            json.dumps(data, ensure_ascii=False).encode()
        if data["format"] != FORMAT:
            raise InputError(
                f"was written in format {data['format']}, this version reads {FORMAT}",
                where=where,
                hint="Build into a new folder, or install the version that wrote it",
            )
        if lacking := {"tables", "sources", "versions"} - data.keys():
            raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
        return _adapter().validate_python(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"is not a manifest ({_first_fault(error)})", where=where, hint="Delete it to build again"
        ) from None


@cache
def _adapter() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


def _first_fault(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
