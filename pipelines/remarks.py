"""What a finished build warns of: tables that are complete but of no use as they are."""

from collections.abc import Iterable, Iterator

from kgcorpus.config import BuildConfig
from kgcorpus.contracts.manifest import Manifest


def remarks(config: BuildConfig, manifest: Manifest, tables: Iterable[str]) -> Iterator[str]:
    """Yield a line for each fault.

    Args:
        config: of the build.
        manifest: of the build.
        tables: which tables are looked at, of those that the manifest names.
    """
    entities = manifest.tables.get("jaket_entities")
    if entities and "jaket_entities" in tables and entities.rows and not entities.counts.get("categorised"):
        relation = config.jaket.category_relation
        source = "graph.types" if config.graph.types else f"the relation {relation}"
        yield (
            f"none of the {entities.rows:,} rows of jaket_entities has a category: {source} gives none of "
            "them a class, so JAKET's category task has no labels. Set jaket.category_relation or graph.types"
        )
