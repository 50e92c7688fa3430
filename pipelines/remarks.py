"""What a finished build warns of: tables that are complete but of no use as they are."""

from collections import Counter
from collections.abc import Collection, Iterator

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.manifest import Manifest

# Whole documents are sampled, so a few sentences less than asked for are no fault.
_ENOUGH = 0.9


def remarks(config: BuildConfig, manifest: Manifest, tables: Collection[str]) -> Iterator[str]:
    """Yield a line for each fault.

    Args:
        config: of the build.
        manifest: of the build.
        tables: which tables are looked at, of those that the manifest names.
    """
    yield from _few_sentences(config, manifest, tables)
    entities = manifest.tables.get("jaket_entities")
    if entities and "jaket_entities" in tables and entities.rows and not entities.counts.get("categorised"):
        relation = config.jaket.category_relation
        source = "graph.types" if config.graph.types else f"the relation {relation}"
        yield (
            f"none of the {entities.rows:,} rows of jaket_entities has a category: {source} gives none of "
            "them a class, so JAKET's category task has no labels. Set jaket.category_relation or graph.types"
        )


def _few_sentences(config: BuildConfig, manifest: Manifest, tables: Collection[str]) -> Iterator[str]:
    """Languages whose texts have less than nine tenths of the sentences that were asked for."""
    pages = manifest.tables.get("pages")
    if not pages or "pages" not in tables:
        return
    asked = Counter[str]()
    for text in config.text:
        if text.sentences:
            asked[text.lang] += text.sentences
    for lang, wanted in asked.items():
        found = pages.counts.get(f"sampled_sentences.{lang}", 0)
        if found < _ENOUGH * wanted:
            yield f"text: {found:,} of the {wanted:,} sentences of {lang} that text[].sentences asks for"
