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
    """Long-tail: mentioned less often than the mean mentioned entity, and connected (TRELM).

    With `trelm.long_tail_quantile` q: not more often than the q-quantile of the mentioned entities. Most are
    mentioned once, so that "less often" than a low quantile would select nothing.
    """
    paths, quantile = context.inputs["triples"], context.config.trelm.long_tail_quantile

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
    bound = F.avg("frequency") if quantile is None else F.percentile("frequency", quantile)
    frequency = F.coalesce("frequency", F.lit(0))
    rare = frequency < F.col("bound") if quantile is None else frequency <= F.col("bound")
    return (
        connected.join(mentioned, "qid", "left")
        .crossJoin(F.broadcast(mentioned.agg(bound.alias("bound"))))
        .withColumn("frequency", frequency)
        .withColumn("long_tail", F.coalesce(rare & (F.col("kc") >= 1), F.lit(False)))
        .drop("bound")
    )


STAGE = Stage(
    table="entity_statistics",
    version=2,
    run=run,
    inputs=("triples", "linked_sentences"),
    params=("trelm.long_tail_quantile",),
)
