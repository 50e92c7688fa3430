"""Triples to the table `rules`: which relations close the paths of two others, and how reliably."""

from collections.abc import Iterator

from pyspark.sql import DataFrame

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from pipelines.context import Context
from pipelines.lookup import read_shards
from pipelines.spark_functions import Row


def run_rules(context: Context) -> DataFrame:
    """Mine the whole graph in one task, in memory."""
    paths, min_support = context.inputs["triples"], context.config.rules.min_support

    def mine(_: Iterator[Row], tally: Tally) -> Iterator[Row]:
        from kgcorpus.kg.rules import mine_rules

        for batch in mine_rules(read_shards(paths, ["h", "r", "t"]), min_support=min_support, tally=tally):
            yield from batch

    return context.map_files(["triples"], mine, table("rules").schema)


STAGE = Stage(
    table="rules",
    version=4,
    run=run_rules,
    inputs=("triples",),
    params=("rules.min_support",),
    growth=1 / 100,
)
