"""Pages to the table `linked_sentences`: hyperlinks resolved to entities of the graph."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.linking.anchors import link_page
from pipelines.context import Context
from pipelines.kernels import Row, batches_of
from pipelines.lookup import linker_of
from pipelines.packed import Rendered, rows_of

if TYPE_CHECKING:
    from kgcorpus.linking.linker import Linker

# Read for names without a hyperlink alone.
_DICTIONARY = ("surfaces", "in_links", "entities")


def run(context: Context) -> Rendered:
    """Resolve the links by joins, then cut and link page by page."""

    linker = _linker(context)

    def link(pages: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for page in pages:
            found = {link["pos"]: link for link in page.pop("resolved") or ()}
            for position, target in enumerate(page["links"]):
                known = found.get(position)
                target["qid"] = known["qid"] if known and known["in_graph"] else None
                if known is None:
                    tally.drop("link_without_item")
                elif not known["in_graph"]:
                    tally.drop("link_outside_graph")
            yield from link_page(page, tally=tally, linker=linker(page["lang"]))

    pages = context.read("pages").where("redirect is null")
    if context.has("titles"):
        pages = _resolved(context, pages)
    else:
        pages = pages.withColumn(
            "resolved", F.expr("cast(null as array<struct<pos:int,qid:string,in_graph:boolean>>)")
        )
    spread = pages.repartition(context.partitions, "lang", "page_id")
    made = batches_of(link, table("linked_sentences").schema)
    return rows_of(table("linked_sentences"), context.seed, (spread, made))


def _linker(context: Context) -> Callable[[str], "Linker | None"]:
    """From a language to its linker; to None unless the configuration asks for names by dictionary."""
    if not context.config.linking.dictionary:
        return lambda lang: None
    tables = (*_DICTIONARY, "titles", "triples")
    paths = tuple((name, tuple(context.inputs[name])) for name in tables if context.has(name))
    settings = context.config.linking
    for row in context.read("pages", "lang").distinct().collect():
        linker_of(paths, row.lang, settings)  # written once, before the workers ask
    return lambda lang: linker_of(paths, lang, settings)


def _resolved(context: Context, pages: DataFrame) -> DataFrame:
    """Pages with their own `qid`, and in `resolved` the links whose targets have an item.

    A document's own entity is the one that it names; the title decides for all other pages.
    """
    items = context.read("titles", "lang", "title", "qid")
    named = pages.where("qid is not null").select("lang", "page_id", F.col("qid").alias("named"))
    if context.has("triples"):
        graph = context.read("triples").select(F.explode(F.array("h", "t")).alias("qid")).distinct()
        items = items.join(graph.withColumn("in_graph", F.lit(True)), "qid", "left").fillna(
            False, ["in_graph"]
        )
        named = named.join(graph.withColumnRenamed("qid", "named"), "named", "left_semi")
    else:
        items = items.withColumn("in_graph", F.lit(True))
    links = (
        pages.select("lang", "page_id", F.posexplode("links").alias("pos", "link"))
        .select("lang", "page_id", "pos", F.col("link.target").alias("title"))
        .join(items, ["lang", "title"])
        .groupBy("lang", "page_id")
        .agg(F.collect_list(F.struct("pos", "qid", "in_graph")).alias("resolved"))
    )
    titled = items.where("in_graph").select("lang", "title", F.col("qid").alias("titled"))
    own = F.when(F.col("qid").isNull(), F.col("titled")).otherwise(F.col("named"))
    return (
        pages.join(links, ["lang", "page_id"], "left")
        .join(named, ["lang", "page_id"], "left")
        .join(titled, ["lang", "title"], "left")
        .withColumn("qid", own)
        .drop("named", "titled")
    )


STAGE = Stage(
    table="linked_sentences",
    version=10,
    run=run,
    inputs=("pages",),
    optional=("titles", "triples", *_DICTIONARY),
    only_if=dict.fromkeys(_DICTIONARY, ("linking.dictionary", True)),
    params=("linking",),
    growth=20.0,
)
