"""Dumps and text files to the table `pages`."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.wiki.dump import RawPage, open_dump, read_pages, read_site
from kgcorpus.wiki.pages import page_rows
from kgcorpus.wiki.plaintext import read_documents
from pipelines.context import Context
from pipelines.kernels import Row, map_rows

_RAW = pa.schema(
    [
        ("page_id", pa.int64()),
        ("lang", pa.string()),
        ("source", pa.int32()),
        ("ns", pa.int32()),
        ("title", pa.string()),
        ("redirect", pa.string()),
        ("text", pa.string()),
    ]
)


def run(context: Context) -> DataFrame:
    """Read each file in one task, then parse its pages in all of them."""

    sources = [*context.of_role("wikipedia.dump"), *context.of_role("text.path")]
    sites = {}
    for i, source in enumerate(sources):
        if source.role == "wikipedia.dump":
            with open_dump(source.path) as stream:
                sites[i] = read_site(stream, lang=source.lang)

    def read(files: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for file in files:
            i = file["ordinal"]
            lang = sources[i].lang
            if i in sites:
                with open_dump(file["path"]) as stream:
                    for page in read_pages(stream, where=file["path"]):
                        row = {"page_id": page.page_id, "lang": lang, "source": i, "ns": page.ns}
                        yield {**row, "title": page.title, "redirect": page.redirect, "text": page.wikitext}
            else:
                for document in read_documents(file["path"], lang=lang, ordinal=i):
                    yield {**document, "source": i}

    def parse(rows: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for row in rows:
            if (i := row["source"]) in sites:
                page = RawPage(row["page_id"], row["ns"], row["title"], row["redirect"], row["text"])
                yield from page_rows([page], site=sites[i], tally=tally)
            else:
                yield {**row, "links": [], "disambiguation": False}

    raw = context.map_files([source.path for source in sources], read, _RAW)
    return map_rows(raw.repartition(context.partitions, "lang", "page_id"), parse, table("pages").schema)


STAGE = Stage(
    table="pages",
    version=2,
    run=run,
    sources=("wikipedia.dump", "text.path"),
    needs=("wikipedia.dump", "text.path"),
    growth=1 / 3_000,
)
