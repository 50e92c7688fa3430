"""Sources of a build: its input files, each with the way in which it is read."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.contracts.remote import file_name
from kgcorpus.contracts.stages import Source, format_of
from kgcorpus.inputs import Limits, read_lines
from kgcorpus.kg.readers import SAMPLED_LINES, sniff_names
from kgcorpus.wiki.plaintext import infer_form
from pipelines.source_digests import MODEL_ROLES

log = logging.getLogger(__name__)
_BY_NAME = {
    ("graph", ".json"): "Wikidata's JSON dump",
    ("wikipedia", ".sql"): "an SQL dump",
    ("text", ".parquet"): "Parquet, a document in each row",
    **{("text", end): "JSON lines, a document on each" for end in (".json", ".jsonl", ".ndjson")},
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
_NAMED_AT_ONCE = 3


def read_as(source: Source, config: BuildConfig) -> tuple[str, bool]:
    """How a file is read as far as this is inferred, and whether that is in doubt.

    It depends on the file's name, its bytes and the configuration alone. ("", False) if the file cannot be
    read: the stage that reads it reports that.
    """
    try:
        return _inferred(source, config)
    except (KgcorpusError, OSError):
        return "", False


def _inferred(source: Source, config: BuildConfig) -> tuple[str, bool]:
    limits = Limits(**config.limits.model_dump())
    if source.role in MODEL_ROLES:
        return ("a folder" if Path(source.path).exists() else "a model of the hub: no such folder"), False
    if by_name := _BY_NAME.get((source.role.split(".")[0], format_of(source.path))):
        return f"{by_name} (by the file's name)", False
    if source.role == "text.path":
        return _text(source, config, limits)
    if source.role in _NAMES:
        return _names(source, config, limits)
    if source.role in _COLUMNS:
        return f"`{_COLUMNS[source.role]}` ({_columns(source.path, limits)})", False
    return _FIXED[source.role], False


def _text(source: Source, config: BuildConfig, limits: Limits) -> tuple[str, bool]:
    documents = next((text.documents for text in config.text if text.path == source.path), None)
    form = infer_form(source.path, documents=documents, limits=limits)
    how = "a document on each line" if form.documents == "lines" else "documents between blank lines"
    text = (
        f"{how} ({'as configured' if documents else 'inferred'}; the first {form.lines:,} lines that are not "
        f"blank are {form.blocks:,} blocks between blank lines: {form.found:,} documents of "
        f"{form.mean_characters:,.0f} characters on average)"
    )
    return text, form.doubtful


def _names(source: Source, config: BuildConfig, limits: Limits) -> tuple[str, bool]:
    found = sniff_names(source.path, config.languages, limits=limits)
    layout = "id lang label..." if found.layout == "names" else "id label..., English (Wikidata5M)"
    counted = f"{found.with_language:,} of {found.rows:,} sampled lines have a language in column 2"
    share = found.with_language / max(1, found.rows)
    return f"`{layout}` ({counted})", 1 - _CLEAR_SHARE < share < _CLEAR_SHARE


def _columns(path: str, limits: Limits) -> str:
    counts = [
        line.count(b"\t") + 1 for _, line in islice(read_lines(path, limits=limits), SAMPLED_LINES) if line
    ]
    if not counts:
        return "empty"
    low, high = min(counts), max(counts)
    columns = f"{low} columns" if low == high else f"{low} to {high} columns"
    return f"{columns} in {len(counts):,} sampled lines"


def tell(config: BuildConfig, sources: Iterable[Source]) -> None:
    """Log how each file is read, one line for files of one field that are read alike; doubts are warnings."""
    alike: defaultdict[tuple[str, str, str, bool], list[str]] = defaultdict(list)
    for source in dict.fromkeys(sources):
        text, doubtful = read_as(source, config)
        if text:
            alike[source.role, source.lang, text, doubtful].append(file_name(source.path))
    for (role, lang, text, doubtful), names in alike.items():
        more = f" and {len(names) - _NAMED_AT_ONCE} more" if len(names) > _NAMED_AT_ONCE else ""
        where = f"{role}{f' ({lang})' if lang else ''}: {', '.join(names[:_NAMED_AT_ONCE])}{more}"
        if doubtful:
            setting = "set `documents:` of this entry" if role == "text.path" else "see whether it is right"
            log.warning("%s: read as %s. It fits neither form well: %s", where, text, setting)
        else:
            log.info("%s: read as %s", where, text)
