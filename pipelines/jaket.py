"""JAKET's graph: the tables `jaket_entities` (entities with a description) and `jaket_edges`."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.jaket import category, describe, is_category_edge, keep_entity
from pipelines.context import Context
from pipelines.lookup import token_counter
from pipelines.packed import Rendered, rows_of
from pipelines.spark_functions import Row, batches_of, with_split
from pipelines.xlr import training_triples


def run_entities(context: Context) -> Rendered:
    """Describe entities in the base language, the first of `languages`; keep those that JAKET uses."""
    settings, base = context.config.jaket, context.config.languages[0]
    describe_from = partial(
        describe,
        sources=settings.descriptions,
        max_tokens=settings.description_tokens,
        window=settings.description_window,
    )
    keep = partial(keep_entity, min_neighbours=settings.min_neighbours, min_mentions=settings.min_mentions)
    folders = [*context.of_role("passages.tokenizer"), *context.of_role("importance.encoder")]
    tokenizer = folders[0].path if folders else None
    kinds = (
        context.read("entities").select(F.explode("types").alias("kind")).groupBy("kind").count().collect()
    )
    frequency = Counter({row["kind"]: row["count"] for row in kinds})

    def choose(entities: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for row in entities:
            described = describe_from(
                row["qid"],
                page_head=row["page_head"],
                text=row["description"],
                first_mention=row["first_mention"],
                names=[text for name in row["names"] for text in (name["label"], *name["aliases"]) if text],
                count_tokens=token_counter(tokenizer).count,
                tally=tally,
            )
            kind = category(row["types"], frequency=frequency)
            tally.count("described", described is not None)
            tally.count("described_and_categorised", described is not None and kind is not None)
            if not keep(
                has_description=described is not None,
                neighbours=row["neighbours"],
                mentions=row["frequency"],
            ):
                tally.drop("not_described" if described is None else "few_neighbours_and_mentions")
                continue
            tally.count("categorised", kind is not None)
            yield {**(described or {}), "category": kind, "split": "train"}

    sentences = context.read("linked_sentences").where(F.col("lang") == base)
    entities = (
        context.read("entities")
        .join(context.read("entity_statistics", "qid", "frequency", "neighbours"), "qid")
        .join(_first_mentions(sentences), "qid", "left")
        .join(_page_heads(context, base), "qid", "left")
    )
    made = batches_of(choose, with_split(table("jaket_entities").schema))
    return rows_of(
        table("jaket_entities"), context.seed, (entities.repartition(context.partitions, "qid"), made)
    )


def run_edges(context: Context) -> Rendered:
    """Keep the edges between described entities. An edge that states its entity's category is dropped."""
    relation = context.config.jaket.category_relation

    def filtered(triples: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for row in triples:
            if is_category_edge((row["h"], row["r"], row["t"]), {row["h"]: row.pop("category")}, relation):
                tally.drop("category_edge")
            else:
                yield {**row, "split": "train"}

    kept = context.read("jaket_entities", "qid", "category")
    edges = (
        training_triples(context)
        .where("h <> t")
        .join(kept.withColumnRenamed("qid", "h"), "h")
        .join(kept.select(F.col("qid").alias("t")), "t", "left_semi")
    )
    made = batches_of(filtered, with_split(table("jaket_edges").schema))
    return rows_of(table("jaket_edges"), context.seed, (edges, made))


def _first_mentions(sentences: DataFrame) -> DataFrame:
    """For each entity, the first sentence that links to it, in the order of pages and sentences.

    An entry of a list may contain nothing but the name. Such a sentence is used only if there is no other.
    """
    linked = sentences.select(
        "page_id", "ordinal", "text", "mentions", F.explode("mentions").alias("mention")
    ).where("mention.source = 'anchor'")
    bare = F.length(F.rtrim("text")) - (F.col("mention.end") - F.col("mention.start")) <= 1  # a full stop
    return linked.groupBy(F.col("mention.qid").alias("qid")).agg(
        F.min_by(F.struct("text", "mentions", "page_id"), F.struct(bare, "page_id", "ordinal")).alias(
            "first_mention"
        )
    )


def _page_heads(context: Context, base: str) -> DataFrame:
    """For each entity, the first passage of its own page."""
    passages = context.read("passages", "kind", "lang", "page_id", "sentence_ids", "text", "mentions")
    # Without the table `titles` no page is known to be about an entity.
    own = context.read("titles") if context.has("titles") else context.empty("titles")
    pages = context.read("pages", "lang", "page_id", "title").where(F.col("lang") == base)
    ordinal = F.element_at(F.split(F.element_at("sentence_ids", 1), ":"), -1).cast("int")
    return (
        pages.join(own.where("via = 'item'").select("lang", "title", "qid"), ["lang", "title"])
        .join(
            passages.where("kind = 'jaket'").drop("kind").withColumn("ordinal", ordinal), ["lang", "page_id"]
        )
        .groupBy("qid")
        .agg(
            F.min_by(F.struct("text", "mentions", "page_id"), F.struct("page_id", "ordinal")).alias(
                "page_head"
            )
        )
    )


ENTITIES = Stage(
    table="jaket_entities",
    version=5,
    run=run_entities,
    inputs=("entities", "entity_statistics", "linked_sentences", "passages", "pages"),
    optional=("titles",),
    sources=("passages.tokenizer", "importance.encoder"),
    params=("jaket", "languages"),
    libraries=("tokenizers",),
)

EDGES = Stage(
    table="jaket_edges",
    version=3,
    run=run_edges,
    inputs=("triples", "jaket_entities"),
    optional=("xlr",),
    params=("jaket",),
)
