"""Titles files, SQL dumps and the pages' own redirects to the table `titles`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from kgcorpus.contracts.arrays import Bools
from kgcorpus.contracts.shards import read_batches
from kgcorpus.contracts.stages import Stage
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import read_records
from kgcorpus.kg.readers import parse_title
from kgcorpus.wiki.documents import ITEM_PREFIX, is_json_lines
from kgcorpus.wiki.parquet_documents import is_parquet
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.title_dumps import is_sql, join_facts, read_title_facts
from pipelines.context import Context, on_bad
from pipelines.lookup import read_row_groups
from pipelines.packed import Rendered, counter_source
from pipelines.pages import sites_of
from pipelines.redirects import Redirects
from pipelines.scratch import Scratch
from pipelines.spark_functions import COUNTERS, BatchFunction, Row, group_rows, without_secrets

PART = pa.schema(
    [
        ("lang", pa.string()),
        ("title", pa.string()),
        ("qid", pa.string()),
        ("via", pa.string()),
        ("target", pa.string()),
        ("disambiguation", pa.bool_()),
    ]
)
_FACT = PART.append(pa.field("page_id", pa.int64()))
_KEYS = pa.schema([field for field in PART if field.name != "target"])
_COUNTED = pa.schema([*PART, *COUNTERS])
_WRITTEN = COUNTERS.append(pa.field("part", pa.string()))
# Names in the scratch space: of the redirects, and of the file in each part of `_writing`.
_REDIRECTS, _ROWS = "redirects", "rows.arrow"
_PAGE = ["lang", "title", "redirect", "disambiguation"]
_DOCUMENT = [*_PAGE, "page_id", "qid", "links"]


def run_titles(context: Context) -> Rendered:
    """A title's own item wins over a redirect; a disambiguation page has no entity."""
    scratch = context.scratch
    sites = sites_of(context.of_role("wikipedia.dump"), context.limits)
    written = _given(context, sites).mapInArrow(_writing(scratch), from_arrow_schema(_WRITTEN)).collect()
    given = sorted(row.part for row in written if row.part)
    counters = [{name: row[name] for name in COUNTERS.names} for row in written if not row.part]
    texts = [text.path for text in context.of_role("text.path")]
    columns = _DOCUMENT if any(is_json_lines(path) or is_parquet(path) for path in texts) else _PAGE
    pages = (page for path in context.inputs["pages"] for page in read_batches(path, columns))
    with scratch.writing(_REDIRECTS) as folder:
        Redirects.write(folder, chain(_read(scratch, given), _parts(pages, sites, Tally())))

    def of_files(files: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        redirects = _redirects(scratch)
        for file in files:
            for part in _read(scratch, file.column("path").to_pylist()):
                yield followed(part, redirects)

    def of_pages(units: Iterator[pa.RecordBatch], tally: Tally) -> Iterator[pa.RecordBatch]:
        redirects = _redirects(scratch)
        for part in _parts(read_row_groups(units, columns), sites, tally):
            yield followed(part, redirects)

    sources: list[tuple[DataFrame, BatchFunction]] = [
        (context.files(given), of_files),
        (context.row_groups("pages"), of_pages),
    ]
    if counters:
        sources.append(counter_source(context.spark, counters))
    return Rendered(sources=sources, schema=_KEYS, by=["lang", "title"], render=choose_titles)


def _writing(scratch: Scratch) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the function that writes rows of `PART` to the scratch space, a part for each task.

    Its rows are those of `_WRITTEN`: the counters, and the name of the part.
    """

    @without_secrets
    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = TaskContext.get()
        part = f"given/{task.partitionId() if task else 0:06d}"
        with scratch.writing(part) as folder, pa.ipc.new_file(str(folder / _ROWS), PART) as file:
            for batch in batches:
                is_row = pc.is_null(batch.column("_counter"))
                file.write_batch(batch.filter(is_row).select(PART.names))
                counters = batch.filter(pc.invert(is_row)).select(COUNTERS.names)
                yield counters.append_column("part", pa.nulls(len(counters), pa.string()))
        yield pa.RecordBatch.from_pylist([{"part": part}], schema=_WRITTEN)

    return write


def _read(scratch: Scratch, parts: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Rows of `PART` in parts of `_writing`."""
    for part in parts:
        with scratch.reading(part) as folder, pa.memory_map(str(folder / _ROWS)) as mapped:
            found = pa.ipc.open_file(mapped)
            for number in range(found.num_record_batches):
                yield found.get_batch(number)


def _redirects(scratch: Scratch) -> Redirects:
    with scratch.reading(_REDIRECTS) as folder:
        return Redirects.open(folder)


def _parts(
    pages: Iterable[pa.RecordBatch], sites: Mapping[str, Site], tally: Tally
) -> Iterator[pa.RecordBatch]:
    """What pages say of titles: rows of `PART`."""
    for batch in pages:
        ambiguous = batch.filter(batch.column("disambiguation"))
        yield _rows(ambiguous, via="page", disambiguation=True)
        redirects = batch.filter(pc.is_valid(batch.column("redirect")))
        yield _rows(redirects, via="redirect", target=redirects.column("redirect"))
        if "links" in batch.schema.names:
            yield from _named_items(batch.filter(pc.less(batch.column("page_id"), 0)), sites, tally)


def _named_items(
    documents: pa.RecordBatch, sites: Mapping[str, Site], tally: Tally
) -> Iterator[pa.RecordBatch]:
    """The items that JSON lines name in the place of a title, and those of titled documents."""
    is_named = pc.and_(pc.is_valid(documents.column("qid")), pc.not_equal(documents.column("title"), ""))
    own = [
        row
        for named in documents.filter(is_named).select(["lang", "title", "qid"]).to_pylist()
        for row in _of_article(named, sites.get(named["lang"]) or Site.of(named["lang"], names={}), tally)
    ]
    yield pa.RecordBatch.from_pylist(own, schema=PART)
    lists = documents.column("links")
    langs = documents.column("lang").take(pc.list_parent_indices(lists))
    linked = pa.record_batch({"lang": langs, "title": lists.flatten().field("target")})
    linked = linked.filter(pc.starts_with(linked.column("title"), ITEM_PREFIX))
    items = pc.utf8_slice_codeunits(linked.column("title"), len(ITEM_PREFIX))
    yield _rows(linked, via="link", qid=items)


def _rows(
    titles: pa.RecordBatch,
    *,
    via: str,
    qid: pa.Array | None = None,
    target: pa.Array | None = None,
    disambiguation: bool = False,
) -> pa.RecordBatch:
    """Rows of `PART` of the titles in the columns lang and title."""
    n = len(titles)
    nulls = pa.nulls(n, pa.string())
    return pa.RecordBatch.from_arrays(
        [
            *(titles.column(name) for name in ("lang", "title")),
            nulls if qid is None else qid,
            pa.array([via] * n, pa.string()),
            nulls if target is None else target,
            pa.array(np.full(n, disambiguation)),
        ],
        schema=PART,
    )


def followed(part: pa.RecordBatch, redirects: Redirects) -> pa.RecordBatch:
    """Rows of `_KEYS`: a redirect with the item of the page at which it ends."""
    target = part.column("target")
    items = part.column("qid")
    if target.null_count < len(target):
        ends = pc.if_else(pc.is_valid(target), redirects.items_of(part.column("lang"), target), None)
        items = pc.if_else(pc.is_valid(target), ends, items)
    return part.set_column(2, "qid", items).drop_columns("target")


def choose_titles(parts: pa.RecordBatch, tally: Tally) -> Iterator[pa.RecordBatch]:
    """One row a title: the first of its parts, own items before redirects, unless it is ambiguous."""
    if not len(parts):
        return
    is_redirect = pc.equal(parts.column("via"), "redirect")
    parts = parts.append_column("is_redirect", is_redirect)
    by = ("lang", "title", "is_redirect", "qid", "via")
    order = pc.sort_indices(parts, sort_keys=[(name, "ascending") for name in by], null_placement="at_start")
    parts = parts.take(order)
    first = np.flatnonzero(_differs(parts, "lang", "title"))
    of_group = np.cumsum(_differs(parts, "lang", "title")) - 1
    ambiguous = np.maximum.reduceat(_bools(parts.column("disambiguation")), first)
    best = parts.take(pa.array(first))
    without = _bools(pc.is_null(best.column("qid"))) & ~ambiguous
    own = np.flatnonzero(_bools(pc.equal(parts.column("via"), "item")))
    items = parts.take(pa.array(own))
    distinct = np.bincount(of_group[own][_differs(items, "lang", "title", "qid")], minlength=len(first))
    kept = ~ambiguous & ~without
    for name, n in (("disambiguation", ambiguous.sum()), ("redirect_without_item", without.sum())):
        if n:
            tally.drop(name, int(n))
    if several := int((distinct[kept] > 1).sum()):
        tally.count("title_with_several_items", several)
    yield best.filter(pa.array(kept))


def _differs(rows: pa.RecordBatch, *names: str) -> Bools:
    """[n] whether a row differs from the one before it in one of the columns; the first one does."""
    found = np.ones(len(rows), bool)
    if len(rows) > 1:
        columns = (rows.column(name).fill_null("") for name in names)
        alike = [pc.equal(column.slice(1), column.slice(0, len(column) - 1)) for column in columns]
        found[1:] = ~_bools(reduce(pc.and_, alike))
    return found


def _bools(column: pa.Array) -> Bools:
    return column.to_numpy(zero_copy_only=False)


def _given(context: Context, sites: Mapping[str, Site]) -> DataFrame:
    """What the titles files say: rows of `PART`, and the counters."""
    policy, limits = context.on_bad_input, context.limits
    sources = context.of_role("wikipedia.titles")
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
                    yield from _of_article({"lang": lang, **row._asdict()}, sites[lang], tally)

    facts = context.map_files(list(languages), parse, _FACT)
    if not any(is_sql(source.path) for source in sources):
        return facts.select(*_COUNTED.names)
    facts = context.stored(facts, "facts")
    joined = group_rows(facts.where("page_id is not null"), ["lang", "page_id"], join_facts, PART)
    return facts.where("page_id is null").select(*_COUNTED.names).unionByName(joined)


def _of_article(row: Row, site: Site, tally: Tally) -> Iterator[Row]:
    """A title's own item, unless a prefix says that the title is in another namespace or wiki."""
    title = site.article(row["title"])
    if title is None:
        tally.drop("title_of_no_article")
    else:
        yield {**row, "title": title, "via": "item", "disambiguation": False}


STAGE = Stage(
    table="titles",
    version=8,
    run=run_titles,
    inputs=("pages",),
    sources=("wikipedia.titles", "wikipedia.dump", "text.path"),
    needs=("wikipedia.titles", "text.path"),
    params=("limits",),
)
