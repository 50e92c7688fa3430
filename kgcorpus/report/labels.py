"""Labels of the ids in a build's records."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from kgcorpus.contracts.languages import base_language_of, configured_code
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.shards import read_shard
from kgcorpus.kg.names import Names

LabelOf = Callable[[str], str | None]


class Labels:
    """Labels of a build in one language; an entity and a relation may have the same id.

    Args:
        entities: names of entities, or None.
        relations: names of relations, or None.
        lang: the language, as the build spells it.
    """

    def __init__(self, entities: Names | None, relations: Names | None, lang: str) -> None:
        self._entities, self._relations, self.lang = entities, relations, lang

    def __call__(self, ident: str) -> str | None:
        """Return the label of an entity, else of a relation, else None."""
        return self._first(ident, self._entities, self._relations)

    def of_relation(self, ident: str) -> str | None:
        """Return the label of a relation, else of an entity, else None."""
        return self._first(ident, self._relations, self._entities)

    def _first(self, ident: str, *books: Names | None) -> str | None:
        found = (names.label(ident, self.lang) for names in books if names is not None)
        return next((label for label in found if label), None)


def relation_label(label_of: LabelOf, ident: str) -> str | None:
    """Return the label of an id that is known to be a relation's."""
    return label_of.of_relation(ident) if isinstance(label_of, Labels) else label_of(ident)


def labels_of(manifest: Manifest, out: Path, *, lang: str | None = None) -> Labels:
    """Return the labels of a build's entities and relations.

    Args:
        lang: language of the labels; None for the build's base language.

    Raises:
        InputError: OUT/config.yaml names no language, or a file of the names is missing or damaged.
    """
    manifest.verify_files(out, ("entities", "relations"))
    books: dict[str, Names | None] = {"entities": None, "relations": None}
    for table, key in (("entities", "qid"), ("relations", "pid")):
        # An empty table has one shard; a manifest of others may name none.
        if table in manifest.tables and manifest.tables[table].files:
            shards = [read_shard(path, [key, "names"]) for path in manifest.files(out, table)]
            books[table] = Names.from_arrow(pa.concat_tables(shards), key)
    known = configured_code(out, lang) if lang else base_language_of(out)
    return Labels(books["entities"], books["relations"], known)
