"""Facts of a build's graph, which pretraining has read, so that a probe can leave them out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.shards import read_batches
from trainer.evaluate.probe.probing import Query

Fact = tuple[str, str, str]


def unseen(queries: Sequence[Query], corpus: str | None) -> tuple[list[Query], dict[str, Any]]:
    """The queries whose fact is not in a build's table `triples`.

    Args:
        queries: what is to be asked.
        corpus: the build's folder; None: nothing is left out.

    Returns:
        What is left, and for the result `n` and `facts` that were left out, and `without_ids`: queries that
        cannot be looked up and stay.

    Raises:
        InputError: no finished build, or one without triples.
    """
    if corpus is None:
        return list(queries), {}
    asked = {query.fact for query in queries if query.fact is not None}
    found = _present(Path(corpus), asked)
    return [query for query in queries if query.fact not in found], {
        "corpus": corpus,
        "n": sum(query.fact in found for query in queries),
        "without_ids": sum(query.fact is None for query in queries),
        "facts": [list(fact) for fact in sorted(found)],
    }


def _present(corpus: Path, asked: set[Fact]) -> set[Fact]:
    entry = load_manifest(corpus, required=True).built(corpus, "triples")
    heads, tails = (pa.array({fact[end] for fact in asked}, pa.string()) for end in (0, 2))
    found: set[Fact] = set()
    for file in entry.files:
        for batch in read_batches(corpus / file.path, ["h", "r", "t"]):
            near = pc.and_(pc.is_in(batch["h"], value_set=heads), pc.is_in(batch["t"], value_set=tails))
            rows = batch.filter(near).to_pylist()
            found |= asked.intersection((row["h"], row["r"], row["t"]) for row in rows)
    return found
