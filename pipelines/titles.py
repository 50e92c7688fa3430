"""Titles files, SQL dumps and the pages' own redirects to the table `titles`."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_records
from kgcorpus.kg.readers import parse_title
from kgcorpus.wiki.documents import ITEM_PREFIX, is_json_lines
from kgcorpus.wiki.parquet_documents import is_parquet
from kgcorpus.wiki.title_dumps import is_sql, join_facts, read_title_facts
from pipelines.context import Context, on_bad
from pipelines.kernels import Row, group_rows
from pipelines.pages import sites_of

MAX_HOPS = 5  # redirects to redirects; a longer chain, or a circle, stands for no entity

_PART = pa.schema(
    [
        ("lang", pa.string()),
        ("title", pa.string()),
        ("qid", pa.string()),
        ("via", pa.string()),
        ("target", pa.string()),
        ("disambiguation", pa.bool_()),
    ]
)
_FACT = _PART.append(pa.field("page_id", pa.int64()))


def run(context: Context) -> DataFrame:
    """A title's own item wins over a redirect; a disambiguation page stands for no entity."""

    def choose(parts: list[Row], tally: Tally) -> Iterator[Row]:
        if any(part["disambiguation"] for part in parts):
            tally.drop("disambiguation")
            return
        best = min(parts, key=lambda part: (part["via"] == "redirect", part["qid"] or ""))
        if best["qid"] is None:
            tally.drop("redirect_without_item")
            return
        if len({part["qid"] for part in parts if part["via"] == "item"}) > 1:
            tally.count("title_with_several_items")
        yield {name: best[name] for name in ("lang", "title", "qid", "via")}

    given = _given(context).persist(StorageLevel.DISK_ONLY)
    pages = context.read("pages", "lang", "title", "redirect", "disambiguation")
    ambiguous = pages.select("lang", "title", "disambiguation").where("disambiguation")
    redirects = _redirects(
        given.where("target is not null")
        .select("lang", "title", "target")
        .union(pages.where("redirect is not null").select("lang", "title", F.col("redirect"))),
        given.where("qid is not null").join(
            given.select("lang", "title", "disambiguation").where("disambiguation").union(ambiguous),
            ["lang", "title"],
            "left_anti",
        ),
    )
    parts = given.where("target is null").drop("target")
    for more in (ambiguous.withColumn("via", F.lit("page")), redirects):
        parts = parts.unionByName(more, allowMissingColumns=True)
    return group_rows(parts, ["lang", "title"], choose, table("titles").schema)


def _given(context: Context) -> DataFrame:
    """What the titles files say: rows of `_PART`, and the counters."""
    policy, limits = context.on_bad_input, context.limits
    sources = context.of_role("wikipedia.titles")
    sites = sites_of(context.of_role("wikipedia.dump"), limits)
    # One file may be named for several wikis, and for two dumps of one.
    languages = {
        path: sorted({source.lang for source in sources if source.path == path})
        for path in dict.fromkeys(source.path for source in sources)
    }

    def parse(files: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for file in files:
            path, langs = file["path"], languages[file["path"]]
            bad = on_bad(policy, tally)
            if is_sql(path):
                for fact in read_title_facts(
                    path, langs=langs, sites=sites, tally=tally, on_bad=bad, limits=limits
                ):
                    yield {"via": "item", "disambiguation": False, **fact}
                continue
            for row in read_records(path, parse_title, tally=tally, on_bad=bad, limits=limits):
                for lang in langs:
                    yield {
                        "lang": lang,
                        "title": sites[lang].normalise_title(row.title),
                        "qid": row.qid,
                        "via": "item",
                        "disambiguation": False,
                    }

    facts = context.map_files(list(languages), parse, _FACT)
    given = facts.where("page_id is null").drop("page_id")
    if any(is_sql(source.path) for source in sources):
        joined = group_rows(facts.where("page_id is not null"), ["lang", "page_id"], join_facts, _PART)
        given = given.unionByName(joined)
    if any(is_json_lines(text.path) or is_parquet(text.path) for text in context.of_role("text.path")):
        given = given.unionByName(_named_items(context), allowMissingColumns=True)
    return given


def _named_items(context: Context) -> DataFrame:
    """The items that JSON lines name in the place of a title, and those of titled documents."""
    documents = context.read("pages").where("page_id < 0")
    own = documents.where("qid is not null and title <> ''").select(
        "lang", "title", "qid", F.lit("item").alias("via"), F.lit(False).alias("disambiguation")
    )
    targets = documents.select("lang", F.explode("links.target").alias("title")).where(
        F.col("title").startswith(ITEM_PREFIX)
    )
    linked = targets.distinct().select(
        "lang",
        "title",
        F.expr(f"substring(title, {len(ITEM_PREFIX) + 1})").alias("qid"),
        F.lit("link").alias("via"),
        F.lit(False).alias("disambiguation"),
    )
    return linked.unionByName(own)


def _redirects(step: DataFrame, items: DataFrame) -> DataFrame:
    """Redirects `lang, title, target` with the item of the page that they end at."""
    step = step.distinct()
    onward = step.select("lang", F.col("title").alias("target"), F.col("target").alias("next"))
    ends = step
    for _ in range(MAX_HOPS - 1):
        ends = ends.join(onward, ["lang", "target"], "left").select(
            "lang", "title", F.coalesce("next", "target").alias("target")
        )
    known = items.groupBy("lang", F.col("title").alias("target")).agg(F.min("qid").alias("qid"))
    return ends.join(known, ["lang", "target"], "left").select(
        "lang", "title", "qid", F.lit("redirect").alias("via"), F.lit(False).alias("disambiguation")
    )


STAGE = Stage(
    table="titles",
    version=7,
    run=run,
    inputs=("pages",),
    sources=("wikipedia.titles", "wikipedia.dump", "text.path"),
    needs=("wikipedia.titles", "text.path"),
    params=("limits",),
)
