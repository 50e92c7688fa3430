"""Linked sentences to the table `importance`, one shard a task: batches depend only on shard and order."""

from collections.abc import Iterator

from kgcorpus.contracts.rows import ImportanceRow
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from pipelines.context import Context
from pipelines.lookup import encoder_of, peer_names, read_shards
from pipelines.packed import Rendered, rows_of
from pipelines.spark_functions import Row, batches_of


def run_importance(context: Context) -> Rendered:
    """Score each shard's mentions; the model is loaded once a worker."""
    seed, settings = context.seed, context.config.importance
    replacement, pooling = settings.replacement, settings.pooling
    dtype, device = settings.dtype, settings.device
    folder = context.of_role("importance.encoder")[0].path
    entities = tuple(context.inputs.get("entities", ()))
    if entities:
        context.share_names("entities")

    def score(files: Iterator[Row], tally: Tally) -> Iterator[ImportanceRow]:
        from kgcorpus.importance.score import score_sentences

        encoder = encoder_of(folder, dtype, device)
        for file in files:
            yield from score_sentences(
                read_shards([file["path"]], table("linked_sentences").schema.names).to_pylist(),
                encoder=encoder,
                replacement=replacement,
                pooling=pooling,
                entity_names=peer_names(entities) if entities else None,
                seed=seed,
                tally=tally,
            )

    shards = context.files(context.inputs["linked_sentences"])
    return rows_of(table("importance"), seed, (shards, batches_of(score, table("importance").schema)))


STAGE = Stage(
    table="importance",
    version=7,
    run=run_importance,
    inputs=("linked_sentences",),
    optional=("entities",),
    only_if={"entities": ("importance.replacement", "entity")},
    sources=("importance.encoder",),
    needs=("importance.encoder",),
    params=("importance.replacement", "importance.pooling", "importance.dtype", "importance.device"),
    growth=1.5,
    libraries=("torch", "transformers", "tokenizers"),
)
