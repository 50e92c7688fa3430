"""How often entities are mentioned and how they are connected: the table `entity_statistics`."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.arrays import Int64s
from kgcorpus.contracts.shards import read_batches
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from pipelines.context import Context
from pipelines.lookup import read_shards
from pipelines.packed import Rendered, rows_of

_MENTIONED = "mentions.list.element.qid"
# Counts that wait for the next sum by entity.
_PENDING = 200


def run_entity_statistics(context: Context) -> Rendered:
    """Long-tail: mentioned less often than the mean mentioned entity, and connected (TRELM).

    With `trelm.long_tail_quantile` q: not more often than the q-quantile of the mentioned entities. Most are
    mentioned once, so that "less often" than a low quantile would select nothing. One task counts all
    mentions, for the bound depends on all of them, and the neighbours.
    """
    triples, sentences = context.inputs["triples"], context.inputs["linked_sentences"]
    quantile = context.config.trelm.long_tail_quantile

    def statistics(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for _ in units:
            yield _statistics(triples, sentences, quantile, tally)

    made = table("entity_statistics")
    return rows_of(made, context.seed, (context.files(["triples"]), statistics))


def _statistics(
    triples: Sequence[str], sentences: Sequence[str], quantile: float | None, tally: Tally
) -> pa.RecordBatch:
    from kgcorpus.kg.graph import Graph
    from kgcorpus.kg.strings import IdIndex

    qids, counts = mention_counts(sentences)
    graph = Graph.from_arrow(read_shards(triples, ["h", "r", "t"]), tally=tally)
    places = IdIndex(qids).find(graph.entity_ids)
    frequency = np.zeros(len(places), np.int64)
    frequency[places >= 0] = counts[places[places >= 0]]
    connected = graph.two_hop_counts()
    if not len(counts):
        rare = np.zeros(len(frequency), np.bool_)
    elif quantile is None:
        rare = frequency < counts.mean()
    else:
        rare = frequency <= quantile_of(counts, quantile)
    return pa.record_batch(
        {
            "qid": graph.entity_ids,
            "frequency": frequency,
            "neighbours": graph.degrees(),
            "kc": connected,
            "long_tail": rare & (connected >= 1),
        }
    )


def mention_counts(sentences: Sequence[str]) -> tuple[pa.LargeStringArray, Int64s]:
    """The mentioned entities, and how often each is mentioned, in shards of `linked_sentences`."""
    counted = pa.table({"qid": pa.array([], pa.large_string()), "n": pa.array([], pa.int64())})
    pending = [counted]
    for path in sentences:
        for batch in read_batches(path, [_MENTIONED]):
            found = pc.value_counts(batch.column("mentions").flatten().field("qid"))
            columns = {"qid": found.field("values").cast(pa.large_string()), "n": found.field("counts")}
            pending.append(pa.table(columns))
            if len(pending) > _PENDING:
                pending = [_summed(pending)]
    counted = _summed(pending).combine_chunks()
    return counted["qid"].combine_chunks(), counted["n"].to_numpy()


def _summed(counts: Sequence[pa.Table]) -> pa.Table:
    summed = pa.concat_tables(counts).group_by("qid").aggregate([("n", "sum")])
    return pa.table({"qid": summed["qid"], "n": summed["n_sum"]})


def quantile_of(counts: Int64s, q: float) -> float:
    """The q-quantile, between two values interpolated linearly, as Spark's `percentile`."""
    ordered = np.sort(counts)
    place = (len(ordered) - 1) * q
    low, high = int(np.floor(place)), int(np.ceil(place))
    if ordered[low] == ordered[high]:
        return float(ordered[low])
    return float((high - place) * ordered[low] + (place - low) * ordered[high])


STAGE = Stage(
    table="entity_statistics",
    version=2,
    run=run_entity_statistics,
    inputs=("triples", "linked_sentences"),
    params=("trelm.long_tail_quantile",),
)
