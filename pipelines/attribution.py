"""The stage `sources`: the pages that published text is from, for attribution."""

from collections.abc import Iterator

from pyspark.sql import functions as F

from kgcorpus.contracts.rows import SourceRow
from kgcorpus.contracts.splits import split_of_page
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from pipelines.context import Context
from pipelines.packed import Rendered, rows_of
from pipelines.spark_functions import batches_of, with_split


def run_attribution(context: Context) -> Rendered:
    """Keep the pages with a passage or a description; their split is that of their text."""
    seed, base = context.seed, context.config.languages[0]

    def attribute(pages: Iterator[SourceRow], tally: Tally) -> Iterator[SourceRow]:
        for row in pages:
            tally.count("source_without_url", row["url"] is None)
            yield {
                **row,
                "title": row["title"] or None,
                "split": split_of_page(seed, row["lang"], row["page"]),
            }

    used = context.read("passages", "lang", "page_id").withColumnRenamed("page_id", "page")
    if context.has("jaket_entities"):
        described = context.read("jaket_entities", "page").where("page is not null")
        used = used.unionByName(described.withColumn("lang", F.lit(base)))
    pages = (
        context.read("pages", "page_id", "lang", "title", "revision", "time", "url")
        .withColumnRenamed("page_id", "page")
        .join(used.distinct(), ["lang", "page"], "left_semi")
    )
    made = batches_of(attribute, with_split(table("sources").schema))
    return rows_of(table("sources"), seed, (pages, made))


STAGE = Stage(
    table="sources",
    version=2,
    run=run_attribution,
    inputs=("pages", "passages"),
    optional=("jaket_entities",),
    params=("languages",),
)
