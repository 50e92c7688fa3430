"""Linked sentences to the table `passages`, and from there to `plain_text` and `jaket_text`."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.wiki.passages import Kind, passage_batches
from pipelines.context import Context
from pipelines.lookup import read_row_groups, token_counter
from pipelines.packed import Rendered, page_splits, rows_of

_SENTENCE = ["sentence_id", "page_id", "lang", "ordinal", "text", "mentions"]


def run_passages(context: Context) -> Rendered:
    """Cut every page once for each kind of passage, in the task that writes the page's shard."""
    config = context.config.passages
    folders = [*context.of_role("passages.tokenizer"), *context.of_role("importance.encoder")]
    tokenizer = folders[0].path if folders else None
    lengths = {"trelm": config.trelm, "jaket": config.jaket}
    kinds = [Kind(name, n, config.min_entities) for name, n in lengths.items()]
    kinds += [Kind(f"plain{n}", n) for n in config.plain]
    min_page_characters = config.min_page_characters

    def keys(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        yield from read_row_groups(units, _SENTENCE)

    def render(sentences: pa.RecordBatch, tally: Tally) -> Iterator[pa.RecordBatch]:
        yield from passage_batches(
            sentences,
            kinds=kinds,
            counter=token_counter(tokenizer),
            min_page_characters=min_page_characters,
            tally=tally,
        )

    # A damaged tokenizer is an error here, before any worker starts.
    token_counter(tokenizer)
    fields = [table("linked_sentences").schema.field(name) for name in _SENTENCE]
    # The text of a shard may pass 2 GB.
    fields = [field.with_type(pa.large_string()) if field.name == "text" else field for field in fields]
    return Rendered(
        sources=[(context.row_groups("linked_sentences"), keys)],
        schema=pa.schema(fields),
        by=["lang", "page_id"],
        render=render,
    )


def run_plain_text(context: Context) -> Rendered:
    """Publish the plain-text passages."""
    seed = context.seed

    def keys(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for batch in read_row_groups(units, ["passage_id", "lang", "text", "kind", "page_id"]):
            plain = batch.filter(pc.starts_with(batch.column("kind"), "plain"))
            ident, lang, text, kind, page = plain.columns
            length = pc.utf8_slice_codeunits(kind, len("plain")).cast(pa.int32())
            yield pa.record_batch(
                {
                    "id": ident,
                    "lang": lang,
                    "text": text,
                    "length": length,
                    "split": page_splits(seed, lang, page),
                }
            )

    return rows_of(table("plain_text"), seed, (context.row_groups("passages"), keys))


def run_jaket_text(context: Context) -> Rendered:
    """Publish JAKET's passages."""
    seed = context.seed

    def keys(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        for batch in read_row_groups(units, ["passage_id", "lang", "text", "mentions", "kind", "page_id"]):
            linked = batch.filter(pc.equal(batch.column("kind"), "jaket"))
            ident, lang, text, mentions, _, page = linked.columns
            bare = pc.sum(pc.equal(pc.list_value_length(mentions), 0)).as_py() or 0
            if bare:
                tally.count("passage_without_mention", bare)
            yield pa.record_batch(
                {
                    "id": ident,
                    "lang": lang,
                    "text": text,
                    "mentions": mentions,
                    "split": page_splits(seed, lang, page),
                }
            )

    return rows_of(table("jaket_text"), seed, (context.row_groups("passages"), keys))


STAGE = Stage(
    table="passages",
    version=5,
    run=run_passages,
    inputs=("linked_sentences",),
    sources=("passages.tokenizer", "importance.encoder"),
    params=("passages",),
    libraries=("tokenizers",),
)

PLAIN_TEXT = Stage(table="plain_text", version=2, run=run_plain_text, inputs=("passages",))

JAKET_TEXT = Stage(table="jaket_text", version=2, run=run_jaket_text, inputs=("passages", "triples"))
