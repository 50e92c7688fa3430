import io
import tracemalloc

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import Limits, open_input
from kgcorpus.wiki.dump import RawPage, read_pages, read_site

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="de"><siteinfo>
<dbname>dewiki</dbname><case>first-letter</case><namespaces>
<namespace key="6" case="first-letter">Datei</namespace><namespace key="0" case="first-letter" />
</namespaces></siteinfo>"""
PAGE = """<page><title>{title}</title><ns>0</ns><id>{n}</id>{redirect}<revision><id>99</id>
<contributor><username>x</username><id>7</id></contributor><comment>c</comment>{text}</revision></page>"""


def page(n=1, title="A &amp; B", text='<text xml:space="preserve">a &lt;b&gt;\nc</text>', redirect=""):
    return PAGE.format(n=n, title=title, text=text, redirect=redirect)


def read(xml):
    data = xml if isinstance(xml, bytes) else xml.encode()
    return list(read_pages(io.BytesIO(data), where="d.xml"))


def test_a_page():
    assert read(HEAD + page() + "</mediawiki>") == [RawPage(1, 0, "A & B", None, "a <b>\nc", revision=99)]


def test_a_redirect_and_a_page_without_text():
    redirect = page(2, redirect='<redirect title="C" />', text="<text />")
    without = page(3, text="")
    pages = read(HEAD + redirect + without + "</mediawiki>")
    assert [(p.page_id, p.redirect, p.wikitext) for p in pages] == [(2, "C", ""), (3, None, "")]


@pytest.mark.parametrize(
    ("elements", "is_wikitext"),
    [
        ("", True),
        ("<model>wikitext</model><format>text/x-wiki</format>", True),
        ("<model>wikitext</model>", True),
        ("<model>json</model><format>application/json</format>", False),
        ("<model>Scribunto</model><format>text/plain</format>", False),
        ("<model>wikibase-item</model>", False),
        ("<format>text/css</format>", False),
    ],
)
def test_the_content_model_of_a_page(elements, is_wikitext):
    (found,) = read(HEAD + page(text=elements + "<text>a</text>") + "</mediawiki>")
    assert (found.wikitext, found.is_wikitext) == ("a", is_wikitext)


def revision(text, *, at="", number=None):
    stamp = f"<timestamp>{at}</timestamp>" if at else ""
    return f"<revision>{'' if number is None else f'<id>{number}</id>'}{stamp}{text}</revision>"


OLD = revision("<text>old</text>", at="2019-12-31T23:59:59Z", number=900)
NEW = revision("<text>new</text>", at="2020-01-01T00:00:00Z", number=7)
WITHOUT_TEXT = revision("<comment>hidden</comment>", at="2021-01-01T00:00:00Z", number=8)


@pytest.mark.parametrize(
    ("revisions", "text", "taken"),
    [
        ([OLD, NEW], "new", (7, "2020-01-01T00:00:00Z")),
        ([NEW, OLD], "new", (7, "2020-01-01T00:00:00Z")),
        ([OLD, NEW, WITHOUT_TEXT], "", (8, "2021-01-01T00:00:00Z")),
        ([WITHOUT_TEXT, NEW, OLD], "", (8, "2021-01-01T00:00:00Z")),
        (
            [OLD, revision("<text deleted='deleted' />", at="2021-01-01T00:00:00Z", number=9), NEW],
            "",
            (9, "2021-01-01T00:00:00Z"),
        ),
        # One second: the higher id.
        (
            [revision(f"<text>{n}</text>", at="2020-01-01T00:00:00Z", number=n) for n in (9, 10, 8)],
            "10",
            (10, "2020-01-01T00:00:00Z"),
        ),
        ([revision(f"<text>{n}</text>", number=n) for n in (2, 11, 3)], "11", (11, None)),
        # Neither: as in the order of the file.
        ([revision("<text>one</text>"), revision("<text>two</text>")], "two", (None, None)),
        (
            [OLD, NEW, "<upload><timestamp>2030-01-01T00:00:00Z</timestamp><id>99</id></upload>"],
            "new",
            (7, "2020-01-01T00:00:00Z"),
        ),
        ([revision("<text>x</text>", at="yesterday", number=-1)], "x", (None, None)),
        ([], "", (None, None)),
    ],
)
def test_the_latest_revision_of_a_history_counts(revisions, text, taken):
    head = "<page><title>A</title><ns>0</ns><id>3</id>"
    (found,) = read(HEAD + head + "".join(revisions) + "</page></mediawiki>")
    assert (found.page_id, found.title, found.wikitext) == (3, "A", text)
    assert (found.revision, found.time) == taken


def test_the_limit_is_for_one_revision_and_not_for_the_history():
    half = "x" * (600 << 10)
    pages = [
        f"<page><title>{n}</title><id>{n}</id>"
        + "".join(revision(f"<text>{text}</text>", number=i) for i, text in enumerate(texts))
        + "</page>"
        for n, texts in enumerate([(half, half, "last"), (half + half, "last"), ("first", half + half)])
    ]
    bad = []
    xml = (HEAD + "".join(pages) + "</mediawiki>").encode()
    found = list(read_pages(io.BytesIO(xml), where="d", on_bad=bad.append, limits=Limits(record_mib=1)))
    assert [(p.page_id, p.wikitext) for p in found] == [(0, "last"), (1, "last")]
    assert [("longer than 1 MiB" in record.reason) for record in bad] == [True]


@pytest.mark.parametrize(
    "encoding",
    ["GBK", "gb2312", "GB18030", "Big5", "Shift_JIS", "EUC-JP", "euc-kr", "UTF-16", "utf-8", "UTF8"],
)
def test_dumps_in_the_encoding_that_they_declare(encoding):
    title = "서울" if encoding == "euc-kr" else "上海"
    head = HEAD.replace("Datei", title)
    # Longer than a chunk, so that a character is cut by one.
    text = f"<text>{title * 300_000}</text>"
    xml = f"<?xml version='1.0' encoding='{encoding}'?>{head}{page(title=title, text=text)}</mediawiki>"
    data = xml.encode(encoding)
    assert read(data) == [RawPage(1, 0, title, None, title * 300_000, revision=99)]
    assert read_site(io.BytesIO(data), lang="zh").namespaces[title] == 6


@pytest.mark.parametrize(
    ("declaration", "body", "message"),
    [
        ("", "上海".encode("gbk"), "broken XML"),
        ("<?xml version='1.0' encoding='GBK'?>", b"\xff\xff", "declares the encoding GBK, but holds other"),
        ("<?xml version='1.0' encoding='hex'?>", b"", "encoding hex, which is not read"),
        ("<?xml version='1.0' encoding='no-such'?>", b"", "encoding no-such, which is not read"),
        ("<?xml version='1.0' encoding='UTF-7'?>", b"", "encoding UTF-7, which is not read"),
        ("<?xml version='1.0'" + " " * 600 + "encoding='GBK'?>", "上海".encode("gbk"), "cannot be decoded"),
    ],
)
def test_another_encoding_is_a_plain_error(declaration, body, message):
    data = declaration.encode() + b"<mediawiki><page><title>" + body
    for reader in (lambda stream: list(read_pages(stream, where="d")), lambda s: read_site(s, lang="en")):
        with pytest.raises(InputError, match=message):
            reader(io.BytesIO(data))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_byte_order_marks(encoding):
    declared = '<?xml version="1.0"?>' + HEAD + page(title="Ä𐍈") + "</mediawiki>"
    assert read(declared.encode(encoding))[0].title == "Ä𐍈"


def test_read_site():
    site = read_site(io.BytesIO((HEAD + "<page>broken").encode()), lang="de")
    assert (site.lang, site.dbname, site.first_letter) == ("de", "dewiki", True)
    assert site.namespace_of("datei:X") == site.namespace_of("File:X") == 6


def test_a_dump_without_siteinfo_is_refused_unless_english():
    headless = b"<mediawiki>" + page().encode() + b"</mediawiki>"
    assert read_site(io.BytesIO(headless), lang="en").namespace_of("Image:X") == 6
    with pytest.raises(InputError, match="siteinfo"):
        read_site(io.BytesIO(headless), lang="nl")


def test_broken_xml_gives_the_pages_before_it_and_the_line():
    stream = read_pages(io.BytesIO((HEAD + page() + "\n<page><title>x</page>").encode()), where="d.xml")
    assert next(stream).page_id == 1
    with pytest.raises(InputError, match=r"d\.xml, line 7.*mismatched tag"):
        next(stream)


def test_truncated_xml():
    with pytest.raises(InputError, match="no element found"):
        read(HEAD + page())


@pytest.mark.parametrize("xml", [HEAD + "<page><title>x</title></page>", HEAD + page(n="x")])
def test_a_page_without_an_id(xml):
    with pytest.raises(InputError, match="line"):
        read(xml)


@pytest.mark.parametrize(
    "xml",
    [
        b"<html><head><title>404</title></head></html>",
        b"<!DOCTYPE html><html></html>",
        b"<feed><doc><title>A</title></doc></feed>",
        b'<m:mediawiki xmlns:m="x"></m:mediawiki>',
    ],
)
def test_another_root_is_refused(xml):
    for reader in (read, lambda xml: read_site(io.BytesIO(xml), lang="en")):
        with pytest.raises(InputError, match=r"line 1: the XML is a <(html|feed|m:mediawiki)>"):
            reader(xml)


def test_a_page_of_an_old_dump_has_no_namespace():
    assert read(HEAD + page().replace("<ns>0</ns>", "") + "</mediawiki>")[0].ns is None


def test_entity_expansion_is_refused():
    with pytest.raises(InputError, match="document type"):
        read('<!DOCTYPE mediawiki [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><mediawiki>&b;</mediawiki>')


def test_memory_does_not_grow_with_the_dump():
    text = f"<text>{'x' * 50_000}</text>"
    parts = iter([HEAD.encode(), *[page(n, text=text).encode() for n in range(400)], b"</mediawiki>", b""])

    class Stream:
        def read(self, _):
            return next(parts)

    tracemalloc.start()
    n = sum(1 for _ in read_pages(Stream(), where="x"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 400
    assert peak < 5_000_000


def test_real_dumps(real_data, demo):
    site, pages = demo
    assert (site.dbname, len(pages), sum(p.redirect is not None for p in pages)) == ("enwiki", 124, 100)
    counts = {}
    for path in sorted((real_data / "wiki-dump-samples").glob("*.bz2")):
        with open_input(str(path)) as stream:
            pages = list(read_pages(stream, where=path.name))
        counts[path.name] = len(pages)
    assert counts == {
        "bgwiki-latest-pages-articles-shortened.xml.bz2": 3,  # UTF-16
        "enwiki-pages-articles-sample.xml.bz2": 3,
        "enwiki-table-markup.xml.bz2": 5,
        "tinywiki-pages-articles.xml.bz2": 8,
    }
