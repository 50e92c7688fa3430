"""Triples files to the table `triples`: duplicates removed."""

from collections.abc import Iterator

from pyspark.sql import DataFrame

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.readers import parse_triple, read
from pipelines.context import Context, on_bad
from pipelines.kernels import Row, group_rows


def run(context: Context) -> DataFrame:
    """Parse, and keep one of equal triples."""
    policy = context.on_bad_input
    schema = table("triples").schema

    def parse(files: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for file in files:
            for h, r, t in read(file["path"], parse_triple, tally=tally, on_bad=on_bad(policy, tally)):
                yield {"h": h, "r": r, "t": t}

    def first(copies: list[Row], tally: Tally) -> Iterator[Row]:
        tally.drop("duplicate", len(copies) - 1)
        yield copies[0]

    parsed = context.map_files([source.path for source in context.sources], parse, schema)
    return group_rows(parsed, ["h", "r", "t"], first, schema)


STAGE = Stage(
    table="triples",
    version=1,
    run=run,
    sources=("graph.triples",),
    needs=("graph.triples",),
    growth=1 / 20,
)
