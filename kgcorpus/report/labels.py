"""Labels of the ids in a build's records."""

from collections.abc import Callable, Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.languages import base_language_of, configured_code
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.remote import is_remote
from kgcorpus.contracts.shards import read_batches, read_shard
from kgcorpus.kg.names import LabelIndex

LabelOf = Callable[[str], str | None]


class Labels:
    """Labels of a build in one language; an entity and a relation may have the same id.

    Args:
        entities: names of entities, or None.
        relations: names of relations, or None.
        lang: the language, as the build spells it.
    """

    def __init__(self, entities: LabelIndex | None, relations: LabelIndex | None, lang: str) -> None:
        self._entities, self._relations, self.lang = entities, relations, lang

    def __call__(self, ident: str) -> str | None:
        """Return the label of an entity, else of a relation, else None."""
        return self._first(ident, self._entities, self._relations)

    def of_relation(self, ident: str) -> str | None:
        """Return the label of a relation, else of an entity, else None."""
        return self._first(ident, self._relations, self._entities)

    def _first(self, ident: str, *indexes: LabelIndex | None) -> str | None:
        found = (names.label(ident, self.lang) for names in indexes if names is not None)
        return next((label for label in found if label), None)


def relation_label(label_of: LabelOf, ident: str) -> str | None:
    """Return the label of an id that is known to be a relation's."""
    return label_of.of_relation(ident) if isinstance(label_of, Labels) else label_of(ident)


def labels_of(
    manifest: Manifest,
    out: Path,
    *,
    lang: str | None = None,
    ids: Collection[str] | None = None,
    place: str | Path = "",
) -> Labels:
    """Return the labels of a build's entities and relations.

    Args:
        lang: language of the labels; None for the build's base language.
        ids: keep only the labels of these ids in memory; None for all.
        place: the path or URL below which the tables are; default: OUT.

    Raises:
        InputError: OUT/config.yaml names no language, or a file of the names is missing or damaged.
    """
    if not is_remote(str(place)):
        manifest.verify_files(out, ("entities", "relations"))
    indexes: dict[str, LabelIndex | None] = {"entities": None, "relations": None}
    for table, key in (("entities", "qid"), ("relations", "pid")):
        # An empty table has one shard; a manifest of others may name none.
        if table in manifest.tables and manifest.tables[table].files:
            shards = [_names(path, key, ids) for path in manifest.files(place or out, table)]
            indexes[table] = LabelIndex.from_arrow(pa.concat_tables(shards), key)
    known = configured_code(out, lang) if lang else base_language_of(out)
    return Labels(indexes["entities"], indexes["relations"], known)


def _names(path: str, key: str, ids: Collection[str] | None) -> pa.Table:
    if ids is None:
        return read_shard(path, [key, "names"])
    wanted = pa.array(sorted(ids), pa.string())
    batches = [batch.filter(pc.is_in(batch[key], wanted)) for batch in read_batches(path, [key, "names"])]
    return pa.Table.from_batches(batches) if batches else read_shard(path, [key, "names"])
