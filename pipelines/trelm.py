"""Passages, importance, statistics and facts to the table `trelm`."""

from collections.abc import Iterator
from itertools import chain
from typing import NotRequired, TypedDict

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from kgcorpus.contracts.rows import Fact, PassageRow, TrelmRow, TripleRow
from kgcorpus.contracts.splits import split_of_page
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import FACT, table
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.trelm import facts_of, sentence_span, trelm_record
from pipelines.context import Context
from pipelines.kernels import COUNTERS, Row, batches_of, map_rows, stream_groups, with_split
from pipelines.lookup import names_of
from pipelines.packed import Rendered, rows_of
from pipelines.xlr import training_triples


class TripleOf(TripleRow):
    """A triple, listed under one of its ends."""

    qid: str


class Detail(TypedDict):
    """What is known of a passage's mention; None where a table has no row for it."""

    sentence_id: str
    start: int
    end: int
    qid: str
    cos: float | None
    frequency: int | None
    long_tail: bool | None
    facts: list[Fact] | None


class GatheredPassage(PassageRow):
    """A passage with the details of its mentions."""

    details: NotRequired[list[Detail] | None]


_SPAN = pa.schema(
    [
        ("passage_id", pa.string()),
        ("sentence_id", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("qid", pa.string()),
    ]
)
_FACTS = pa.schema([("qid", pa.string()), ("facts", pa.list_(FACT))])


def run(context: Context) -> Rendered:
    """Join what a mention needs to the mention, gather it by passage, and write the record."""
    seed = context.seed

    def locate(passages: Iterator[PassageRow], tally: Tally) -> Iterator[Row]:
        for passage in passages:
            for mention in passage["mentions"]:
                sentence, start, end = sentence_span(passage, mention)
                yield {
                    "passage_id": passage["passage_id"],
                    "sentence_id": sentence,
                    "start": start,
                    "end": end,
                    "qid": mention["qid"],
                }

    def assemble(passages: Iterator[GatheredPassage], tally: Tally) -> Iterator[TrelmRow]:
        for passage in passages:
            details = passage.pop("details") or []
            record = trelm_record(
                passage,
                cosines={(d["sentence_id"], d["start"], d["end"]): d["cos"] for d in details},
                statistics={d["qid"]: d for d in details if d["frequency"] is not None},
                facts={d["qid"]: d["facts"] or [] for d in details},
                tally=tally,
            )
            yield {**record, "split": split_of_page(seed, passage["lang"], passage["page_id"])}

    passages = context.read("passages").where("kind = 'trelm'")
    facts = _facts(context)
    counters = facts.where("_counter is not null").select(*COUNTERS.names)
    details = (
        map_rows(passages, locate, _SPAN)
        .drop(*COUNTERS.names)
        .join(
            context.read("importance", "sentence_id", "start", "end", "cos"),
            ["sentence_id", "start", "end"],
            "left",
        )
        .join(context.read("entity_statistics", "qid", "frequency", "long_tail"), "qid", "left")
        .join(facts.where("_counter is null").drop(*COUNTERS.names), "qid", "left")
        .groupBy("passage_id")
        .agg(
            F.collect_list(
                F.struct("sentence_id", "start", "end", "qid", "cos", "frequency", "long_tail", "facts")
            ).alias("details")
        )
    )
    joined = passages.join(details, "passage_id", "left").unionByName(counters, allowMissingColumns=True)
    made = batches_of(assemble, with_split(table("trelm").schema))
    return rows_of(table("trelm"), seed, (joined, made))


def _facts(context: Context) -> DataFrame:
    """The facts of every entity, with counters."""
    seed, limit, base = context.seed, context.config.trelm.facts_per_entity, context.config.languages[0]
    entities = tuple(context.inputs["entities"])

    def gather(triples: Iterator[TripleOf], tally: Tally) -> Iterator[Row]:
        names = names_of(entities, "qid")
        first = next(triples)
        qid = first["qid"]
        found = facts_of(
            qid,
            ((row["h"], row["r"], row["t"]) for row in chain([first], triples)),
            label_of=lambda other: names.label(other, base),
            seed=seed,
            limit=limit,
            tally=tally,
        )
        yield {"qid": qid, "facts": found}

    ends = training_triples(context).withColumn("qid", F.explode(F.array_distinct(F.array("h", "t"))))
    return stream_groups(ends, ["qid"], gather, _FACTS)


STAGE = Stage(
    table="trelm",
    version=4,
    run=run,
    inputs=("passages", "importance", "entity_statistics", "triples", "entities"),
    optional=("xlr",),
    params=("trelm.facts_per_entity", "languages"),
)
