"""Passages, importance, statistics and facts to the table `trelm`."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.shards import read_batches
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.records.mention_facts import MentionFacts
from kgcorpus.records.trelm import Cosines, trelm_batch
from pipelines.context import Context
from pipelines.lookup import names_of, read_row_groups
from pipelines.packed import Rendered, in_order, page_splits, tally_source
from pipelines.xlr import held_out, without_held_out

_PASSAGE = ["passage_id", "lang", "page_id", "text", "sentences", "sentence_ids", "mentions"]
_COSINE = ["sentence_id", "start", "end", "cos"]
_FACTS = "facts"
# A passage's mentions carry up to 16 facts each, with their labels.
_PASSAGES_AT_ONCE = 2_000
_PAGE_OF_SENTENCE = r"^(?P<lang>.*):(?P<page>-?\d+):\d+$"


def run_trelm(context: Context) -> Rendered:
    """Bring passages and cosines together by page; look statistics and facts up in mapped arrays."""
    seed, base, scratch = context.seed, context.config.languages[0], context.scratch
    entities = tuple(context.inputs["entities"])
    tally = Tally()
    context.share_names("entities")
    with scratch.writing(_FACTS) as folder:
        _write_facts(context, folder, tally)
    schema = pa.schema(
        [
            *(_field("passages", name) for name in _PASSAGE),
            *(_field("importance", name) for name in _COSINE),
            pa.field("split", pa.string()),
        ]
    )

    def passages(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for batch in read_row_groups(units, [*_PASSAGE, "kind"]):
            own = batch.filter(pc.equal(batch.column("kind"), "trelm"))
            split = page_splits(seed, own.column("lang"), own.column("page_id"))
            yield _filled(own.append_column("split", split), schema)

    def cosines(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for batch in read_row_groups(units, _COSINE):
            page = pc.extract_regex(batch.column("sentence_id"), _PAGE_OF_SENTENCE)
            lang, page_id = page.field("lang"), page.field("page").cast(pa.int64())
            split = page_splits(seed, lang, page_id)
            columns = {**dict(zip(_COSINE, batch.columns, strict=True)), "lang": lang, "page_id": page_id}
            yield _filled(pa.record_batch({**columns, "split": split}), schema)

    def render(keys: pa.RecordBatch, tally: Tally) -> Iterator[pa.RecordBatch]:
        names = names_of(entities, "qid")
        with scratch.reading(_FACTS) as folder:
            facts = MentionFacts.open(folder)
        is_passage = pc.is_valid(keys.column("passage_id"))
        found = Cosines.of(keys.filter(pc.invert(is_passage)).select(_COSINE))
        rows = keys.filter(is_passage).select(_PASSAGE)
        for batch in in_order(rows, table("trelm"), ["passage_id"], seed, most=_PASSAGES_AT_ONCE):
            yield trelm_batch(batch, cosines=found, facts=facts, names=names, lang=base, tally=tally)

    return Rendered(
        sources=[
            (context.row_groups("passages"), passages),
            (context.row_groups("importance"), cosines),
            tally_source(context.spark, tally),
        ],
        schema=schema,
        by=["lang", "page_id"],
        render=render,
    )


def _write_facts(context: Context, folder: Path, tally: Tally) -> None:
    """Write statistics and facts, for the tasks to map."""
    pairs = held_out(context)
    MentionFacts.of(
        (
            without_held_out(batch, pairs)
            for path in context.inputs["triples"]
            for batch in read_batches(path, ["h", "r", "t"])
        ),
        (
            batch
            for path in context.inputs["entity_statistics"]
            for batch in read_batches(path, ["qid", "frequency", "long_tail"])
        ),
        names=names_of(tuple(context.inputs["entities"]), "qid"),
        lang=context.config.languages[0],
        seed=context.seed,
        limit=context.config.trelm.facts_per_entity,
        tally=tally,
    ).save(folder)


def _field(name: str, column: str) -> pa.Field:
    """A table's column; the text of a shard may pass 2 GB."""
    field = table(name).schema.field(column)
    return field.with_type(pa.large_string()) if column == "text" else field


def _filled(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows with all columns of the schema, null where they have none."""
    return pa.record_batch(
        {
            field.name: rows.column(field.name)
            if field.name in rows.schema.names
            else pa.nulls(len(rows), field.type)
            for field in schema
        }
    )


STAGE = Stage(
    table="trelm",
    version=5,
    run=run_trelm,
    inputs=("passages", "importance", "entity_statistics", "triples", "entities"),
    optional=("xlr",),
    params=("trelm.facts_per_entity", "languages"),
)
