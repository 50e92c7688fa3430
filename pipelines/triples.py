"""Triples files and Wikidata's dump to the table `triples`: duplicates removed."""

from collections.abc import Iterator
from functools import reduce

from pyspark.sql import DataFrame

from kgcorpus.contracts.rows import TripleRow
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_records
from kgcorpus.kg.readers import parse_triple
from kgcorpus.kg.wikidata import Entity, facts_in, is_item, is_wikidata_dump
from pipelines.context import Context, on_bad
from pipelines.kernels import Row, group_rows
from pipelines.wikidata import map_entities


def run(context: Context) -> DataFrame:
    """Parse, and keep one of equal triples."""
    policy, limits = context.on_bad_input, context.limits
    schema = table("triples").schema

    def parse(files: Iterator[Row], tally: Tally) -> Iterator[TripleRow]:
        for file in files:
            rows = read_records(
                file["path"], parse_triple, tally=tally, on_bad=on_bad(policy, tally), limits=limits
            )
            for h, r, t in rows:
                yield {"h": h, "r": r, "t": t}

    def facts(entity: Entity, ordinal: int) -> Iterator[Row]:
        if is_item(entity):
            yield from (fact._asdict() for fact in facts_in(entity))

    def first(copies: list[TripleRow], tally: Tally) -> Iterator[TripleRow]:
        tally.drop("duplicate", len(copies) - 1)
        yield copies[0]

    paths = [source.path for source in context.sources]
    dumps = [path for path in paths if is_wikidata_dump(path)]
    lists = [path for path in paths if not is_wikidata_dump(path)]
    frames = [context.map_files(lists, parse, schema)] if lists else []
    frames += [map_entities(context, dumps, facts, schema)] if dumps else []
    return group_rows(reduce(DataFrame.unionByName, frames), ["h", "r", "t"], first, schema)


STAGE = Stage(
    table="triples",
    version=4,
    run=run,
    sources=("graph.triples",),
    needs=("graph.triples",),
    params=("limits",),
    growth=1 / 20,
)
