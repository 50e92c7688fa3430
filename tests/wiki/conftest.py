"""Wikis of the tests, and the real dumps."""

import tarfile
from pathlib import Path

import pytest

from kgcorpus.inputs import open_input
from kgcorpus.wiki.dump import RawPage, read_pages, read_site
from kgcorpus.wiki.site import Site


@pytest.fixture(scope="session")
def english() -> Site:
    return Site.of("en", names={})


@pytest.fixture(scope="session")
def german() -> Site:
    return Site.of("de", names={"Datei": 6, "Kategorie": 14, "Diskussion": 1})


@pytest.fixture(scope="session")
def demo(real_data: Path) -> tuple[Site, list[RawPage]]:
    """(site, pages) of 24 articles and 100 redirects."""
    path = str(real_data / "demo-small" / "enwiki-24articles.xml.bz2")
    with open_input(path) as head, open_input(path) as stream:
        return read_site(head, lang="en"), list(read_pages(stream, where=path))


@pytest.fixture(scope="session")
def samples(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Some 70 raw pages of wikitext."""
    folder = tmp_path_factory.mktemp("wikitext")
    with tarfile.open(real_data / "wiki-dump-samples" / "wtf_wikipedia-cache-wikitext.tar.xz") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:  # Before Python 3.11.4.
            archive.extractall(folder)
    return {path.stem: path.read_text(errors="replace") for path in sorted(folder.rglob("*.txt"))}
