import io
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally
from kgcorpus.wiki.dump import read_pages, read_site
from kgcorpus.wiki.pages import page_rows
from kgcorpus.wiki.urls import revision_url

WIKIPEDIA = "https://de.wikipedia.org/wiki/Wikipedia:Hauptseite"


@pytest.mark.parametrize(
    ("base", "title", "url"),
    [
        (WIKIPEDIA, "A b", "https://de.wikipedia.org/w/index.php?title=A_b&oldid=5"),
        (WIKIPEDIA, "Straße", "https://de.wikipedia.org/w/index.php?title=Stra%C3%9Fe&oldid=5"),
        (
            WIKIPEDIA,
            "C++ & 50 %?",
            "https://de.wikipedia.org/w/index.php?title=C%2B%2B_%26_50_%25%3F&oldid=5",
        ),
        (WIKIPEDIA, "AC/DC (Band)", "https://de.wikipedia.org/w/index.php?title=AC/DC_(Band)&oldid=5"),
        ("//en.wikipedia.org/wiki/X", "A", "https://en.wikipedia.org/w/index.php?title=A&oldid=5"),
        ("https://muppet.fandom.com/wiki/X", "A?", "https://muppet.fandom.com/wiki/A%3F?oldid=5"),
        ("http://localhost:80/w/index.php/Main_Page", "A", "http://localhost:80/w/index.php?title=A&oldid=5"),
        ("http://wiki.example/index.php?title=Main", "A", "http://wiki.example/index.php?title=A&oldid=5"),
        ("https://me:secret@wiki.example/Main", "A", "https://wiki.example/A?oldid=5"),
        ("file:///etc/passwd", "A", None),
        ("javascript:alert(1)", "A", None),
        ("https://[x", "A", None),
        ("", "A", None),
    ],
)
def test_the_url_of_a_revision(base, title, url):
    assert revision_url(base, title, 5) == url
    assert revision_url(base, title, None) is None


@given(st.text(min_size=1))
def test_any_title_comes_back_from_its_url(title):
    written = title.encode("utf-8", "replace").decode().replace(" ", "_")
    parts = urlsplit(revision_url(WIKIPEDIA, written, 12))
    query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)
    assert (parts.path, query) == ("/w/index.php", {"title": [written], "oldid": ["12"]})
    other = urlsplit(revision_url("https://wiki.example/wiki/Main", written, 12))
    assert (unquote(other.path), other.query) == (f"/wiki/{written}", "oldid=12")


@pytest.mark.parametrize(
    ("info", "url"),
    [
        (f"<base>{WIKIPEDIA}</base>", "https://de.wikipedia.org/w/index.php?title=A_b&oldid=8"),
        ("<dbname>zh_yuewiki</dbname>", "https://zh-yue.wikipedia.org/w/index.php?title=A_b&oldid=8"),
        ("<dbname>frwiktionary</dbname>", "https://fr.wiktionary.org/w/index.php?title=A_b&oldid=8"),
        ("<dbname>mywiki_example</dbname>", None),
        ("", None),
    ],
)
def test_a_row_of_pages_has_its_revision(info, url):
    dump = (
        f"<mediawiki><siteinfo>{info}<namespaces><namespace key='6'>File</namespace></namespaces></siteinfo>"
        "<page><title>A b</title><ns>0</ns><id>1</id>"
        "<revision><id>7</id><timestamp>2019-01-01T00:00:00Z</timestamp><text>Old.</text></revision>"
        "<revision><id>8</id><timestamp>2020-01-01T00:00:00Z</timestamp><text>New.</text></revision>"
        "</page></mediawiki>"
    ).encode()
    site = read_site(io.BytesIO(dump), lang="en")
    (row,) = page_rows(read_pages(io.BytesIO(dump), where="d"), site=site, tally=Tally())
    assert (row["text"], row["revision"], row["time"]) == ("New.", 8, "2020-01-01T00:00:00Z")
    assert row["url"] == url
