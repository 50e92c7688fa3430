"""The graph's frozen vectors that a run injects: its own, those of another run, or of another library."""

import logging
from pathlib import Path

from kgcorpus.contracts.errors import InputError
from trainer.checkpoint import write_model
from trainer.claim import claim_file
from trainer.config import TrainingConfig
from trainer.digests import digest_of_file, digest_of_folder
from trainer.transe.embeddings import open_embeddings, write_embeddings
from trainer.trelm.facts import Graph

_log = logging.getLogger(__name__)


def embeddings_of(config: TrainingConfig, corpus: Path, out: Path, *, claims: bool) -> Path | None:
    """The folder of frozen vectors, or None where labels serve.

    Vectors of another library are copied to RUN/kge/model once; without `trelm.kge` TransE is trained there.

    Args:
        config: of the run.
        corpus: a finished build.
        out: the run's folder.
        claims: compare the vectors with those that the run was started with.

    Raises:
        UsageError: no vectors in a known layout, or the run was started with others.
        InputError: they are damaged.
    """
    if config.trelm.provider == "shared":
        return None
    if config.trelm.kge is None:
        from trainer.transe.train import train_transe

        folder = train_transe(corpus, out / "kge", config)
    else:
        folder = _named(Path(config.trelm.kge), out, claims=claims)
    if claims:
        claim_file(out, "kge" if folder.parent == out / "kge" else "trelm.kge", digest_of_folder(folder))
    return folder


def report_missing(folder: Path, graph: Graph) -> None:
    """Log how many of the graph's entities have no vector: their facts are neither injected nor asked.

    Raises:
        InputError: none has one.
    """
    entities = graph.facts.entities.to_pylist()
    known = open_embeddings(folder).entity_index
    missing = sum(entity not in known for entity in entities)
    if missing == len(entities):
        raise InputError(
            "no entity of the corpus has a vector",
            where=f"trelm.kge {folder}",
            mend="Train the vectors on the corpus's own ids, or name other vectors",
        )
    if missing:
        _log.warning(
            "trelm.kge: %d of %d entities have no vector; their facts are left out", missing, len(entities)
        )


def _named(source: Path, out: Path, *, claims: bool) -> Path:
    """The folder `model` of a run of transe, or a copy of another library's vectors in that form."""
    for folder in (source / "model", source):
        if (folder / "embeddings.json").exists():
            return folder
    from trainer.transe.foreign import layout_of, read_foreign

    target = out / "kge" / "model"
    layout_of(source)
    # Read before they are claimed, so that damaged ones can be replaced.
    found = None if target.exists() else read_foreign(source)
    if claims:
        claim_file(out, "trelm.kge", _digest_of(source))
    if found is not None:
        write_model(target, lambda folder: write_embeddings(folder, found))
    return target


def _digest_of(source: Path) -> str:
    if source.is_file():
        return digest_of_file(source, where="trelm.kge")
    return digest_of_folder(source, pattern="**/*")
