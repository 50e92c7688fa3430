"""Triples to the table `cycles`: every cycle counted, a capped sample kept.

With one colour the whole graph is mined in one task, in memory. With more, each pass is a job of many tasks
that leave arrays for the next in the scratch folder.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from pipelines.context import Context
from pipelines.kernels import COUNTERS
from pipelines.lookup import read_shards

Unit = tuple[int, ...]
UnitFunction = Callable[[Unit, Tally], Iterator[pa.RecordBatch]]

_SCHEMA = pa.schema([*table("cycles").schema, *COUNTERS])


def run(context: Context) -> DataFrame:
    """Mine the graph in as many tasks as its colours ask for."""
    from kgcorpus.kg.mining import Settings, cycle_units, passes

    paths, scratch = context.inputs["triples"], context.scratch
    caps = context.config.cycles
    settings = Settings(
        seed=context.seed,
        dedup=caps.dedup,
        wings_per_edge=caps.wings_per_edge,
        pairs_per_edge=caps.pairs_per_edge,
        per_pair=caps.per_pair,
        per_combination=caps.per_combination,
        colours=context.colours,
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
        from kgcorpus.kg.graph import Graph

        graph = Graph.from_arrow(read_shards(paths, ["h", "r", "t"]), tally=tally)
        mining.prepare(graph, Folder(scratch), settings)
        yield from ()

    def one_pass(name: str) -> UnitFunction:
        def work(unit: Unit, tally: Tally) -> Iterator[pa.RecordBatch]:
            from kgcorpus.kg.arrays import Folder
            from kgcorpus.kg.mining import Miner

            Miner(Folder(scratch), settings).run(name, unit)
            yield from ()

        return work

    def emit(unit: Unit, tally: Tally) -> Iterator[pa.RecordBatch]:
        from kgcorpus.kg import cycles
        from kgcorpus.kg.arrays import Folder
        from kgcorpus.kg.mining import Miner

        yield from cycles.emit(Miner(Folder(scratch), settings), unit, settings, tally=tally)

    if settings.colours == 1:
        return _map_units(context, [()], mine_all)
    told = _map_units(context, [()], prepare).collect()
    for name, units in passes(settings.colours):
        _map_units(context, units, one_pass(name)).collect()
    counters = context.spark.createDataFrame(told, from_arrow_schema(_SCHEMA))
    return _map_units(context, cycle_units(settings.colours), emit).unionByName(counters)


def _map_units(context: Context, units: Sequence[Unit], function: UnitFunction) -> DataFrame:
    """Run a function on each unit, one after another in a task; its counters follow its rows."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for place in batch.column(0).to_pylist():
                tally = Tally()
                for rows in function(units[place], tally):
                    yield _with_columns(rows)
                counters: list[dict[str, Any]] = [{"_counter": name, "_n": n} for name, n in tally.rows()]
                if counters:
                    yield pa.RecordBatch.from_pylist(counters, schema=_SCHEMA)

    tasks = min(len(units), context.partitions)
    places = context.spark.range(0, len(units), 1, numPartitions=tasks)
    return places.mapInArrow(work, from_arrow_schema(_SCHEMA))


def _with_columns(rows: pa.RecordBatch) -> pa.RecordBatch:
    nulls = [pa.nulls(rows.num_rows, field.type) for field in COUNTERS]
    return pa.RecordBatch.from_arrays([*rows.columns, *nulls], schema=_SCHEMA)


STAGE = Stage(
    table="cycles",
    version=3,
    run=run,
    inputs=("triples",),
    params=("cycles",),
)
