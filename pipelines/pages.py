"""Dumps and text files to the table `pages`."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import pyarrow as pa
from pyspark.sql import DataFrame

from kgcorpus.contracts.draws import hash64
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.stages import Source, Stage
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import FilePart, Limits, PagesOfPart, open_input, size_of, split_file
from kgcorpus.wiki.documents import is_json_lines, read_linked_documents
from kgcorpus.wiki.dump import RawPage, read_pages, read_site
from kgcorpus.wiki.multistream import PageStream, parts_of, read_index, read_streams
from kgcorpus.wiki.pages import page_rows
from kgcorpus.wiki.parquet_documents import is_parquet, read_parquet_documents, row_groups
from kgcorpus.wiki.plaintext import read_documents
from kgcorpus.wiki.sampling import Sample
from kgcorpus.wiki.site import Site, is_same_language, language_of_dbname
from kgcorpus.wiki.wikitext.templates import read_templates
from kgcorpus.wiki.xml_encoding import HEAD_BYTES, is_utf8
from pipelines.context import Context, on_bad
from pipelines.kernels import BatchFunction, Row, batches_of
from pipelines.packed import Rendered, rows_of

_PACKED_BYTES_A_PART = 32 << 20
_RAW = pa.schema(
    [
        ("page_id", pa.int64()),
        ("lang", pa.string()),
        ("ns", pa.int32()),
        ("title", pa.string()),
        ("redirect", pa.string()),
        ("wikitext", pa.string()),
        ("is_wikitext", pa.bool_()),
        ("revision", pa.int64()),
        ("time", pa.string()),
    ]
)


@dataclass(frozen=True)
class _Part:
    """What one task reads: a part of a file, or all of it.

    Attributes:
        streams: of an indexed dump.
        blocks: of another big dump.
        groups: of rows of a Parquet file.
        ordinal: of a text, its position among the `text` entries; of a dump, its position among the dumps.
    """

    ordinal: int
    source: Source
    streams: Sequence[PageStream] = ()
    blocks: FilePart | None = None
    groups: Sequence[int] | None = None


def run(context: Context) -> Rendered:
    """Parts of indexed dumps and of big .bz2 files are parsed where they are read; others are split once."""
    dumps, texts = context.of_role("wikipedia.dump"), context.of_role("text.path")
    _check_languages(context, dumps)
    sites = _with_settings(sites_of(dumps, context.limits), context)
    indexes = _indexes(context)
    parts, whole = [], []
    for ordinal, dump in enumerate(dumps):
        if dump in indexes:
            streams = read_index(indexes[dump].path, dump.path, limits=context.limits)
            n = max(context.partitions, size_of(dump.path) // _PACKED_BYTES_A_PART)
            parts += [_Part(ordinal, dump, part) for part in parts_of(streams, n)]
        elif len(blocks := _parts_without_index(dump.path, context)) > 1:
            parts += [_Part(ordinal, dump, blocks=part) for part in blocks]
        else:
            whole.append(_Part(ordinal, dump))
    # A text's page ids, and so its splits, must not change when a dump is added.
    for ordinal, text in enumerate(texts):
        parts += _parts_of_text(ordinal, text, context)
    makers = ((_read_and_parse, parts), (_read_then_parse, whole))
    return rows_of(
        table("pages"), context.seed, *(make(context, tasks, sites) for make, tasks in makers if tasks)
    )


def _parts_without_index(path: str, context: Context) -> list[FilePart]:
    """The parts of a dump; one if it is small, not .bz2, or not in UTF-8, whose tags are found in bytes."""
    with open_input(path, limits=context.limits) as stream:
        if not is_utf8(stream.peek(HEAD_BYTES)):
            return [FilePart(path)]
    return split_file(path, parts=context.partitions)


def _parts_of_text(ordinal: int, text: Source, context: Context) -> list[_Part]:
    """Groups of rows of a Parquet file, unless a number of its sentences is kept: that needs the whole."""
    if not is_parquet(text.path) or context.config.text[ordinal].sentences is not None:
        return [_Part(ordinal, text)]
    n = row_groups(text.path)
    borders = sorted({n * i // context.partitions for i in range(context.partitions + 1)})
    return [_Part(ordinal, text, groups=range(i, j)) for i, j in pairwise(borders)] or [_Part(ordinal, text)]


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
        path, lang, ordinal = part.source.path, part.source.lang, part.ordinal
        bad = on_bad(policy, tally)
        if is_json_lines(path):
            yield from read_linked_documents(
                path,
                lang=lang,
                ordinal=ordinal,
                sites=sites,
                languages=spelled,
                tally=tally,
                on_bad=bad,
                limits=limits,
                link_title=link_titles[ordinal],
            )
            return
        if is_parquet(path):
            yield from read_parquet_documents(
                path,
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
            path, lang=lang, ordinal=ordinal, documents=form, limits=limits, on_bad=bad
        ):
            tally.good()
            yield document

    def read(tasks: Iterator[Row], tally: Tally) -> Iterator[Row]:
        bad = on_bad(policy, tally)
        for task in tasks:
            part = parts[task["ordinal"]]
            if part.streams:
                pages = read_streams(part.source.path, part.streams, tally=tally, limits=limits, on_bad=bad)
                yield from page_rows(pages, site=sites[part.source.lang], tally=tally, keep=keep)
            elif part.blocks:
                xml = PagesOfPart(part.blocks, limits=limits)
                pages = read_pages(xml, where=part.blocks.where, limits=limits, on_bad=bad)
                yield from page_rows(
                    _counted(pages, tally), site=sites[part.source.lang], tally=tally, keep=keep
                )
            else:
                yield from samples[part.ordinal].of(partial(documents, part), tally)

    files = context.files([part.source.path for part in parts])
    return files, batches_of(read, table("pages").schema)


def _counted(pages: Iterator[RawPage], tally: Tally) -> Iterator[RawPage]:
    for page in pages:
        tally.good()
        yield page


def _read_then_parse(
    context: Context, parts: Sequence[_Part], sites: dict[str, Site]
) -> tuple[DataFrame, BatchFunction]:
    policy, limits = context.on_bad_input, context.limits
    keep = frozenset(context.config.extraction.keep)

    def read(files: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for file in files:
            lang = parts[file["ordinal"]].source.lang
            with open_input(file["path"], limits=limits) as stream:
                pages = read_pages(stream, where=file["path"], limits=limits, on_bad=on_bad(policy, tally))
                for page in _counted(pages, tally):
                    yield {
                        "lang": lang,
                        **{name: getattr(page, name) for name in RawPage.__slots__},
                    }

    def parse(rows: Iterator[Row], tally: Tally) -> Iterator[Row]:
        for row in rows:
            site = sites[row.pop("lang")]
            page = RawPage(**row)
            yield from page_rows([page], site=site, tally=tally, keep=keep)

    raw = context.map_files([part.source.path for part in parts], read, _RAW)
    # It may take hours to unpack a dump: this is done once.
    spread = raw.repartition(context.partitions, "lang", "page_id")
    return context.stored(spread, "raw-pages"), batches_of(parse, table("pages").schema)


STAGE = Stage(
    table="pages",
    version=19,
    run=run,
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
