"""How often entities are mentioned and how they are connected: the table `entity_statistics`."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tally import Tally
from pipelines.context import Context
from pipelines.kernels import Row
from pipelines.lookup import read_shards

_DEGREES = pa.schema([("qid", pa.string()), ("neighbours", pa.int64()), ("kc", pa.int64())])


def run(context: Context) -> DataFrame:
    """Long-tail: mentioned less often than the mean mentioned entity, and connected (TRELM, 3.1)."""
    paths = context.inputs["triples"]

    def degrees(_: Iterator[Row], tally: Tally) -> Iterator[Row]:
        from kgcorpus.kg.graph import Graph

        graph = Graph.from_arrow(read_shards(paths, ["h", "r", "t"]), tally=tally)
        for qid, neighbours, kc in zip(graph.entities, graph.degrees(), graph.two_hop_counts(), strict=True):
            yield {"qid": qid, "neighbours": int(neighbours), "kc": int(kc)}

    connected = context.map_files(["triples"], degrees, _DEGREES)
    mentioned = (
        context.read("linked_sentences", "mentions")
        .select(F.explode("mentions.qid").alias("qid"))
        .groupBy("qid")
        .agg(F.count("*").alias("frequency"))
    )
    mean = mentioned.agg(F.avg("frequency").alias("mean"))
    frequency = F.coalesce("frequency", F.lit(0))
    return (
        connected.join(mentioned, "qid", "left")
        .crossJoin(F.broadcast(mean))
        .withColumn("frequency", frequency)
        .withColumn("long_tail", F.coalesce((frequency < F.col("mean")) & (F.col("kc") >= 1), F.lit(False)))
        .drop("mean")
    )


STAGE = Stage(
    table="entity_statistics",
    version=1,
    run=run,
    inputs=("triples", "linked_sentences"),
)
