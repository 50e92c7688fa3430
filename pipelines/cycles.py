"""Triples to the table `cycles`: every cycle counted, a capped sample kept.

With one part the whole graph is mined in one task, in memory. With more, one task sorts the graph and cuts it
up, a few million triples at a time, and each pass is a job of many tasks that leave arrays for the next in
the scratch space.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame

from kgcorpus.contracts.shards import read_batches
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from pipelines.context import Context
from pipelines.lookup import read_shards
from pipelines.packed import Rendered, counter_source, rows_of
from pipelines.scratch import ScratchArrays
from pipelines.spark_functions import COUNTERS, BatchFunction, Row, map_batches

Unit = tuple[int, ...]
# Triples that are read at a time.
READ = 1 << 19
UnitFunction = Callable[[Unit, Tally], Iterator[pa.RecordBatch]]


def run_cycles(context: Context) -> Rendered:
    """Mine the graph in as many tasks as it has parts."""
    from kgcorpus.kg.mining import Settings, cycle_units, passes

    paths, arrays = context.inputs["triples"], ScratchArrays(context.scratch)
    caps = context.config.cycles
    settings = Settings(
        seed=context.seed,
        dedup=caps.dedup,
        wings_per_edge=caps.wings_per_edge,
        pairs_per_edge=caps.pairs_per_edge,
        per_pair=caps.per_pair,
        per_combination=caps.per_combination,
        parts=context.graph_parts,
    )

    def mine_all(_: Unit, tally: Tally) -> Iterator[pa.RecordBatch]:
        from kgcorpus.kg.arrays import Memory
        from kgcorpus.kg.cycles import mine_batches
        from kgcorpus.kg.graph import Graph

        graph = Graph.from_arrow(read_shards(paths, ["h", "r", "t"]), tally=tally)
        yield from mine_batches(graph, Memory(), settings, tally=tally)

    def prepare(_: Unit, tally: Tally) -> Iterator[pa.RecordBatch]:
        from kgcorpus.kg import mining
        from kgcorpus.kg.arrays import Folder
        from kgcorpus.kg.graph_writing import write_graph

        def triples() -> Iterator[pa.RecordBatch]:
            for path in paths:
                yield from read_batches(path, ["h", "r", "t"], rows=READ)

        with tempfile.TemporaryDirectory(prefix="kgcorpus-triples-") as folder:
            write_graph(triples, arrays, Folder(Path(folder)), tally=tally)
        mining.prepare(arrays, settings)
        yield from ()

    def one_pass(name: str) -> UnitFunction:
        def work(unit: Unit, tally: Tally) -> Iterator[pa.RecordBatch]:
            from kgcorpus.kg.mining import Miner

            Miner(arrays, settings).run(name, unit)
            yield from ()

        return work

    def emit(unit: Unit, tally: Tally) -> Iterator[pa.RecordBatch]:
        from kgcorpus.kg import cycles
        from kgcorpus.kg.mining import Miner

        yield from cycles.emit(Miner(arrays, settings), unit, settings, tally=tally)

    made = table("cycles")
    if settings.parts == 1:
        return rows_of(made, context.seed, _units(context, [()], mine_all))
    counters = _collected(context, [()], prepare)
    for name, units in passes(settings.parts):
        _collected(context, units, one_pass(name))
    emitted = _units(context, cycle_units(settings.parts), emit)
    return rows_of(made, context.seed, emitted, counter_source(context.spark, counters))


def _units(
    context: Context, units: Sequence[Unit], function: UnitFunction
) -> tuple[DataFrame, BatchFunction]:
    """The source that runs a function on each unit, one after another in a task."""

    def work(batches: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for place in batch.column(0).to_pylist():
                yield from function(units[place], tally)

    tasks = min(len(units), context.partitions)
    return context.spark.range(0, len(units), 1, numPartitions=tasks), work


def _collected(context: Context, units: Sequence[Unit], function: UnitFunction) -> list[Row]:
    """Run a function without rows on each unit; returns its counters."""
    made = map_batches(*_units(context, units, function), table("cycles").schema)
    return [row.asDict() for row in made.select(*COUNTERS.names).collect()]


STAGE = Stage(
    table="cycles",
    version=3,
    run=run_cycles,
    inputs=("triples",),
    params=("cycles",),
)
