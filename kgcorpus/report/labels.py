"""Labels of the ids in a build's records."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from kgcorpus.contracts.languages import base_language_of
from kgcorpus.contracts.manifest import Manifest
from kgcorpus.contracts.shards import read_shard
from kgcorpus.kg.names import Names


def labels_of(manifest: Manifest, out: Path, *, lang: str | None = None) -> Callable[[str], str | None]:
    """Return a function from an entity or relation id to its label, or None if there is none.

    Args:
        lang: language of the labels; None for the build's base language.

    Raises:
        InputError: OUT/config.yaml names no language, or a file of the names is missing or damaged.
    """
    manifest.verify_files(out, ("entities", "relations"))
    known = []
    lang = lang or base_language_of(out)
    for table, key in (("entities", "qid"), ("relations", "pid")):
        if table in manifest.tables:
            shards = [read_shard(path, [key, "names"]) for path in manifest.files(out, table)]
            known.append(Names.from_arrow(pa.concat_tables(shards), key))
    return lambda ident: next((label for names in known if (label := names.label(ident, lang))), None)
