import bz2
import hashlib
import re
import unicodedata
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.demo.dumps import WIKIPEDIA, read_pages, wikis, write_dumps

NS = "{http://www.mediawiki.org/xml/export-0.11/}"
LANGS = ("en", "de", "fr", "ja")
LINK = re.compile(r"\[\[([^\]|]+)(?:\|[^\]]*)?\]\]")
DISAMBIGUATION = re.compile(r"\{\{(?:disambiguation|Begriffsklärung)", re.IGNORECASE)
# Pages that a real wiki might lack too: links to them must come to nothing.
RED_LINKS = {
    "en": {
        "Alexandria", "Algiers", "Bengali language", "Black Forest", "Bratislava", "Caspian Sea",
        "Curie (unit)", "Ethiopia", "Frankfurt", "Königsberg", "Lake Victoria", "Leiden", "Nanjing",
        "Prussia", "Romansh language", "Rosetta Stone", "Slovakia", "Swiss franc", "The Hague", "Turin",
    },
    "de": {"Dresden", "Marbach am Neckar"},
    "fr": set(),
    "ja": set(),
}  # fmt: skip


@dataclass(frozen=True)
class Dumped:
    title: str
    ns: str
    page_id: str
    redirect: str | None
    text: str
    declared_bytes: int
    sha1: str


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    paths = write_dumps(tmp_path_factory.mktemp("dumps"))
    return {path.name[:2]: path for path in paths}


@pytest.fixture(scope="module")
def dumps(written) -> dict[str, list[Dumped]]:
    return {lang: _parse(path) for lang, path in written.items()}


def _parse(path: Path) -> list[Dumped]:
    root = ET.fromstring(_bytes(path))
    pages = []
    for page in root.iter(f"{NS}page"):
        redirect = page.find(f"{NS}redirect")
        text = page.find(f"{NS}revision/{NS}text")
        pages.append(
            Dumped(
                title=page.findtext(f"{NS}title"),
                ns=page.findtext(f"{NS}ns"),
                page_id=page.findtext(f"{NS}id"),
                redirect=None if redirect is None else redirect.get("title"),
                text=text.text or "",
                declared_bytes=int(text.get("bytes")),
                sha1=text.get("sha1"),
            )
        )
    return pages


def _bytes(path: Path) -> bytes:
    return bz2.decompress(path.read_bytes()) if path.suffix == ".bz2" else path.read_bytes()


def _titles(lang: str) -> dict[str, str]:
    lines = (WIKIPEDIA / f"{lang}-titles.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    assert len({title for title, _ in rows}) == len({qid for _, qid in rows}) == len(rows)
    return dict(rows)


def _first_letter(title: str) -> str:
    return title[:1].upper() + title[1:]


def _links(page: Dumped, lang: str) -> set[str]:
    """The article links of a page: no files, categories, interwiki links, or links in nowiki."""
    text = re.sub(r"<nowiki>.*?</nowiki>", "", page.text)
    prefixes = {*wikis()[lang]["namespaces"].values(), *wikis()["en"]["namespaces"].values()} - {""}
    targets = {_first_letter(target.split("#")[0].strip()) for target in LINK.findall(text)}
    return {
        target
        for target in targets
        if target.split(":")[0] not in prefixes and not re.match(r"[A-Z][a-z]:", target)
    }


def _articles(dumps, lang) -> list[Dumped]:
    titles = _titles(lang)
    return [page for page in dumps[lang] if page.title in titles]


def test_the_dumps_are_named_and_compressed_as_the_demo_config_reads_them(written):
    assert {lang: path.name for lang, path in written.items()} == {
        "en": "enwiki-demo-pages-articles.xml.bz2",
        "de": "dewiki-demo-pages-articles.xml",
        "fr": "frwiki-demo-pages-articles.xml.bz2",
        "ja": "jawiki-demo-pages-articles.xml.bz2",
    }


def test_two_calls_write_equal_bytes(written, tmp_path):
    again = {path.name[:2]: path.read_bytes() for path in write_dumps(tmp_path / "again")}
    assert again == {lang: path.read_bytes() for lang, path in written.items()}


@pytest.mark.parametrize(
    ("lang", "file", "template"),
    [
        ("en", "File", "Template"),
        ("de", "Datei", "Vorlage"),
        ("fr", "Fichier", "Modèle"),
        ("ja", "ファイル", "Template"),
    ],
)
def test_siteinfo_names_the_wiki_and_its_namespaces(written, lang, file, template):
    info = ET.fromstring(_bytes(written[lang])).find(f"{NS}siteinfo")
    assert info.findtext(f"{NS}dbname") == f"{lang}wiki"
    assert info.findtext(f"{NS}case") == "first-letter"
    names = {each.get("key"): each.text or "" for each in info.iter(f"{NS}namespace")}
    assert (names["0"], names["6"], names["10"]) == ("", file, template)


@pytest.mark.parametrize("lang", LANGS)
def test_pages_survive_the_xml(dumps, lang):
    sources = read_pages(WIKIPEDIA / f"{lang}.wikitext")
    assert [(page.title, int(page.page_id), page.text) for page in dumps[lang]] == [
        (source.title, source.page_id, source.text) for source in sources
    ]
    assert (
        len({page.page_id for page in dumps[lang]})
        == len({page.title for page in dumps[lang]})
        == len(sources)
    )
    for page in dumps[lang]:
        raw = page.text.encode()
        assert page.declared_bytes == len(raw)
        assert int(page.sha1, 36) == int(hashlib.sha1(raw).hexdigest(), 16)
        assert len(page.sha1) == 31
        assert unicodedata.is_normalized("NFC", page.text), "MediaWiki stores NFC"


def test_counts(dumps):
    assert {lang: len(_articles(dumps, lang)) for lang in LANGS} == {"en": 48, "de": 7, "fr": 4, "ja": 1}
    redirects = {lang: sum(page.redirect is not None for page in dumps[lang]) for lang in LANGS}
    assert redirects == {"en": 18, "de": 4, "fr": 3, "ja": 1}
    every = [page for lang in LANGS for page in dumps[lang]]
    assert [page.title for page in every if DISAMBIGUATION.search(page.text)] == [
        "Curie",
        "Victoria",
        "Schumann",
    ]
    assert [page.title for page in every if page.ns != "0"] == ["Template:Infobox river"]
    assert [page.title for page in every if not page.text] == ["Sandbox of the rivers"]


@pytest.mark.parametrize("lang", LANGS)
def test_titles_name_no_redirect_and_no_disambiguation_page(dumps, lang):
    for page in _articles(dumps, lang):
        assert page.redirect is None, page.title
        assert not DISAMBIGUATION.search(page.text), page.title


@pytest.mark.parametrize("lang", LANGS)
def test_titles_cover_the_labels_of_the_graph(lang):
    labels = (WIKIPEDIA.parent / "graph" / "labels.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in labels]
    titles = {qid: title for title, qid in _titles(lang).items()}
    wanted = {qid: _first_letter(label) for qid, label_lang, label, *_ in rows if label_lang == lang}
    assert titles.keys() == wanted.keys()
    # Two works of one name share a label, but two pages cannot share a title.
    assert [qid for qid in titles if not titles[qid].startswith(wanted[qid])] == []


@pytest.mark.parametrize("lang", LANGS)
def test_every_link_has_a_title_or_page_or_is_red_on_purpose(dumps, lang):
    known = _titles(lang).keys() | {page.title for page in dumps[lang]}
    red = {target for page in dumps[lang] for target in _links(page, lang) if target not in known}
    assert red == RED_LINKS[lang]


@pytest.mark.parametrize("lang", LANGS)
def test_articles_link_densely(dumps, lang):
    titles = _titles(lang)
    for page in _articles(dumps, lang):
        linked = {target for target in _links(page, lang) if target in titles}
        assert len(linked) >= 6, page.title
        assert page.text.count(page.title) >= 2, page.title


def test_redirects_lead_through_two_hops_to_sections_and_in_circles(dumps):
    redirects = {page.title: page.redirect for page in dumps["en"] if page.redirect}
    assert redirects["J. W. Goethe"] == "Goethe"
    assert redirects["Goethe"] == "Johann Wolfgang von Goethe"
    assert redirects["French history"] == "France", "the redirect element names the page, not the section"
    assert redirects[redirects["Lac Léman"]] == "Lac Léman"
    assert redirects["Georgia Augusta"] == "University of Göttingen"
    local = {
        page.title: page.redirect for lang in ("de", "fr", "ja") for page in dumps[lang] if page.redirect
    }
    assert (local["Mozart"], local["Hugo"], local["源氏"]) == (
        "Wolfgang Amadeus Mozart",
        "Victor Hugo",
        "源氏物語",
    )


def test_a_source_without_pages_is_refused(tmp_path):
    source = tmp_path / "xx.wikitext"
    source.write_text("== Title ==\nText\n")
    with pytest.raises(InputError, match="no page found"):
        read_pages(source)
