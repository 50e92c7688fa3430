"""Pages to the table `linked_sentences`: hyperlinks resolved to entities of the graph."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.linking.anchors import link_page
from pipelines.context import Context
from pipelines.lookup import linker_of, read_row_groups
from pipelines.packed import Rendered, rows_of
from pipelines.spark_functions import Row, batches_of
from pipelines.title_items import TitleItems

if TYPE_CHECKING:
    from kgcorpus.linking.linker import Linker

_PAGE = ["page_id", "title", "lang", "qid", "text", "links", "blocks", "redirect"]
_PAGES_AT_ONCE = 100
_ITEMS = "items"
# Read only for mentions without a hyperlink.
_DICTIONARY = ("surfaces", "in_links", "entities")


def run_linked_sentences(context: Context) -> Rendered:
    """Resolve the links by a memory-mapped lookup, then cut and link page by page."""
    linker, scratch = _linker(context), context.scratch
    has_titles = context.has("titles")
    if has_titles:
        triples = context.inputs["triples"] if context.has("triples") else None
        with scratch.writing(_ITEMS) as folder:
            TitleItems.write(
                folder, titles=context.inputs["titles"], pages=context.inputs["pages"], triples=triples
            )
    parts = context.parts_of_row_groups("pages")

    def link(pages: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for page in pages:
            yield from link_page(page, tally=tally, linker=linker(page["lang"]))

    link_batches = batches_of(link, table("linked_sentences").schema)

    def keys(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        items = None
        if has_titles:
            with scratch.reading(_ITEMS) as folder:
                items = TitleItems.open(folder)
        pages = read_row_groups(units, _PAGE, rows=_PAGES_AT_ONCE, parts=parts)
        yield from link_batches((_resolved(batch, items, tally) for batch in pages), tally)

    return rows_of(table("linked_sentences"), context.seed, (context.row_groups("pages", parts=parts), keys))


def _linker(context: Context) -> Callable[[str], "Linker | None"]:
    """From a language to its linker; to None unless the configuration asks for names by dictionary."""
    from kgcorpus.linking.linker import lexicon_cache

    if not context.config.linking.dictionary:
        return lambda lang: None
    tables = (*_DICTIONARY, "titles", "triples")
    paths = tuple((name, tuple(context.inputs[name])) for name in tables if context.has(name))
    settings = context.config.linking
    for row in context.read("pages", "lang").distinct().collect():
        # Made once here: otherwise all workers would write the same files at once.
        linker_of(paths, row.lang, settings)
        context.scratch.share_cache(lexicon_cache(dict(paths), row.lang, config=settings))
    return lambda lang: linker_of(paths, lang, settings)


def _resolved(pages: pa.RecordBatch, items: TitleItems | None, tally: Tally) -> pa.RecordBatch:
    """The pages that are no redirects, with their own `qid`, and with a `qid` in each link.

    A link whose target has no item, or one outside the graph, has none; both are counted. A document's own
    entity is the one that it names; the title decides for all other pages.
    """
    pages = pages.filter(pc.is_null(pages.column("redirect")))
    lists, langs, qids = (pages.column(name) for name in ("links", "lang", "qid"))
    links = lists.flatten()
    targets = links.field("target")
    if items is None:
        tally_drop(tally, "link_without_item", len(links))
        found = pa.nulls(len(links), pa.string())
    else:
        places = items.find(langs.take(pc.list_parent_indices(lists)), targets)
        found = items.graph_qids(places)
        missing = int(np.count_nonzero(places < 0))
        tally_drop(tally, "link_without_item", missing)
        tally_drop(tally, "link_outside_graph", found.null_count - missing)
        titled = items.graph_qids(items.find(langs, pages.column("title")))
        if qids.null_count < len(qids):
            titled = pc.if_else(pc.is_null(qids), titled, items.graph_qids(items.find_qids(qids)))
        qids = titled
    fields = {"start": links.field("start"), "end": links.field("end"), "target": targets, "qid": found}
    linked = pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
    bounds = np.concatenate([[0], np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())])
    made = {name: pages.column(name) for name in ("page_id", "title", "lang", "text", "blocks")}
    resolved = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), linked)
    return pa.record_batch({**made, "qid": qids, "links": resolved})


def tally_drop(tally: Tally, reason: str, n: int) -> None:
    """Count drops, and write no counter of zero."""
    if n:
        tally.drop(reason, n)


STAGE = Stage(
    table="linked_sentences",
    version=13,
    run=run_linked_sentences,
    inputs=("pages",),
    optional=("titles", "triples", *_DICTIONARY),
    only_if=dict.fromkeys(_DICTIONARY, ("linking.dictionary", True)),
    params=("linking",),
    growth=20.0,
)
