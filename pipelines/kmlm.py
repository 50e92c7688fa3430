"""Triples and cycles to KMLM's records: the tables `code_switched` and `reasoning`."""

from collections.abc import Iterator

from pyspark.sql import DataFrame

from kgcorpus.codeswitch import code_switched_records
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.kmlm import reasoning_records, record_split
from pipelines.context import Context
from pipelines.kernels import Row, map_rows, with_split
from pipelines.lookup import names_of


def run_code_switched(context: Context) -> DataFrame:
    """Render every triple once for each language pair and kind."""
    seed, languages = context.seed, context.params["languages"]
    entities, relations = tuple(context.inputs["entities"]), tuple(context.inputs["relations"])

    def render(triples: Iterator[Row], tally: Tally) -> Iterator[Row]:
        names, labels = names_of(entities, "qid"), names_of(relations, "pid")
        for row in triples:
            triple = (row["h"], row["r"], row["t"])
            for record in code_switched_records(
                triple, names=names, relations=labels, languages=languages, seed=seed, tally=tally
            ):
                yield {**record, "split": record_split(seed, record)}

    spread = context.read("triples").repartition(context.partitions, "h")
    return map_rows(spread, render, with_split(table("code_switched").schema))


def run_reasoning(context: Context) -> DataFrame:
    """Render every cycle once for each language that has all its labels."""
    seed, languages = context.seed, context.params["languages"]
    entities, relations = tuple(context.inputs["entities"]), tuple(context.inputs["relations"])

    def render(cycles: Iterator[Row], tally: Tally) -> Iterator[Row]:
        names, labels = names_of(entities, "qid"), names_of(relations, "pid")
        for cycle in cycles:
            for record in reasoning_records(
                cycle, names=names, relations=labels, languages=languages, seed=seed, tally=tally
            ):
                yield {**record, "split": record_split(seed, record)}

    spread = context.read("cycles").repartition(context.partitions, "cycle_id")
    return map_rows(spread, render, with_split(table("reasoning").schema))


CODE_SWITCHED = Stage(
    table="code_switched",
    version=1,
    run=run_code_switched,
    inputs=("triples", "entities", "relations"),
    params=("languages",),
    growth=14.0,
)

REASONING = Stage(
    table="reasoning",
    version=1,
    run=run_reasoning,
    inputs=("cycles", "entities", "relations"),
    params=("languages",),
    growth=8.0,
)
