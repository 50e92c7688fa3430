"""Links of the training pages to the tables `surfaces` and `in_links`, which the linker reads."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tally import Tally
from kgcorpus.linking import statistics
from kgcorpus.linking.targets import page_target
from pipelines.context import Context
from pipelines.kernels import Row, map_rows
from pipelines.redirects import MAX_HOPS

_LINK = pa.schema(
    [("lang", pa.string()), ("page_id", pa.int64()), ("surface", pa.string()), ("title", pa.string())]
)
_NAME = pa.schema([("lang", pa.string()), ("surface", pa.string()), ("target", pa.string())])
_COUNT = pa.schema([("lang", pa.string()), ("surface", pa.string()), ("occurrences", pa.int64())])


def run_surfaces(context: Context) -> DataFrame:
    """Count the links of each surface by target, then spot all surfaces and names in the same pages."""
    folder = context.scratch / "surfaces"
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
    known.where(F.col("lang").isin(languages)).distinct().write.partitionBy("lang").parquet(str(folder))
    _index(context, folder, languages)
    linked = links.groupBy("lang", "surface").agg(
        F.sum("links").alias("links"),
        F.sort_array(F.collect_list(F.struct((-F.col("links")).alias("less"), "target", "links"))).alias("t"),
    )
    targets = F.transform(F.coalesce("t", F.array()), lambda x: F.struct(x["target"], x["links"]))
    return (
        _occurrences(context, folder)
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


def _index(context: Context, folder: Path, languages: list[str]) -> None:
    """Leave each language's spotter and its surfaces in the scratch folder."""

    def build(files: Iterator[Row], tally: Tally) -> Iterator[Row]:
        from kgcorpus.linking.spotter import Spotter

        for file in files:
            place = folder / f"lang={file['path']}"
            surfaces = (
                pq.read_table(place, columns=["surface"])["surface"].to_pylist() if place.exists() else []
            )
            Spotter.build(surfaces).save(place / "index")
            pq.write_table(pa.table({"surface": surfaces}), place / "index" / "surfaces.parquet")
            yield {"lang": file["path"], "surface": "", "occurrences": len(surfaces)}

    context.map_files(languages, build, _COUNT).collect()


def _occurrences(context: Context, folder: Path) -> DataFrame:
    """Rows {lang, surface, occurrences} of the surfaces that stand on training pages with links."""
    seed = context.seed

    def count(pages: Iterator[Row], tally: Tally) -> Iterator[Row]:
        import numpy as np

        from kgcorpus.linking.spotter import Spotter

        texts: dict[str, list[str]] = {}
        for page in pages:
            if statistics.is_training_page(page, seed):
                texts.setdefault(page["lang"], []).append(page["text"])
        for lang, of_lang in sorted(texts.items()):
            index = folder / f"lang={lang}" / "index"
            surfaces = pq.read_table(index / "surfaces.parquet", memory_map=True)["surface"]
            counts = statistics.count_occurrences(of_lang, Spotter.open(index), len(surfaces))
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
