"""One page or name far larger than the others: what it costs is stated here, and stays linear."""

import tracemalloc
from collections.abc import Callable

import pyarrow as pa
import pytest

from kgcorpus.config import LinkingConfig
from kgcorpus.contracts.tally import Tally
from kgcorpus.linking.anchors import link_page
from kgcorpus.linking.lexicon import Lexicon, build_lexicon
from kgcorpus.linking.linker import Linker
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import parse

pytestmark = pytest.mark.slow
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


def lexicon(n: int, *, links_of_first: int) -> Lexicon:
    """Mercury stands for n entities, Venus for one."""
    targets = [{"target": f"Q{i}", "links": links_of_first if i == 1 else 1} for i in range(1, n + 1)]
    links = [links_of_first + n - 1, 5]
    surfaces = {"surface": ["Mercury", "Venus"], "links": links, "occurrences": links}
    qids = [f"Q{i}" for i in range(1, n + 1)]
    return build_lexicon(
        "en",
        surfaces=pa.table({**surfaces, "targets": [targets, [{"target": "Q1", "links": 5}]]}),
        names=pa.table(
            {"surface": ["Mercury"] * n, "target": qids, "titled": [False] * n, "main": [False] * n}
        ),
        in_links=pa.table({"target": qids, "pages": [[i % 1000, 1000 + i % 7] for i in range(n)]}),
        triples=pa.table({"h": qids[:-1], "t": qids[1:]}),
        config=LinkingConfig(),
    )


# A candidate below the share `tau` is never weighed, so that a name has at most 1 / tau of them.
@pytest.mark.parametrize(("links_of_first", "mentions"), [(1, 1000), (1_000_000, 2000)])
def test_a_name_of_a_hundred_thousand_entities(links_of_first: int, mentions: int) -> None:
    text = "Mercury and Venus are hot. " * 1000
    # Compiled before anything is measured.
    Linker(lexicon(3, links_of_first=2), LinkingConfig()).candidates(text)
    tracemalloc.start()
    linker = Linker(lexicon(100_000, links_of_first=links_of_first), LinkingConfig())
    held, building = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    found = linker.candidates(text)
    linking = tracemalloc.get_traced_memory()[1] - held
    tracemalloc.stop()
    assert len(found) == mentions
    assert building < 80 * MIB
    assert linking < 2 * MIB
