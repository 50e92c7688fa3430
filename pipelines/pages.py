"""Dumps and text files to the table `pages`."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from pyspark.sql import DataFrame

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.remote import is_remote
from kgcorpus.contracts.stages import Source, Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import FilePart, Limits, PagesOfPart, open_input, size_of, split_file
from kgcorpus.wiki.documents import is_json_lines, read_linked_documents
from kgcorpus.wiki.dump import ALL_PAGES, RawPage, Readable, Stride, read_pages, read_site
from kgcorpus.wiki.multistream import PageStream, parts_of, read_index, read_streams
from kgcorpus.wiki.pages import page_rows
from kgcorpus.wiki.parquet_documents import is_parquet, read_parquet_documents, row_groups
from kgcorpus.wiki.plaintext import infer_form, read_documents
from kgcorpus.wiki.sampling import Sample
from kgcorpus.wiki.site import Site, is_same_language, language_of_dbname
from kgcorpus.wiki.wikitext.templates import read_templates
from kgcorpus.wiki.xml_encoding import HEAD_BYTES, is_utf8
from pipelines.context import Context, on_bad
from pipelines.packed import Rendered, rows_of
from pipelines.spark_functions import BatchFunction, Row, batches_of

_PACKED_BYTES_A_PART = 32 << 20
# A task parses 30 MB/s of XML, and reads 100 to 200 MB/s. So several tasks that each read a dump to its end
# and parse a share of its pages are quicker than one, up to about eight, if the dump is not small.
_MOST_READERS = 8
_BYTES_A_READER = 4 << 20


@dataclass(frozen=True)
class _Part:
    """What one task reads: a part of a file, or all of it.

    Attributes:
        file: the file, or some of its blocks.
        streams: of an indexed dump.
        groups: of rows of a Parquet file.
        ordinal: of a text, its position among the `text` entries; of a dump, its position among the dumps.
        stride: the pages to parse of a dump that several tasks read from start to end.
    """

    ordinal: int
    source: Source
    file: FilePart
    streams: Sequence[PageStream] = ()
    groups: Sequence[int] | None = None
    stride: Stride = ALL_PAGES


def run_pages(context: Context) -> Rendered:
    """Each task parses what it reads, so raw text is never shuffled."""
    dumps, texts = context.of_role("wikipedia.dump"), context.of_role("text.path")
    _check_languages(context, dumps)
    sites = _with_settings(sites_of(dumps, context.limits), context)
    parts = _parts_of_dumps(dumps, context)
    # A text's page ids, and so its splits, must not change when a dump is added.
    for ordinal, text in enumerate(texts):
        parts += _parts_of_text(ordinal, text, context)
    return rows_of(table("pages"), context.seed, _read_and_parse(context, parts, sites))


def _parts_of_dumps(dumps: Sequence[Source], context: Context) -> list[_Part]:
    indexes = _indexes(context)
    parts, whole = [], []
    for ordinal, dump in enumerate(dumps):
        part = _Part(ordinal, dump, FilePart(dump.path))
        if dump in indexes:
            streams = read_index(indexes[dump].path, dump.path, limits=context.limits)
            n = max(context.partitions, size_of(dump.path) // _PACKED_BYTES_A_PART)
            parts += [replace(part, streams=some) for some in parts_of(streams, n)]
        elif len(files := _parts_without_index(dump.path, context)) > 1:
            parts += [replace(part, file=file) for file in files]
        else:
            whole.append(part)
    tasks = -(-context.partitions // max(1, len(whole)))
    for part in whole:
        n = min(tasks, _readers_of(part.source.path))
        parts += [replace(part, stride=Stride(i, n)) for i in range(n)]
    return parts


def _parts_without_index(path: str, context: Context) -> list[FilePart]:
    """The parts of a dump; one if it is small, not .bz2, or not in UTF-8, whose tags are found in bytes."""
    with open_input(path, limits=context.limits) as stream:
        if not is_utf8(stream.peek(HEAD_BYTES)):
            return [FilePart(path)]
    return split_file(path, parts=context.partitions)


def _readers_of(path: str) -> int:
    """How many tasks may read a dump that has no parts; one if it would be fetched that many times."""
    if is_remote(path):
        return 1
    return min(_MOST_READERS, 1 + size_of(path) // _BYTES_A_READER)


def _parts_of_text(ordinal: int, text: Source, context: Context) -> list[_Part]:
    """Parts of a file with a document a line or row, unless a number of its sentences is kept.

    That needs the counts of the whole file. The division, and so a page id, depends on the file only.
    """
    part, entry = _Part(ordinal, text, FilePart(text.path)), context.config.text[ordinal]
    if is_parquet(text.path):
        if entry.sentences is not None:
            return [part]
        n = row_groups(text.path)
        borders = sorted({n * i // context.partitions for i in range(context.partitions + 1)})
        return [replace(part, groups=range(i, j)) for i, j in pairwise(borders)] or [part]
    if not is_json_lines(text.path):
        form = entry.documents or infer_form(text.path, limits=context.limits).documents
        if form == "paragraphs":
            return [part]
    files = split_file(text.path, parts=context.partitions)
    if entry.sentences is not None:
        files = [files[0].whole]
    return [replace(part, file=file) for file in files]


def sites_of(dumps: Sequence[Source], limits: Limits) -> dict[str, Site]:
    """The wiki of each language, from the head of its first dump file."""
    sites: dict[str, Site] = {}
    for dump in dumps:
        if dump.lang not in sites:
            with open_input(dump.path, limits=limits) as stream:
                sites[dump.lang] = read_site(stream, lang=dump.lang, where=dump.path)
    return sites


def _check_languages(context: Context, dumps: Sequence[Source]) -> None:
    accepted = {wiki.lang for wiki in context.config.wikipedia if wiki.other_language}
    for dump in dumps:
        check_language(dump, context.limits, accepted=accepted)


def check_language(dump: Source, limits: Limits, *, accepted: Collection[str]) -> None:
    """Read a dump's head and check its `<dbname>` against the configured language.

    Args:
        accepted: languages whose dumps may be of another wiki.

    Raises:
        InputError: the dump is of a wiki in another language, or its head cannot be read.
    """
    with open_input(dump.path, limits=limits) as stream:
        dbname = read_site(stream, lang=dump.lang, where=dump.path).dbname
    code = language_of_dbname(dbname)
    if dump.lang not in accepted and code is not None and not is_same_language(code, dump.lang):
        raise InputError(
            f"its <dbname> is {dbname}, but the configuration says lang: {dump.lang}",
            where=dump.path,
            hint=f"Set lang: {code}, or other_language: true",
        )


def _with_settings(sites: dict[str, Site], context: Context) -> dict[str, Site]:
    added: dict[str, tuple[tuple[str, str], ...]] = dict.fromkeys(sites, ())
    for source in context.of_role("wikipedia.templates"):
        added[source.lang] += read_templates(source.path, source.lang, limits=context.limits)
    variants = {wiki.lang: wiki.variant for wiki in context.config.wikipedia if wiki.variant}
    return {
        lang: replace(site, templates=added[lang], variant=variants.get(lang, ""))
        for lang, site in sites.items()
    }


def _indexes(context: Context) -> dict[Source, Source]:
    """Dump -> its index; the configuration ensures that all dumps of a language have one, or none."""
    found: dict[Source, Source] = {}
    for lang in {index.lang for index in context.of_role("wikipedia.index")}:
        dumps, indexes = (
            [source for source in context.of_role(role) if source.lang == lang]
            for role in ("wikipedia.dump", "wikipedia.index")
        )
        found.update(zip(dumps, indexes, strict=True))
    return found


def _read_and_parse(
    context: Context, parts: Sequence[_Part], sites: dict[str, Site]
) -> tuple[DataFrame, BatchFunction]:
    policy, limits = context.on_bad_input, context.limits
    keep = frozenset(context.config.extraction.keep)
    forms = [text.documents for text in context.config.text]
    link_titles = [text.link_title for text in context.config.text]
    spelled = context.config.json_spellings
    columns = [text.columns for text in context.config.text]
    seed = hash64(context.seed, "text-sample")
    samples = [Sample(text.share, text.sentences, seed) for text in context.config.text]

    def documents(part: _Part, tally: Tally) -> Iterator[Row]:
        lang, ordinal = part.source.lang, part.ordinal
        bad = on_bad(policy, tally)
        if is_json_lines(part.source.path):
            yield from read_linked_documents(
                part.file,
                lang=lang,
                ordinal=ordinal,
                sites=sites,
                languages=spelled,
                tally=tally,
                on_bad=bad,
                limits=limits,
                link_title=link_titles[ordinal],
                columns=columns[ordinal],
            )
            return
        if is_parquet(part.source.path):
            yield from read_parquet_documents(
                part.source.path,
                lang=lang,
                ordinal=ordinal,
                sites=sites,
                tally=tally,
                on_bad=bad,
                columns=columns[ordinal],
                groups=part.groups,
                limits=limits,
                languages=spelled,
                link_title=link_titles[ordinal],
            )
            return
        form = forms[ordinal]
        for document in read_documents(
            part.file, lang=lang, ordinal=ordinal, documents=form, limits=limits, on_bad=bad
        ):
            tally.good()
            yield document

    def pages_of(part: _Part, tally: Tally) -> Iterator[RawPage]:
        bad = on_bad(policy, tally)
        if part.streams:
            # It counts its pages, which may come from damaged streams.
            yield from read_streams(part.file.path, part.streams, tally=tally, limits=limits, on_bad=bad)
            return
        with _opened(part, limits) as stream:
            where = part.file.where
            for page in read_pages(stream, where=where, limits=limits, on_bad=bad, stride=part.stride):
                tally.good()
                yield page

    def read(tasks: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for task in tasks:
            part = parts[task["ordinal"]]
            if part.source.role == "text.path":
                yield from samples[part.ordinal].of(partial(documents, part), tally)
            else:
                site = sites[part.source.lang]
                yield from page_rows(pages_of(part, tally), site=site, tally=tally, keep=keep)

    files = context.files([part.source.path for part in parts])
    return files, batches_of(read, table("pages").schema)


@contextmanager
def _opened(part: _Part, limits: Limits) -> Iterator[Readable]:
    """The XML of a part of a dump without index."""
    if part.file.blocks is not None:
        yield PagesOfPart(part.file, limits=limits)
        return
    with open_input(part.file.path, limits=limits, readers=part.stride.of) as stream:
        yield stream


STAGE = Stage(
    table="pages",
    version=20,
    run=run_pages,
    sources=("wikipedia.dump", "wikipedia.index", "wikipedia.templates", "text.path"),
    needs=("wikipedia.dump", "text.path"),
    params=(
        *("limits", "extraction", "wikipedia.lang", "wikipedia.other_language"),
        "wikipedia.variant",
        *("text.documents", "text.columns", "text.share", "text.sentences", "text.link_title"),
        "json_spellings",
    ),
    growth=1 / 3_000,
)
