"""Triples files and Wikidata's dump to the table `triples`: duplicates removed."""

from collections.abc import Iterator
from functools import reduce
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_records
from kgcorpus.kg.readers import parse_triple
from kgcorpus.kg.wikidata import is_wikidata_dump
from pipelines.context import Context, on_bad
from pipelines.packed import Rendered
from pipelines.spark_functions import BatchFunction
from pipelines.wikidata import TABLE as WIKIDATA
from pipelines.wikidata import read_facts

_AT_ONCE = 20_000


def run_triples(context: Context) -> Rendered:
    """Parse, and keep one of equal triples."""
    policy, limits = context.on_bad_input, context.limits
    schema = table("triples").schema

    def parse(batches: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for file in (row for batch in batches for row in batch.to_pylist()):
            rows = read_records(
                file["path"], parse_triple, tally=tally, on_bad=on_bad(policy, tally), limits=limits
            )
            while some := list(islice(rows, _AT_ONCE)):
                columns = [pa.array(column, pa.string()) for column in zip(*some, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def distinct(triples: pa.RecordBatch, tally: Tally) -> Iterator[pa.RecordBatch]:
        if not len(triples):
            return
        triples = triples.take(pc.sort_indices(triples, sort_keys=[(name, "ascending") for name in "hrt"]))
        before, after = triples.slice(0, len(triples) - 1), triples.slice(1)
        alike = reduce(pc.and_, map(pc.equal, before.columns, after.columns))
        kept = pa.concat_arrays([pa.array([True]), pc.invert(alike)])
        unique = triples.filter(kept)
        tally.drop("duplicate", len(triples) - len(unique))
        yield unique

    lists = [source.path for source in context.sources if not is_wikidata_dump(source.path)]
    sources: list[tuple[DataFrame, BatchFunction]] = [(context.files(lists), parse)] if lists else []
    if len(lists) < len(context.sources):
        sources.append((context.row_groups(WIKIDATA), read_facts))
    return Rendered(sources=sources, schema=schema, by=["h", "r", "t"], render=distinct)


STAGE = Stage(
    table="triples",
    version=5,
    run=run_triples,
    optional=(WIKIDATA,),
    sources=("graph.triples",),
    needs=("graph.triples",),
    params=("limits",),
    growth=1 / 20,
)
