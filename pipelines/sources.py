"""Sources of a build: its input files, each with the way in which it is read."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.stages import Source, format_of
from kgcorpus.inputs import Limits, read_lines
from kgcorpus.kg.readers import SAMPLED_LINES, sniff_names
from kgcorpus.report.terminal import verbosity
from kgcorpus.wiki.plaintext import infer_form
from pipelines.source_digests import MODEL_ROLES

log = logging.getLogger(__name__)
_BY_NAME = {
    ("graph", ".json"): "Wikidata's JSON dump",
    ("wikipedia", ".sql"): "an SQL dump",
    ("text", ".parquet"): "Parquet, a document a row",
    **{("text", end): "JSON lines, a document a line" for end in (".json", ".jsonl", ".ndjson")},
}
_COLUMNS = {
    "graph.triples": "h r t",
    "graph.descriptions": "id text",
    "graph.types": "id class...",
    "wikipedia.titles": "title id",
}
# What is not inferred: a file of these has one layout.
_FIXED = {
    "wikipedia.dump": "a MediaWiki XML dump",
    "wikipedia.index": "`byte:page id:title`, the index of a multistream dump",
    "wikipedia.templates": "`name text`",
}
_NAMES = ("graph.labels", "graph.relations")
# Where more of the sampled lines than this disagree with the others, the layout is in doubt.
_CLEAR_SHARE = 0.95
_BY_SUFFIX = "by the file's name"
# Columns of a line of the log on a terminal, with the level and the logger's name, and of a name in it.
_LINE, _PREFIX, _SHORTEST_NAME = 80, len(f"INFO {__name__}: "), 9


class _Reading(NamedTuple):
    """How a file is read.

    Attributes:
        form: its format or layout; empty if the file cannot be read.
        evidence: what this follows from; empty if a file of this field has one layout.
        doubtful: the file fits no form well.
    """

    form: str
    evidence: str = ""
    doubtful: bool = False

    def __str__(self) -> str:
        return f"{self.form} ({self.evidence})" if self.evidence else self.form


def read_as(source: Source, config: BuildConfig) -> str:
    """How a file is read, with the evidence where this is inferred.

    It depends only on the file's name, its bytes and the configuration. Empty if the file cannot be read:
    the stage that reads it reports that.
    """
    return str(_reading(source, config))


def _reading(source: Source, config: BuildConfig) -> _Reading:
    try:
        return _inferred(source, config)
    except (KgcorpusError, OSError):
        return _Reading("")


def _inferred(source: Source, config: BuildConfig) -> _Reading:
    limits = Limits(**config.limits.model_dump())
    if source.role in MODEL_ROLES:
        return _Reading("a folder" if Path(source.path).exists() else "a model of the hub: no such folder")
    if by_name := _BY_NAME.get((source.role.split(".")[0], format_of(source.path))):
        return _Reading(by_name, _BY_SUFFIX)
    if source.role == "text.path":
        return _text(source, config, limits)
    if source.role in _NAMES:
        return _names(source, config, limits)
    if source.role in _COLUMNS:
        return _Reading(f"`{_COLUMNS[source.role]}`", _columns(source.path, limits))
    return _Reading(_FIXED[source.role])


def _text(source: Source, config: BuildConfig, limits: Limits) -> _Reading:
    documents = next((text.documents for text in config.text if text.path == source.path), None)
    form = infer_form(source.path, documents=documents, limits=limits)
    evidence = (
        f"{'as configured' if documents else 'inferred'}; the first {form.lines:,} lines that are not "
        f"blank are {form.blocks:,} blocks between blank lines: {form.found:,} documents of "
        f"{form.mean_characters:,.0f} characters on average"
    )
    how = "a document on each line" if form.documents == "lines" else "documents between blank lines"
    return _Reading(how, evidence, form.doubtful)


def _names(source: Source, config: BuildConfig, limits: Limits) -> _Reading:
    found = sniff_names(source.path, config.languages, limits=limits)
    form = "`id lang label...`" if found.layout == "names" else "`id label...`, English"
    evidence = f"{found.with_language:,} of {found.rows:,} sampled lines have a language in column 2"
    share = found.with_language / max(1, found.rows)
    return _Reading(form, evidence, 1 - _CLEAR_SHARE < share < _CLEAR_SHARE)


def _columns(path: str, limits: Limits) -> str:
    counts = [
        line.count(b"\t") + 1 for _, line in islice(read_lines(path, limits=limits), SAMPLED_LINES) if line
    ]
    if not counts:
        return "empty"
    low, high = min(counts), max(counts)
    columns = f"{low} columns" if low == high else f"{low} to {high} columns"
    return f"{columns} in {len(counts):,} sampled lines"


def log_formats(config: BuildConfig, sources: Iterable[Source]) -> None:
    """Log how each file is read of which this is inferred; doubts are warnings, with the evidence.

    Files of one field that are read alike share a line, of at most 80 columns unless `--verbose` adds the
    evidence.
    """
    alike: defaultdict[tuple[str, str, _Reading], list[str]] = defaultdict(list)
    for source in dict.fromkeys(sources):
        reading = _reading(source, config)
        if reading.evidence:
            alike[source.role, source.lang, reading].append(file_name(source.path))
    for (role, lang, reading), names in alike.items():
        field = f"{role.removesuffix('.path')}{f' ({lang})' if lang else ''}"
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        if reading.doubtful:
            setting = "set `documents:` of this entry" if role == "text.path" else "see whether it is right"
            where = f"{field}: {names[0]}{more}"
            log.warning("%s: read as %s. It fits neither form well: %s", where, reading, setting)
        elif verbosity() == "verbose":
            log.info("%s: %s%s: %s", field, names[0], more, reading)
        else:
            room = _LINE - _PREFIX - len(f"{field}: {more}: {reading.form}")
            log.info("%s: %s%s: %s", field, _cropped(names[0], room), more, reading.form)


def _cropped(name: str, width: int) -> str:
    """The name, without its middle if it is longer than `width`."""
    width = max(width, _SHORTEST_NAME)
    if len(name) <= width:
        return name
    return f"{name[: (width - 1) // 2]}…{name[-(width // 2) :]}"
