"""Every file of the real samples, read by what its name says, passes or is refused with a reason."""

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import FilePart, decoded, open_input, read_records, refuse
from kgcorpus.kg.readers import parse_triple
from kgcorpus.kg.wikidata import entity_lines, facts_in, is_wikidata_dump, parse_entity, rows_in
from kgcorpus.wiki.dump import read_pages, read_site
from kgcorpus.wiki.pages import page_rows
from kgcorpus.wiki.plaintext import read_documents
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.title_dumps import is_sql, read_title_facts


def dump(path: str) -> int:
    lang = re.match(r"[a-z]{2}(?=wiki)", Path(path).name)
    with open_input(path) as head, open_input(path) as stream:
        site = read_site(head, lang=lang[0] if lang else "en")
        return sum(1 for _ in page_rows(read_pages(stream, where=path), site=site, tally=Tally()))


def sql(path: str) -> int:
    sites = {"en": Site.of("en", names={})}
    return sum(1 for _ in read_title_facts(path, langs=["en"], sites=sites, tally=Tally(), on_bad=refuse))


def wikidata(path: str) -> int:
    """Facts, and names in English and German."""
    n = 0
    for line in entity_lines(FilePart(path)):
        try:
            entity = parse_entity(decoded(line.text))
        except ValueError as bad:
            raise InputError(str(bad), where=line.where(path)) from None
        n += sum(1 for field in ("labels", "relations") for _ in rows_in(entity, field, ["en", "de"]))
        n += sum(1 for _ in facts_in(entity))
    return n


def triples(path: str) -> int:
    return sum(1 for _ in read_records(path, parse_triple, tally=Tally(), on_bad=refuse))


def text(path: str) -> int:
    return sum(1 for _ in read_documents(path, lang="en", ordinal=0))


def reader_of(path: str) -> Callable[[str], int]:
    if is_sql(path):
        return sql
    if is_wikidata_dump(path):
        return wikidata
    if re.search(r"\.xml(\.bz2)?$", path):
        return dump
    return triples if path.endswith(".tsv") else text


@pytest.fixture(scope="module")
def outcomes(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int | str]:
    """File -> records read, or why it was refused."""
    found: dict[str, int | str] = {}
    paths = list((real_data / "wiki-dump-samples").glob("*.bz2"))
    for archive in real_data.glob("wiki*-dump-samples/*.tar.xz"):
        folder = tmp_path_factory.mktemp("samples")
        with tarfile.open(archive) as tar:
            # The filter came with Python 3.11.4.
            tar.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        paths += [path for path in folder.rglob("*") if path.is_file()]
    for path in paths:
        name = "/".join(path.parts[-2:])
        try:
            found[name] = reader_of(str(path))(str(path))
        except InputError as error:
            found[name] = error.what
    return found


def test_every_sample_passes_or_is_refused_with_a_reason(outcomes: dict[str, int | str]) -> None:
    reasons = {
        r"-latest-": r"the file is not packed, though its name ends in \.gz",  # links, stored as text
        r"-(iwlinks|pagelinks|linktarget|sites)\.sql\.gz": "the file holds table",
        r"/wd_\w+\.json|/wbgetentities-|siteinfo-namespaces\.json": "this is not an entity a line",
        r"/wikidata_\w+\.tsv": "this is a header",
        r"mock-dump-(incomplete-revision|header)\.xml": "broken XML: no element found",
    }
    refused = {name: what for name, what in outcomes.items() if isinstance(what, str)}
    assert len(refused) == 43
    for name, what in refused.items():
        assert [
            what
            for pattern, reason in reasons.items()
            if re.search(pattern, name) and re.search(reason, what)
        ]


def test_what_the_samples_hold(outcomes: dict[str, int | str]) -> None:
    expected = {
        "wiki-dump-samples/bgwiki-latest-pages-articles-shortened.xml.bz2": 1,  # UTF-16; two are templates
        "wiki-dump-samples/enwiki-pages-articles-sample.xml.bz2": 3,
        "wiki-dump-samples/enwiki-table-markup.xml.bz2": 5,
        "wiki-dump-samples/tinywiki-pages-articles.xml.bz2": 8,
        "20240301/rmwiki-20240301-page.sql.gz": 4,
        "20240301/rmwiki-20240301-page_props.sql.gz": 3,
        "20240301/rmwiki-20240301-redirect.sql.gz": 3,
        "testdata/multiple-inserts.sql": 4,
        "testdata/twenty_entities.json.bz2": 301,
        "resources/sample-dump-20150815.json.gz": 149,
        "resources/mock-dump-with-bugs.json": 148,
        "resources/empty-dump.xml": 0,
    }
    assert {name: outcomes[name] for name in expected} == expected
