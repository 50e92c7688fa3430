"""Input made to blow a parser up: eight times the input takes some eight times the work, not sixty-four."""

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import BadRecord, open_input
from kgcorpus.wiki.dump import read_pages
from kgcorpus.wiki.sentences import split_sentences
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.wikitext import is_disambiguation, parse
from tests.fuzz.test_parsers import PAGE, SITE, SQL, TARGETS, ignored

pytestmark = pytest.mark.slow
CHINESE = Site.of("zh", names={})
SMALL, LARGE = 1 << 17, 1 << 20
# Linear work gives 8, quadratic 64; caches, memory and other jobs blur it.
MOST = 24
ATTEMPTS = 5
# Below this a run is all beginnings.
SECONDS = 0.02


def wikitext(data: bytes, _: Path) -> None:
    text = data.decode()
    parse(text, SITE)
    is_disambiguation(text, SITE)
    SITE.redirect_target(text)


def chinese(data: bytes, _: Path) -> None:
    parse(data.decode(), CHINESE)


def sentences(data: bytes, _: Path) -> None:
    split_sentences(data.decode(), "en")


def dump(data: bytes, folder: Path) -> None:
    (folder / "x.xml").write_bytes(b"<mediawiki>" + data + b"</mediawiki>")
    with open_input(str(folder / "x.xml")) as stream:
        used(read_pages(stream, where="x", on_bad=ignored))


def file_of(target: str, *, head: bytes = b"") -> Callable[[bytes, Path], None]:
    """A parser of `test_parsers` that reads a file."""
    parser, name, _ = TARGETS[target]

    def read(data: bytes, folder: Path) -> None:
        (folder / name).write_bytes(head + data)
        parser(str(folder / name))

    return read


def used(rows: Iterable[object]) -> None:
    for _ in rows:
        pass


sql = file_of("sql", head=SQL.partition(b"INSERT")[0])
wikidata, documents, tsv, plain_text, index = (
    file_of(name) for name in ("wikidata", "linked documents", "tsv", "plain text", "index")
)

# fmt: off
# Parser, what comes first, what comes last, and what is repeated between.
HOSTILE = [
    (wikitext, b"", b"", (
        b"{{", b"{{a|", b"{{{", b"{{a|b}", b"[[", b"[[a|", b"[[Datei:a|", b"[[Datei:a|[[b]]", b"[[a|[b",
        b"{|\n", b"{|\n|a||", b"<ref>", b"<ref ", b"<ref>x", b"<nowiki>", b"<!--", b"\n<!--", b"'''", b"'",
        b"l'''", b"[http://a ", b"( ,", b"__A", b"-{", b"&nbsp;(", b"\n* ", b"\n=", b"== ", b"#",
    )),
    (wikitext, b"", b"", (
        b"<code>", b"<code><!--", b"<!-- -->", b"x <!-- --> <!-- -->", b"<ref name=", b"<ref/>",
        b"''' l'''x''", b"{{{a|", b"{{a}}}", b"}}{{", b"]]''a", b"({{x}},", b", {{x}}", b"x<sup>2</sup>",
        b"<sup>", b"<sup>1</sup>/", b"[[a|[b]", b"{{nowrap|[[a [[b|", b"{{nowrap|-{", b"\n|", b"\n|}",
        b'\n{|a="b"', b'{|a="b" c="',
    )),
    (wikitext, b"<code>", b"</code>", (b"<!--", b"<!-- -->", b"<nowiki>")),
    (wikitext, b"{{nowrap|", b"}}", (
        b"|", b"|a=", b"[[a|", b"{{x}}", b"{{=}}", b"1=a|", b"-{a|", b"{{nowrap|a}}",
    )),
    (chinese, b"", b"", (
        b"-{", b"}-", b"-{zh-cn:", b"-{a}-", b"-{zh-cn:a;zh-tw:b}-", b"-{zh-cn|", b"-{{{", b"-{;a=>",
    )),
    (chinese, b"-{", b"}-", (b"zh-cn:a;", b";", b"&a;", b"a=>", b"|", b"a=>zh-cn:b;", b"[[", b"zh-cn:")),
    (wikitext, b"", b"}}" * 9, (b"{{lang|a|", b"{{x|" + b" " * 40, b"{{convert|1|[[", b"{{a{{b}}")),
    (wikitext, b"#REDIRECT", b"[[x]]", (b" ", b" [[#")),
    (sentences, b"", b"", (b". ", b".", b" ", b'."', b"A. ", b"Mr. ", b"a.B", b"\n", b"...x")),
    (dump, b"", b"", (
        b"<a>", b"<a/>", b"&lt;", b"&#60;", b"<!-- -->", b"<page>", b"<page></page>", b"<![CDATA[x]]>", PAGE,
    )),
    (dump, b"<page a='", b"'/>", (b"&lt;", b"&", b"\n")),
    (dump, b"<page ", b"/>", (b"a ", b"a='' ")),
    (dump, b"<page><title>", b"</title></page>", (b"&amp;", b"<!-- x -->y")),
    (dump, b"<page><revision><text>", b"</text></revision></page>", (b"<b>x</b>", b"x\n")),
    (sql, b"INSERT INTO `page` VALUES ", b";\n", (
        b"(1,0,'a'),", b"(1,0,'", b"(1,0,'\\'", b"(1,0,''", b"(", b"(1,0,'a')", b"  ", b"'", b"\\",
    )),
    (sql, b"", b"\n", (
        b"/*", b"/**/", b"-- x\n", b"--", b";", b"'", b"`", b'"', b"CREATE TABLE `page` (", b"INSERT ",
    )),
    (sql, b"INSERT INTO `page` (", b") VALUES (1);", (b"`page_id`,", b" ")),
    (wikidata, b'{"id":"Q1","a":"', b'"}\n', (b"\\u0041", b"\\ud800", b"\\\\", b"a", b'","a":"')),
    (wikidata, b"", b"\n", (b"[", b'{"a":', b"9", b'"', b"[\n", b"{}\n")),
    (documents, b'{"text":"', b'"}\n', (b"\\u0041", b"\\ud800", b"\\\\", b"a", b'","a":"')),
    (documents, b"", b"\n", (b"[", b'{"a":', b"9", b'"', b"[\n", b"{}\n")),
    (documents, b'{"text":"ab","links":[{"start":1,"end":2,"qid":"Q1"}', b"]}\n", (
        b',{"start":0,"end":1,"qid":"Q1"}', b",{}", b",[",
    )),
    (tsv, b"Q1", b"\n", (b"\t", b"\ta", b" ", b"\tQ1", b"\n")),
    (plain_text, b"", b"", (b"\n", b" \n", b"a\n", b"a ")),
    (index, b"60:1:A\n", b"\n", (b":", b"6", b"60:2:B\n")),
]
# fmt: on
CASES = [(parser, head, unit, tail) for parser, head, tail, units in HOSTILE for unit in units]


def work(parser: Callable[[bytes, Path], None], data: bytes, folder: Path) -> float:
    """CPU seconds."""
    start = time.process_time()
    with contextlib.suppress(InputError, BadRecord):
        parser(data, folder)
    return time.process_time() - start


@pytest.mark.parametrize(
    ("parser", "head", "unit", "tail"),
    CASES,
    ids=lambda value: repr(value)[2:22] if isinstance(value, bytes) else None,
)
def test_work_is_linear_in_hostile_input(
    parser: Callable[[bytes, Path], None], head: bytes, unit: bytes, tail: bytes, tmp_path: Path
) -> None:
    def ratio() -> float:
        small, large = (work(parser, head + unit * (n // len(unit)) + tail, tmp_path) for n in (SMALL, LARGE))
        return large / max(small, SECONDS)

    # A busy machine can stretch one measurement; quadratic work stretches every one of them.
    assert any(ratio() < MOST for _ in range(ATTEMPTS))
