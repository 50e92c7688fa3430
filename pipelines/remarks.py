"""Warnings about a finished build: tables that are configured but empty or nearly so, and why."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.drops import meaning_of
from kgcorpus.contracts.manifest import Manifest, TableEntry
from kgcorpus.contracts.tables import TABLES
from pipelines.stages import stages

# Whole documents are sampled, so a few sentences less than asked for are no fault.
_ENOUGH = 0.9
# A language with a smaller share of the records of the richest language is nearly empty.
_FEW = 0.01
_MOST = 3


def remarks(config: BuildConfig, manifest: Manifest, tables: Collection[str]) -> Iterator[str]:
    """Yield a line for each table, language or source that is configured and gave nothing, or nearly nothing.

    Args:
        config: of the build.
        manifest: of the build.
        tables: which tables are looked at, of those that the manifest names.
    """
    made = {name: entry for name, entry in manifest.tables.items() if name in tables}
    yield from _few_sentences(config, made)
    yield from _few_questions(config, made)
    yield from _languages_without_records(config, made)
    yield from _no_links(made)
    yield from _no_names_by_dictionary(config, made)
    yield from _long_passages(config, made)
    yield from _no_categories(config, made)
    yield from _no_rows(config, made)


def _few_questions(config: BuildConfig, made: Mapping[str, TableEntry]) -> Iterator[str]:
    """XLR's splits with fewer questions than asked for."""
    if (entry := made.get("xlr")) is None:
        return
    asked = {split: getattr(config.xlr, split) for split in ("train", "validation", "test")}
    found = {split: entry.counts.get(f"questions.{split}", 0) for split in asked}
    if any(found[split] < asked[split] for split in asked):
        parts = ", ".join(f"{split} {found[split]:,} of {asked[split]:,}" for split in asked if asked[split])
        yield (
            f"xlr: {sum(found.values()):,} of the {config.xlr.asked:,} questions that are asked for ({parts})"
            f"{_because(entry)}"
        )


def _languages_without_records(config: BuildConfig, made: Mapping[str, TableEntry]) -> Iterator[str]:
    """Languages with no record of KMLM's, or hardly any beside the richest language."""
    for name, languages in (("code_switched", config.languages[1:]), ("reasoning", config.languages)):
        if (entry := made.get(name)) is None or not entry.rows:
            continue
        found = {lang: entry.counts.get(f"records.{lang}", 0) for lang in languages}
        richest = max(found.values(), default=0)
        if poor := {lang: n for lang, n in found.items() if n <= _FEW * richest}:
            shown = ", ".join(f"{n:,} of {lang}" for lang, n in poor.items())
            yield (
                f"{name}: {shown}, {richest:,} of the richest language: the graph has too few names in "
                f"{'it' if len(poor) == 1 else 'them'}{_because(entry, *poor)}"
            )


def _no_links(made: Mapping[str, TableEntry]) -> Iterator[str]:
    """Links of pages, hardly any of which leads to an entity of the graph."""
    pages, linked = made.get("pages"), made.get("linked_sentences")
    if pages is None or linked is None:
        return
    links, found = pages.counts.get("links", 0), linked.counts.get("anchor_mention", 0)
    if found <= _FEW * links and links:
        yield (
            f"linked_sentences: {found:,} of {links:,} links lead to an entity of the graph"
            f"{_because(linked)}. See whether wikipedia[].titles and the graph have the same ids"
        )


def _no_names_by_dictionary(config: BuildConfig, made: Mapping[str, TableEntry]) -> Iterator[str]:
    entry = made.get("linked_sentences")
    if entry is None or not (config.linking.dictionary and entry.rows):
        return
    if not entry.counts.get("dictionary_mention"):
        yield (
            f"linked_sentences: linking.dictionary marks no name in {entry.rows:,} sentences: they contain "
            "no label, alias or title of an entity, or none with the confidence linking.min_confidence "
            f"({config.linking.min_confidence})"
        )


def _long_passages(config: BuildConfig, made: Mapping[str, TableEntry]) -> Iterator[str]:
    """Passages that a model's length will cut."""
    entry = made.get("passages")
    if entry is None or not entry.rows:
        return
    if config.tokenizer is None:
        yield (
            "passages: their lengths are counted in words, since neither passages.tokenizer nor "
            "importance.encoder is set. A model's tokens are more, so training cuts the longer ones"
        )
    if (long := entry.counts.get("long_sentence", 0)) > _FEW * entry.rows:
        yield f"passages: {long:,} of {entry.rows:,} are one sentence that is longer than their length"


def _no_categories(config: BuildConfig, made: Mapping[str, TableEntry]) -> Iterator[str]:
    entry = made.get("jaket_entities")
    if entry is None or not entry.rows or entry.counts.get("categorised"):
        return
    source = "graph.types" if config.graph.types else f"the relation {config.jaket.category_relation}"
    yield (
        f"none of the {entry.rows:,} rows of jaket_entities has a category: {source} gives none of "
        "them a class, so JAKET's category task has no labels. Set jaket.category_relation or graph.types"
    )


def _no_rows(config: BuildConfig, made: Mapping[str, TableEntry]) -> Iterator[str]:
    """Published tables without a row, each by the table where the rows end."""
    ended: dict[str, list[str]] = {}
    for name, entry in made.items():
        # `xlr` has a line of its own.
        if TABLES[name].published and not entry.rows and name != "xlr":
            ended.setdefault(_where_rows_end(name, made), []).append(name)
    for origin, names in ended.items():
        others = [name for name in names if name != origin]
        verb = "has" if len(others) == 1 else "have"
        follows = f", so {', '.join(others)} {verb} none either" if others else ""
        reason = next(iter(_frequent_drops(made[origin])), "")
        meaning = f". {reason}: {found}" if (found := meaning_of(reason)) else ""
        yield f"{origin}: no row{_because(made[origin]) or _cause(config, origin)}{follows}{meaning}"


def _cause(config: BuildConfig, table: str) -> str:
    """Why a table has no row where nothing was dropped, as far as the configuration or the inputs say."""
    if table == "code_switched" and len(config.languages) == 1:
        return f" (languages names {config.languages[0]} only, and a sentence mixes two)"
    if table == "cycles":
        return " (no three or four entities of the graph form a cycle)"
    return ""


def _where_rows_end(name: str, made: Mapping[str, TableEntry]) -> str:
    """The first table without a row among those that a table is made from, or the table itself."""
    for source in stages()[name].inputs:
        if source in made and not made[source].rows:
            return _where_rows_end(source, made)
    return name


def _because(entry: TableEntry, *languages: str) -> str:
    reasons = _frequent_drops(entry, *languages)
    shown = ", ".join(f"{reason} {entry.drops[reason]:,}" for reason in reasons)
    return f" (dropped: {shown})" if shown else ""


def _frequent_drops(entry: TableEntry, *languages: str) -> list[str]:
    """The most frequent reasons of a table's drops; given languages, only reasons that end in one of them."""
    drops = {
        reason: n
        for reason, n in entry.drops.items()
        if n and (not languages or reason.rpartition(".")[2] in languages)
    }
    return sorted(drops, key=lambda reason: (-drops[reason], reason))[:_MOST]


def _few_sentences(config: BuildConfig, made: Mapping[str, TableEntry]) -> Iterator[str]:
    """Languages whose texts have less than nine tenths of the sentences that were asked for."""
    if (pages := made.get("pages")) is None:
        return
    asked = Counter[str]()
    for text in config.text:
        if text.sentences:
            asked[text.lang] += text.sentences
    for lang, wanted in asked.items():
        found = pages.counts.get(f"sampled_sentences.{lang}", 0)
        if found < _ENOUGH * wanted:
            yield f"text: {found:,} of the {wanted:,} sentences of {lang} that text[].sentences asks for"
