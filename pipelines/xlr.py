"""Cycles to the table `xlr`; the pairs that it holds out leave every table that training reads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.shards import read_batches
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.kmlm import bounds_of
from pipelines.context import Context
from pipelines.lookup import names_of, read_shards
from pipelines.packed import Rendered, rows_of
from pipelines.spark_functions import Row, batches_of, with_split

_BATCH = 1 << 16  # triples that are Python objects at a time


def run_xlr(context: Context) -> Rendered:
    """Choose the questions in one task: each choice depends on those before it."""
    seed, languages = context.seed, context.config.languages
    sizes = context.config.xlr.model_dump()
    inputs = {name: tuple(paths) for name, paths in context.inputs.items()}
    context.share_names("entities", "relations")

    def ask(_: Iterator[Row], tally: Tally) -> Iterator[Row]:
        from kgcorpus.kg.graph import Graph
        from kgcorpus.xlr import choose_questions, held_out_pairs, is_held_out, render_question

        def cycles() -> Iterable[Row]:
            for path in inputs["cycles"]:
                for batch in read_batches(path):
                    yield from batch.to_pylist()

        names, labels = names_of(inputs["entities"], "qid"), names_of(inputs["relations"], "pid")
        triples = read_shards(inputs["triples"], ["h", "r", "t"])
        questions = choose_questions(
            cycles,
            graph=Graph.from_arrow(triples, tally=Tally()),
            entities=names,
            relations=labels,
            languages=languages,
            sizes=sizes,
            seed=seed,
            tally=tally,
        )
        pairs = held_out_pairs(questions)
        tally.count("held_out_pairs", len(pairs))
        tally.count("held_out_cycles", sum(is_held_out(cycle["triples"], pairs) for cycle in cycles()))
        for batch in triples.to_batches(max_chunksize=_BATCH):
            tally.count("held_out_triples", sum(is_held_out([row], pairs) for row in batch.to_pylist()))
        for question in questions:
            for lang in languages:
                if row := render_question(question, names=names, relations=labels, lang=lang):
                    yield row

    made = batches_of(ask, with_split(table("xlr").schema))
    return rows_of(table("xlr"), seed, (context.files(["cycles"]), made))


def held_out(context: Context) -> NDArray[np.uint64]:
    """The keys of the pairs that questions hold out; none if there is no table `xlr`."""
    if not context.has("xlr"):
        return pair_keys_of([])
    held = read_shards(context.inputs["xlr"], ["held_out"])["held_out"].to_pylist()
    return pair_keys_of([pair for pairs in held for pair in pairs])


def pair_keys_of(pairs: Sequence[Mapping[str, str]]) -> NDArray[np.uint64]:
    """The keys of unordered pairs {h, t}, each once."""
    from kgcorpus.kg.strings import pair_keys

    h, t = (pa.array([pair[end] for pair in pairs], pa.string()) for end in "ht")
    return np.unique(pair_keys(h, t))


def without_held_out(facts: pa.RecordBatch, pairs: NDArray[np.uint64]) -> pa.RecordBatch:
    """The triples, or cycles, that pass through none of the pairs, whatever the relation and direction.

    Args:
        facts: columns h, r and t, or lists of such structs in the column `triples`.
        pairs: as of `pair_keys_of`.
    """
    from kgcorpus.kg.strings import pair_keys

    if not len(pairs) or not len(facts):
        return facts
    if "triples" not in facts.schema.names:
        return facts.filter(pa.array(~np.isin(pair_keys(facts.column("h"), facts.column("t")), pairs)))
    lists = facts.column("triples")
    sides = lists.flatten()
    kept = ~np.isin(pair_keys(sides.field("h"), sides.field("t")), pairs)
    return facts.filter(pa.array(np.logical_and.reduceat(kept, bounds_of(lists)[:-1])))


def training_triples(context: Context) -> DataFrame:
    """The table `triples` without those on a held-out pair, whatever their relation and direction."""
    triples = context.read("triples")
    return triples.join(_pairs(context), _on_pair("h", "t"), "left_anti")


def _pairs(context: Context) -> DataFrame:
    """The pairs that questions hold out as `low`, `high`; none where there is no table `xlr`."""
    questions = context.read("xlr", "held_out") if context.has("xlr") else context.empty("xlr")
    pairs = questions.select(F.explode("held_out").alias("pair"))
    ends = F.col("pair.h"), F.col("pair.t")
    return F.broadcast(pairs.select(F.least(*ends).alias("low"), F.greatest(*ends).alias("high")).distinct())


def _on_pair(h: str, t: str) -> list[Column]:
    return [F.least(h, t) == F.col("low"), F.greatest(h, t) == F.col("high")]


STAGE = Stage(
    table="xlr",
    version=4,
    run=run_xlr,
    inputs=("cycles", "triples", "entities", "relations"),
    enabled_by="xlr.asked",
    params=("xlr", "languages"),
    growth=1.0,
)
