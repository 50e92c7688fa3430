"""One page far larger than the others: what it costs is stated here, and stays linear."""

import tracemalloc
from collections.abc import Callable

import pytest

from kgcorpus.contracts.tally import Tally
from kgcorpus.linking.anchors import link_page
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import parse

SITE = Site.of("en", names={})
MIB = 1 << 20


def long_article(n: int) -> str:
    line = "In {year} the [[city {i}|city]] of '''Rome''' grew by {{{{convert|{i}|km}}}}.<ref>x</ref>\n\n"
    return "".join(line.format(year=1000 + i % 999, i=i) for i in range(n))


def one_paragraph(n: int) -> str:
    return "A word of Mr. Smith and more " * n


def list_of_links(n: int) -> str:
    return "".join(f"* [[Item {i}|the item {i}]]\n" for i in range(n))


def one_line_of_links(n: int) -> str:
    return " ".join(f"[[Item {i}]]" for i in range(n))


def linked(wikitext: str) -> int:
    """Mentions of a page whose links all have an item."""
    article = parse(wikitext, SITE)
    links = [{**link._asdict(), "qid": f"Q{i}"} for i, link in enumerate(article.links, start=2)]
    page = {"page_id": 1, "title": "X", "lang": "en", "text": article.text, "links": links, "qid": "Q1"}
    return sum(len(row["mentions"]) for row in link_page(page, tally=Tally(), linker=None))


@pytest.mark.parametrize(
    ("page", "n", "mentions", "mib"),
    [(long_article, 24_000, 24_000, 40), (one_paragraph, 72_000, 0, 120)],
)
def test_a_page_of_two_megabytes(page: Callable[[int], str], n: int, mentions: int, mib: int) -> None:
    wikitext = page(n)
    assert len(wikitext) > 2_000_000
    tracemalloc.start()
    found = linked(wikitext)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == mentions
    assert peak < mib * MIB


@pytest.mark.parametrize("page", [list_of_links, one_line_of_links])
def test_a_page_with_fifty_thousand_links(page: Callable[[int], str]) -> None:
    tracemalloc.start()
    found = linked(page(50_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == 50_000
    assert peak < 100 * MIB
