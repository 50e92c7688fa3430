"""Linked sentences to the table `passages`, and from there to `plain_text` and `jaket_text`."""

from collections.abc import Iterator

from pyspark.sql import DataFrame

from kgcorpus.contracts.rows import JaketTextRow, PassageRow, PlainTextRow, SentenceRow
from kgcorpus.contracts.splits import split_of_page
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.wiki.passages import build_passages
from pipelines.context import Context
from pipelines.kernels import Row, group_rows, map_rows, with_split
from pipelines.lookup import token_counter


def run(context: Context) -> DataFrame:
    """Cut every page once for each kind of passage."""
    lengths = context.config.passages
    folders = [*context.of_role("passages.tokenizer"), *context.of_role("importance.encoder")]
    counter = token_counter(folders[0].path if folders else None)
    kinds = {"trelm": lengths.trelm, "jaket": lengths.jaket} | {f"plain{n}": n for n in lengths.plain}
    min_entities, min_page_characters = lengths.min_entities, lengths.min_page_characters

    def cut(sentences: list[SentenceRow], tally: Tally) -> Iterator[Row]:
        # Every kind asks for the lengths of the same sentences.
        known: dict[str, int] = {}

        def count_tokens(texts: list[str]) -> list[int]:
            if new := [text for text in texts if text not in known]:
                known.update(zip(new, counter.count(new), strict=True))
            return [known[text] for text in texts]

        for kind, max_tokens in kinds.items():
            yield from build_passages(
                sentences,
                kind=kind,
                max_tokens=max_tokens,
                count_tokens=count_tokens,
                added_tokens=counter.added,
                min_entities=0 if kind.startswith("plain") else min_entities,
                min_page_characters=min_page_characters,
                tally=tally,
            )

    sentences = context.read("linked_sentences")
    return group_rows(sentences, ["lang", "page_id"], cut, table("passages").schema, then=["ordinal"])


def run_plain_text(context: Context) -> DataFrame:
    """Publish the plain-text passages."""
    seed = context.seed

    def plain(passages: Iterator[PassageRow], tally: Tally) -> Iterator[PlainTextRow]:
        for row in passages:
            yield {
                "id": row["passage_id"],
                "lang": row["lang"],
                "text": row["text"],
                "length": int(row["kind"].removeprefix("plain")),
                "split": split_of_page(seed, row["lang"], row["page_id"]),
            }

    passages = context.read("passages").where("kind like 'plain%'")
    return map_rows(passages, plain, with_split(table("plain_text").schema))


def run_jaket_text(context: Context) -> DataFrame:
    """Publish JAKET's passages."""
    seed = context.seed

    def linked(passages: Iterator[PassageRow], tally: Tally) -> Iterator[JaketTextRow]:
        for row in passages:
            if not row["mentions"]:
                tally.count("passage_without_mention")
            yield {
                "id": row["passage_id"],
                "lang": row["lang"],
                "text": row["text"],
                "mentions": row["mentions"],
                "split": split_of_page(seed, row["lang"], row["page_id"]),
            }

    passages = context.read("passages").where("kind = 'jaket'")
    return map_rows(passages, linked, with_split(table("jaket_text").schema))


STAGE = Stage(
    table="passages",
    version=3,
    run=run,
    inputs=("linked_sentences",),
    sources=("passages.tokenizer", "importance.encoder"),
    params=("passages",),
    libraries=("tokenizers",),
)

PLAIN_TEXT = Stage(table="plain_text", version=1, run=run_plain_text, inputs=("passages",))

JAKET_TEXT = Stage(table="jaket_text", version=1, run=run_jaket_text, inputs=("passages", "triples"))
