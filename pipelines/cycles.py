"""Triples to the table `cycles`: every cycle counted, a capped sample kept."""

from collections.abc import Iterator

from pyspark.sql import DataFrame

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from pipelines.context import Context
from pipelines.kernels import Row
from pipelines.lookup import read_shards


def run(context: Context) -> DataFrame:
    """Mine the whole graph in one task, in memory."""
    paths, seed, params = context.inputs["triples"], context.seed, context.params["cycles"]

    def mine_all(_: Iterator[Row], tally: Tally) -> Iterator[Row]:
        from kgcorpus.kg.cycles import mine
        from kgcorpus.kg.graph import Graph

        triples = read_shards(paths, ["h", "r", "t"])
        graph = Graph.from_arrow(triples, tally=tally)
        for batch in mine(graph, seed=seed, tally=tally, **params):
            yield from batch

    return context.map_files(["triples"], mine_all, table("cycles").schema)


STAGE = Stage(
    table="cycles",
    version=1,
    run=run,
    inputs=("triples",),
    params=("cycles",),
)
