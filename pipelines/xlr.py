"""Cycles to the table `xlr`; the pairs that it holds out leave every table that training reads."""

from collections.abc import Iterable, Iterator

import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from pipelines.context import Context
from pipelines.kernels import Row, with_split
from pipelines.lookup import names_of, read_shards


def run(context: Context) -> DataFrame:
    """Choose the questions in one task: each choice depends on those before it."""
    seed, languages = context.seed, context.config.languages
    sizes = context.config.xlr.model_dump()
    inputs = {name: tuple(paths) for name, paths in context.inputs.items()}

    def ask(_: Iterator[Row], tally: Tally) -> Iterator[Row]:
        from kgcorpus.kg.graph import Graph
        from kgcorpus.xlr import choose_questions, held_out_pairs, is_held_out, render_question

        def cycles() -> Iterable[Row]:
            for path in inputs["cycles"]:
                for batch in pq.ParquetFile(path).iter_batches():
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
        tally.count("held_out_triples", sum(is_held_out([row], pairs) for row in triples.to_pylist()))
        for question in questions:
            for lang in languages:
                if row := render_question(question, names=names, relations=labels, lang=lang):
                    yield row

    return context.map_files(["cycles"], ask, with_split(table("xlr").schema))


def training_triples(context: Context) -> DataFrame:
    """The table `triples` without those on a held-out pair, whatever their relation and direction."""
    triples = context.read("triples")
    return triples.join(_pairs(context), _on_pair("h", "t"), "left_anti")


def training_cycles(context: Context) -> DataFrame:
    """The table `cycles` without those that pass through a held-out pair."""
    cycles = context.read("cycles")
    sides = cycles.select("cycle_id", F.explode("triples").alias("side"))
    # The questions are few, so both joins are broadcast and the cycles are not shuffled.
    held_out = sides.join(_pairs(context), _on_pair("side.h", "side.t")).select("cycle_id").distinct()
    return cycles.join(F.broadcast(held_out), "cycle_id", "left_anti")


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
    version=3,
    run=run,
    inputs=("cycles", "triples", "entities", "relations"),
    enabled_by="xlr.asked",
    params=("xlr", "languages"),
    growth=1.0,
)
