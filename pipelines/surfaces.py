"""Links of the training pages to the tables `surfaces` and `in_links`, which the linker reads."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tally import Tally
from kgcorpus.linking import statistics
from kgcorpus.linking.targets import page_target
from pipelines.context import Context
from pipelines.redirects import MAX_HOPS
from pipelines.spark_functions import Row, map_rows, without_secrets

_LINK = pa.schema(
    [("lang", pa.string()), ("page_id", pa.int64()), ("surface", pa.string()), ("title", pa.string())]
)
_NAME = pa.schema([("lang", pa.string()), ("surface", pa.string()), ("target", pa.string())])
_KNOWN = pa.schema([("lang", pa.string()), ("surface", pa.string())])
# Names in the scratch space.
_INDEX, _SURFACES = "index", "surfaces.parquet"
_COUNT = pa.schema([("lang", pa.string()), ("surface", pa.string()), ("occurrences", pa.int64())])


def run_surfaces(context: Context) -> DataFrame:
    """Count the links of each surface by target, then spot all surfaces and names in the same pages."""
    links = (
        _links(context)
        .where("surface <> ''")
        .groupBy("lang", "surface", "target")
        .agg(F.count("*").alias("links"))
    )
    links = context.stored(links, "links")
    known = links.select("lang", "surface")
    for names in _names(context):
        known = known.unionByName(names.select("lang", "surface"))
    languages = [row.lang for row in context.read("pages", "lang").distinct().sort("lang").collect()]
    indexed = _index(context, known.where(F.col("lang").isin(languages)).distinct())
    linked = links.groupBy("lang", "surface").agg(
        F.sum("links").alias("links"),
        F.sort_array(F.collect_list(F.struct((-F.col("links")).alias("less"), "target", "links"))).alias("t"),
    )
    targets = F.transform(F.coalesce("t", F.array()), lambda x: F.struct(x["target"], x["links"]))
    return (
        _occurrences(context, indexed)
        .join(linked, ["lang", "surface"], "full")
        .select(
            "lang",
            "surface",
            F.coalesce("links", F.lit(0)).alias("links"),
            F.greatest(F.coalesce("occurrences", F.lit(0)), F.coalesce("links", F.lit(0))).alias(
                "occurrences"
            ),
            targets.alias("targets"),
        )
    )


def run_in_links(context: Context) -> DataFrame:
    """The training pages that link to each target."""
    return (
        _links(context).groupBy("lang", "target").agg(F.sort_array(F.collect_set("page_id")).alias("pages"))
    )


def _links(context: Context) -> DataFrame:
    """Rows {lang, page_id, surface, target} of the training pages' links."""
    seed = context.seed

    def read(pages: Iterator[Row], tally: Tally) -> Iterator[Row]:
        yield from statistics.training_links(pages, seed)

    pages = context.read("pages")
    links = map_rows(pages.where("redirect is null"), read, _LINK)
    ends = _redirects(pages)
    links = links.join(ends, ["lang", "title"], "left").withColumn("title", F.coalesce("end", "title"))
    items = (
        context.read("titles", "lang", "title", "qid") if context.has("titles") else context.empty("titles")
    )
    target = F.coalesce("qid", F.format_string(page_target("%s", "%s"), "lang", "title"))
    return links.join(items.select("lang", "title", "qid"), ["lang", "title"], "left").select(
        "lang", "page_id", "surface", target.alias("target")
    )


def _redirects(pages: DataFrame) -> DataFrame:
    """Rows {lang, title, end}: where a redirect leads."""
    step = pages.where("redirect is not null").select("lang", "title", F.col("redirect").alias("end"))
    onward = step.select("lang", F.col("title").alias("end"), F.col("end").alias("next"))
    for _ in range(MAX_HOPS - 1):
        step = step.join(onward, ["lang", "end"], "left").select(
            "lang", "title", F.coalesce("next", "end").alias("end")
        )
    return step


def _names(context: Context) -> Iterator[DataFrame]:
    """Rows {lang, surface, target} of the names that need no link."""

    def of_entities(rows: Iterator[Row], tally: Tally) -> Iterator[Row]:
        yield from statistics.names_of_entities(rows)

    def of_titles(rows: Iterator[Row], tally: Tally) -> Iterator[Row]:
        yield from statistics.names_of_titles(rows)

    if context.has("entities"):
        yield map_rows(context.read("entities", "qid", "names"), of_entities, _NAME)
    if context.has("titles"):
        yield map_rows(context.read("titles"), of_titles, _NAME)


def _index(context: Context, known: DataFrame) -> frozenset[str]:
    """Write each language's spotter and its surfaces to the scratch space.

    Args:
        known: distinct rows {lang, surface}.

    Returns:
        The languages that have a surface.
    """
    scratch = context.scratch

    @without_secrets
    def build(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from kgcorpus.linking.spotter import Spotter

        rows = pa.Table.from_batches(batches, schema=_KNOWN)
        for lang in pc.unique(rows["lang"]).to_pylist():
            surfaces = rows["surface"].filter(pc.equal(rows["lang"], lang)).to_pylist()
            with scratch.writing(f"{_INDEX}/{lang}") as folder:
                Spotter.build(surfaces).save(folder)
                pq.write_table(pa.table({"surface": surfaces}), folder / _SURFACES)
            yield pa.record_batch({"lang": [lang]})

    rows = known.repartition("lang").select(*_KNOWN.names).mapInArrow(build, "lang string").collect()
    return frozenset(row.lang for row in rows)


def _occurrences(context: Context, indexed: frozenset[str]) -> DataFrame:
    """Rows {lang, surface, occurrences} of the surface forms on training pages with links.

    Args:
        indexed: as `_index` returns them.
    """
    seed, scratch = context.seed, context.scratch

    def count(pages: Iterator[Row], tally: Tally) -> Iterator[Row]:
        import numpy as np

        from kgcorpus.linking.spotter import Spotter

        texts: dict[str, list[str]] = {}
        for page in pages:
            if statistics.is_training_page(page, seed):
                texts.setdefault(page["lang"], []).append(page["text"])
        for lang, of_lang in sorted(texts.items()):
            if lang not in indexed:
                continue
            with scratch.reading(f"{_INDEX}/{lang}") as folder:
                surfaces = pq.read_table(folder / _SURFACES, memory_map=True)["surface"]
                spotter = Spotter.open(folder)
            counts = statistics.count_occurrences(of_lang, spotter, len(surfaces))
            for name in np.flatnonzero(counts).tolist():
                yield {"lang": lang, "surface": surfaces[name].as_py(), "occurrences": int(counts[name])}

    pages = context.read("pages").where("redirect is null and size(links) > 0")
    counted = map_rows(pages.repartition(context.partitions, "lang", "page_id"), count, _COUNT)
    return counted.groupBy("lang", "surface").agg(F.sum("occurrences").alias("occurrences"))


SURFACES = Stage(
    table="surfaces",
    version=4,
    run=run_surfaces,
    inputs=("pages",),
    optional=("titles", "entities"),
    growth=100.0,
)

IN_LINKS = Stage(
    table="in_links",
    version=3,
    run=run_in_links,
    inputs=("pages",),
    optional=("titles",),
    growth=50.0,
)
