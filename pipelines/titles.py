"""Titles files and the dumps' redirects to the table `titles`."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.readers import parse_title, read
from kgcorpus.wiki.dump import open_dump, read_site
from kgcorpus.wiki.site import Site
from pipelines.context import Context, on_bad
from pipelines.kernels import Row, group_rows

MAX_HOPS = 5  # redirects to redirects; a longer chain, or a circle, stands for no entity

_PART = pa.schema(
    [
        ("lang", pa.string()),
        ("title", pa.string()),
        ("qid", pa.string()),
        ("via", pa.string()),
        ("disambiguation", pa.bool_()),
    ]
)


def run(context: Context) -> DataFrame:
    """A title's own item wins over a redirect; a disambiguation page stands for no entity."""

    def choose(parts: list[Row], tally: Tally) -> Iterator[Row]:
        if any(part["disambiguation"] for part in parts):
            tally.drop("disambiguation")
            return
        best = min(parts, key=lambda part: (part["via"] != "item", part["qid"] or ""))
        if best["qid"] is None:
            tally.drop("redirect_without_item")
            return
        if len({part["qid"] for part in parts if part["via"] == "item"}) > 1:
            tally.count("title_with_several_items")
        yield {name: best[name] for name in ("lang", "title", "qid", "via")}

    items = _items(context)
    pages = context.read("pages", "lang", "title", "redirect", "disambiguation")
    ambiguous = pages.where("disambiguation").select(
        "lang", "title", F.lit(None).cast("string").alias("qid"), F.lit("page").alias("via"), "disambiguation"
    )
    parts = items.unionByName(ambiguous, allowMissingColumns=True)
    parts = parts.unionByName(_redirects(pages, items), allowMissingColumns=True)
    return group_rows(parts, ["lang", "title"], choose, table("titles").schema)


def _items(context: Context) -> DataFrame:
    """The titles files' rows, normalised as their wiki does."""
    policy = context.on_bad_input
    sources = context.of_role("wikipedia.titles")
    sites: dict[str, Site] = {}
    for dump in context.of_role("wikipedia.dump"):
        with open_dump(dump.path) as stream:
            sites.setdefault(dump.lang, read_site(stream, lang=dump.lang))

    def parse(files: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for file in files:
            source = sources[file["ordinal"]]
            for row in read(source.path, parse_title, tally=tally, on_bad=on_bad(policy, tally)):
                title = sites[source.lang].normalise_title(row.title)
                yield {
                    "lang": source.lang,
                    "title": title,
                    "qid": row.qid,
                    "via": "item",
                    "disambiguation": False,
                }

    return context.map_files([source.path for source in sources], parse, _PART)


def _redirects(pages: DataFrame, items: DataFrame) -> DataFrame:
    """Redirect pages with the item of the page that they end at."""
    step = pages.where("redirect is not null").select("lang", "title", F.col("redirect").alias("target"))
    onward = step.select("lang", F.col("title").alias("target"), F.col("target").alias("next"))
    ends = step
    for _ in range(MAX_HOPS - 1):
        ends = ends.join(onward, ["lang", "target"], "left").select(
            "lang", "title", F.coalesce("next", "target").alias("target")
        )
    ambiguous = pages.where("disambiguation").select("lang", "title")
    known = (
        items.where("qid is not null")
        .join(ambiguous, ["lang", "title"], "left_anti")
        .groupBy("lang", F.col("title").alias("target"))
        .agg(F.min("qid").alias("qid"))
    )
    return ends.join(known, ["lang", "target"], "left").select(
        "lang", "title", "qid", F.lit("redirect").alias("via"), F.lit(False).alias("disambiguation")
    )


STAGE = Stage(
    table="titles",
    version=2,
    run=run,
    inputs=("pages",),
    sources=("wikipedia.titles", "wikipedia.dump"),
    needs=("wikipedia.titles",),
)
