"""Declaration of a stage as data: its table, inputs, parameters and version, and their fingerprint."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kgcorpus.contracts.declared import config_value
from kgcorpus.contracts.remote import without_query

_PACKINGS = (".bz2", ".gz", ".xz", ".zst")
# Under any other name a file is what its field takes by default.
_FORMATS = (".json", ".jsonl", ".ndjson", ".parquet", ".sql")


def format_of(path: str) -> str:
    """The end of a file's name, its packing left out, if it picks the parser; else ""."""
    path = without_query(path)
    for packing in _PACKINGS:
        path = path.removesuffix(packing)
    return next((end for end in _FORMATS if path.endswith(end)), "")


@dataclass(frozen=True)
class Source:
    """A file or model folder from outside that a stage reads.

    Attributes:
        role: the config field that names it, e.g. `wikipedia.dump`.
        path: as configured.
        lang: of its config section, or "".
    """

    role: str
    path: str
    lang: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One table's making.

    Attributes:
        table: the table it makes; also the stage's name.
        version: raised whenever the same inputs and params would give other bytes.
        inputs: tables it needs.
        optional: tables it reads where the configuration allows them.
        only_if: optional table -> (config field, value): it is read only with this value.
        sources: config fields that name files from outside, e.g. `graph.triples`, `wikipedia.dump`.
        formats: values of `format_of`: only files of these are sources; empty for all.
        needs: of these sources at least one must be configured; else the table is n/a.
        enabled_by: a config value that must be true for the table to be made; "" for always.
        params: config fields that change its result; `run` can read these and no others.
        growth: expected output rows per row of the first input, or per byte of the sources without one;
            it sets the shard count, so it changes bytes.
        libraries: packages whose version changes its result.
        run: from a context to a DataFrame with the table's columns, or to keys from which the rows are
            rendered (`pipelines.packed.Rendered`).
    """

    table: str
    version: int
    run: Callable[[Any], Any]
    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    only_if: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    enabled_by: str = ""
    params: tuple[str, ...] = ()
    growth: float = 1.0
    libraries: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table


def sources_of(config: Any, roles: Sequence[str], formats: Sequence[str] = ()) -> list[Source]:
    """The configured sources of these roles, in the configuration's order.

    Args:
        formats: values of `format_of`; only files of these, if any are named.
    """
    found = []
    for role in roles:
        section, _, name = role.rpartition(".")
        parent = config_value(config, section)
        for item in parent if isinstance(parent, tuple) else (parent,):
            value = getattr(item, name)
            paths = value if isinstance(value, tuple) else (value,) if value else ()
            found += [Source(role, path, getattr(item, "lang", "")) for path in paths]
    return [source for source in found if not formats or format_of(source.path) in formats]


def fingerprint(
    stage: Stage,
    *,
    seed: int,
    params: Mapping[str, Any],
    inputs: Mapping[str, str],
    sources: Sequence[tuple[Source, str]],
) -> str:
    """Hash of all that a stage's bytes depend on: never a rank, a partition count or a path.

    Of a source's name it contains only what selects the parser (`format_of`).

    Args:
        inputs: table -> content digest, so that an unchanged result stops the cascade.
        sources: with their content digests.
    """
    return _digest(
        {
            "stage": stage.table,
            "version": stage.version,
            "growth": stage.growth,
            "seed": seed,
            "params": params,
            "inputs": inputs,
            "sources": [
                [source.role, source.lang, format_of(source.path), digest] for source, digest in sources
            ],
            "libraries": library_versions(stage.libraries),
        }
    )


def content_digest(files: Sequence[tuple[str, str]]) -> str:
    """Digest of a table's content from its files' (name, sha256)."""
    return _digest(sorted(files))


def library_versions(names: Sequence[str]) -> dict[str, str]:
    """Installed versions, without a build's local suffix; `absent` where there is none."""
    found = {}
    for name in names:
        try:
            found[name] = version(name).split("+")[0]
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
