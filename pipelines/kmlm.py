"""Triples and cycles to KMLM's records: the tables `code_switched` and `reasoning`."""

from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from kgcorpus.codeswitch import code_switched_batches
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.kmlm import reasoning_batches
from pipelines.context import Context
from pipelines.kernels import map_batches, with_split
from pipelines.lookup import names_of
from pipelines.xlr import training_cycles, training_triples

_BATCH = 10_000  # triples or cycles


def run_code_switched(context: Context) -> DataFrame:
    """Render every triple once for each language pair and kind."""
    triples = training_triples(context).repartition(context.partitions, "h")
    return _rendered(context, triples, code_switched_batches, "code_switched")


def run_reasoning(context: Context) -> DataFrame:
    """Render every cycle once for each language that has all its labels."""
    cycles = training_cycles(context).repartition(context.partitions, "cycle_id")
    return _rendered(context, cycles, reasoning_batches, "reasoning")


def _rendered(
    context: Context, source: DataFrame, render_batch: Callable[..., Iterator[pa.RecordBatch]], made: str
) -> DataFrame:
    seed, languages = context.seed, context.config.languages
    entities, relations = tuple(context.inputs["entities"]), tuple(context.inputs["relations"])

    def render(batches: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        names, labels = names_of(entities, "qid"), names_of(relations, "pid")
        for batch in _larger(batches):
            yield from render_batch(
                batch, names=names, relations=labels, languages=languages, seed=seed, tally=tally
            )

    # Asked for here as well, or every worker would write the files of names at once.
    names_of(entities, "qid"), names_of(relations, "pid")
    return map_batches(source, render, with_split(table(made).schema))


def _larger(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows, most batches of `_BATCH` and more: each language costs half a millisecond a batch."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(batch)
        if sum(some.num_rows for some in pending) >= _BATCH:
            yield pa.concat_batches(pending)
            pending = []
    if pending:
        yield pa.concat_batches(pending)


CODE_SWITCHED = Stage(
    table="code_switched",
    version=4,
    run=run_code_switched,
    inputs=("triples", "entities", "relations"),
    optional=("xlr",),
    params=("languages",),
    growth=14.0,
)

REASONING = Stage(
    table="reasoning",
    version=3,
    run=run_reasoning,
    inputs=("cycles", "entities", "relations"),
    optional=("xlr",),
    params=("languages",),
    growth=8.0,
)
