"""Triples and cycles to KMLM's records: the tables `code_switched` and `reasoning`."""

from collections.abc import Callable, Iterator

import pyarrow as pa

from kgcorpus.codeswitch import code_switched_batches
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.kmlm import reasoning_batches, with_split
from pipelines.context import Context
from pipelines.lookup import names_of, read_row_groups
from pipelines.packed import Rendered
from pipelines.spark_functions import with_split as split_of
from pipelines.xlr import held_out, without_held_out


def run_code_switched(context: Context) -> Rendered:
    """Render every triple once for each language pair and kind."""
    return _rendered(context, "triples", ["h", "r", "t"], code_switched_batches)


def run_reasoning(context: Context) -> Rendered:
    """Render every cycle once for each language that has all its labels."""
    return _rendered(context, "cycles", ["cycle_id", "length", "triples"], reasoning_batches)


def _rendered(
    context: Context, facts: str, columns: list[str], render_batch: Callable[..., Iterator[pa.RecordBatch]]
) -> Rendered:
    seed, languages = context.seed, context.config.languages
    entities, relations = tuple(context.inputs["entities"]), tuple(context.inputs["relations"])
    pairs = held_out(context)

    def keys(batches: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for batch in read_row_groups(batches, columns):
            yield with_split(without_held_out(batch, pairs), seed=seed)

    def render(keys: pa.RecordBatch, tally: Tally) -> Iterator[pa.RecordBatch]:
        names, labels = names_of(entities, "qid"), names_of(relations, "pid")
        yield from render_batch(
            keys, names=names, relations=labels, languages=languages, seed=seed, tally=tally
        )

    context.share_names("entities", "relations")
    schema = pa.schema([table(facts).schema.field(name) for name in columns])
    return Rendered(
        sources=[(context.row_groups(facts), keys)],
        schema=split_of(schema),
        by=[name for name in columns if pa.types.is_string(schema.field(name).type)],
        render=render,
    )


CODE_SWITCHED = Stage(
    table="code_switched",
    version=5,
    run=run_code_switched,
    inputs=("triples", "entities", "relations"),
    optional=("xlr",),
    params=("languages",),
    growth=14.0,
)

REASONING = Stage(
    table="reasoning",
    version=4,
    run=run_reasoning,
    inputs=("cycles", "entities", "relations"),
    optional=("xlr",),
    params=("languages",),
    growth=8.0,
)
