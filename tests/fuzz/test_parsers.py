"""One fuzz target a parser: whatever the bytes, rows, a bad record or an `InputError`, never another end.

KGCORPUS_FUZZ_EXAMPLES sets how many inputs each target is given (default 400).
"""

import bz2
import contextlib
import gzip
import json
import lzma
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.manifest import File, Manifest, TableEntry, load_manifest
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord, FilePart, Limits, decoded, open_input, read_lines, read_records
from kgcorpus.kg import readers
from kgcorpus.kg.wikidata import entity_lines, facts_in, parse_entity, rows_in
from kgcorpus.linking.gold import read_gold
from kgcorpus.wiki.documents import read_linked_documents
from kgcorpus.wiki.dump import read_pages, read_site
from kgcorpus.wiki.multistream import read_index, read_streams
from kgcorpus.wiki.pages import page_rows
from kgcorpus.wiki.plaintext import read_documents
from kgcorpus.wiki.site import Site
from kgcorpus.wiki.title_dumps import COLUMNS, join_facts, read_title_facts
from kgcorpus.wiki.wikitext.templates import read_templates

pytestmark = pytest.mark.slow
LIMITS = Limits(record_mib=1)
SITE = Site.of("de", names={"Datei": 6})

PAGE = (
    b"<page><title>A</title><ns>0</ns><id>1</id><redirect title='B'/><revision><id>2</id>"
    b"<text xml:space='preserve'>'''A''' [[b|c]] {{x|[[y]]}} &lt;ref&gt;z&lt;/ref&gt;</text></revision>"
    b"</page>\n"
)
DUMP = (
    b"<mediawiki xml:lang='de'><siteinfo><dbname>dewiki</dbname><case>first-letter</case><namespaces>"
    b"<namespace key='6'>Datei</namespace></namespaces></siteinfo>" + PAGE * 2 + b"</mediawiki>"
)
SQL = b"".join(
    b"-- x\nCREATE TABLE `%s` (\n%s\n);\nINSERT INTO `%s` VALUES (%s),(%s);\n"
    % (name, b",\n".join(b"  `%s` int" % column for column in columns), name, row, row)
    for name, columns, row in [
        (b"page", [c.encode() for c in COLUMNS["page"]], b"1,0,'A\\'b'"),
        (b"page_props", [c.encode() for c in COLUMNS["page_props"]], b"1,'wikibase_item','Q1'"),
        (b"redirect", [c.encode() for c in COLUMNS["redirect"]], b"1,0,'A',NULL,'x'"),
        (b"wb_items_per_site", [c.encode() for c in COLUMNS["wb_items_per_site"]], b"1,'dewiki','A'"),
    ]
)
LINK = {"start": 0, "end": 1, "qid": "Q1"}
JSONL = (json.dumps({"id": "1", "text": "a\u00e9 b", "title": "t", "links": [LINK]}) + "\n").encode() * 2
SNAK = {"snaktype": "value", "datavalue": {"value": {"entity-type": "item", "id": "Q2"}}}
ENTITY = {
    "id": "Q1",
    "labels": {"en": {"value": "a"}},
    "aliases": {"en": [{"value": "b"}]},
    "descriptions": {"en": {"value": "c"}},
    "claims": {"P31": [{"rank": "normal", "mainsnak": SNAK}]},
}
JSON = b"[\n" + json.dumps(ENTITY).encode() + b",\n" + json.dumps(ENTITY).encode() + b"\n]\n"
TSV = "Q1\tP1\tQ2\nQ1\ten\tErde\tTerra\nA_b\tQ3\n\ufeff\n".encode()
LABELS = [{"span": [0, 1], "entity_id": "Q1"}, {"span": [1, 2], "entity_id": "Q2", "optional": True}]
GOLD = (json.dumps({"text": "a\u00e9 b", "labels": LABELS, "evaluation_span": [0, 2]}) + "\n").encode() * 2
FILE = File("tables/triples/0/part-00000-of-00001.parquet", 1, 9, "0")
MANIFEST = json.dumps(
    Manifest({"triples": TableEntry("triples", "0", "0", 1, {"blank_line": 1}, {}, (FILE,))}).to_dict()
).encode()
INDEX = b"60:1:A\n60:2:B\n190:3:C:d\n"


def ignored(_: BadRecord) -> None:
    pass


def used(rows: Iterable[Any]) -> None:
    for row in rows:
        # What goes into Arrow must be text.
        json.dumps(row, ensure_ascii=False, default=str).encode()


def target_dump(path: str) -> None:
    with open_input(path, limits=LIMITS) as stream:
        site = read_site(stream, lang="de")
    with open_input(path, limits=LIMITS) as stream:
        pages = read_pages(stream, where="x", limits=LIMITS, on_bad=ignored)
        used(page_rows(pages, site=site, tally=Tally()))


def target_index(path: str) -> None:
    dump = str(Path(path).with_name("dump.xml.bz2"))
    Path(dump).write_bytes(bz2.compress(DUMP[:50]) + bz2.compress(PAGE) + bz2.compress(b"</mediawiki>"))
    streams = read_index(path, dump, limits=LIMITS)
    used(page.wikitext for page in read_streams(dump, streams, tally=Tally(), on_bad=ignored))


def target_sql(path: str) -> None:
    facts = read_title_facts(
        path, langs=["de"], sites={"de": SITE}, tally=Tally(), on_bad=ignored, limits=LIMITS
    )
    blank = dict.fromkeys(("page_id", "title", "qid", "target", "disambiguation"))
    used(join_facts([{**blank, **fact} for fact in facts] or [{**blank, "lang": "de"}], Tally()))


def target_linked_documents(path: str) -> None:
    used(
        read_linked_documents(
            path, lang="de", ordinal=0, sites={}, tally=Tally(), on_bad=ignored, limits=LIMITS
        )
    )


def target_plain_text(path: str) -> None:
    used(read_documents(path, lang="de", ordinal=0, limits=LIMITS, on_bad=ignored))


def target_wikidata(path: str) -> None:
    for line in entity_lines(FilePart(path), limits=LIMITS):
        with contextlib.suppress(BadRecord):
            entity = parse_entity(decoded(line.text))
            used(facts_in(entity))
            for field in ("labels", "relations", "descriptions", "types"):
                used(rows_in(entity, field, ["en", "de"]))


def target_tsv(path: str) -> None:
    readers.sniff_names(path, ["en"], limits=LIMITS)
    for parser in (
        readers.parse_triple,
        readers.parse_names,
        readers.parse_relation,
        readers.parse_types,
        readers.parse_description,
        readers.parse_title,
    ):
        used(read_records(path, parser, tally=Tally(), on_bad=ignored, limits=LIMITS))


def target_packed(path: str) -> None:
    used(len(line) for _, line in read_lines(path, limits=LIMITS))


def target_config(path: str) -> None:
    from kgcorpus.config import BuildConfig, load

    with contextlib.suppress(UsageError):
        load(BuildConfig, Path(path), variables={})


def target_templates(path: str) -> None:
    read_templates(path, "de", limits=LIMITS)


def target_gold(path: str) -> None:
    used(vars(text) for text in read_gold(Path(path), limits=LIMITS))


def target_manifest(path: str) -> None:
    load_manifest(Path(path).parent)


TARGETS: dict[str, tuple[Callable[[str], None], str, bytes]] = {
    "dump": (target_dump, "x.xml", DUMP),
    "multistream": (target_dump, "x.xml.bz2", bz2.compress(DUMP[:300]) + bz2.compress(DUMP[300:])),
    "index": (target_index, "x.txt", INDEX),
    "sql": (target_sql, "x.sql", SQL),
    "linked documents": (target_linked_documents, "x.jsonl", JSONL),
    "plain text": (target_plain_text, "x.txt", "a b\n\nc é\nd\n".encode()),
    "wikidata": (target_wikidata, "x.json", JSON),
    "tsv": (target_tsv, "x.tsv", TSV),
    "gzip": (target_packed, "x.gz", gzip.compress(b"a\nb\n", mtime=0)),
    "bzip2": (target_packed, "x.bz2", bz2.compress(b"a\nb\n")),
    "xz": (target_packed, "x.xz", lzma.compress(b"a\nb\n")),
    "zstd": (target_packed, "x.zst", bytes.fromhex("28b52ffd2404210000610a620a2550b323")),
    "templates": (target_templates, "x.templates", "# Größe\nmaß\t{1} {n}\nb_c\t=maß\nd\t\n".encode()),
    "gold": (target_gold, "x.gold", GOLD),
    "manifest": (target_manifest, "manifest.json", MANIFEST),
    "config": (
        target_config,
        "x.yaml",
        b"seed: 1\nlanguages: [en, de]\ngraph: {triples: [a, '${X:-b}']}\n"
        b"wikipedia:\n  - {lang: en, dump: x}\n",
    ),
}
TOKENS = [
    *(
        b"'",
        b"\\",
        b"''",
        b"\n",
        b"\r\n",
        b"\t",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"/*",
        b"*/",
    ),
    *(
        b"-- ",
        b"--\n",
        b"#",
        b";",
        b",",
        b"(",
        b")",
        b"`",
        b"NULL",
        b"<page>",
        b"</page>",
        b"<text>",
        b"<![CDATA[",
    ),
    *(
        b"]]>",
        b"&#xD800;",
        b"&#0;",
        b"<!--",
        b"<!DOCTYPE x [",
        b"<?xml version='1.0' encoding='utf-16'?>",
        b"&lt;",
    ),
    *(
        b"[" * 2000,
        b"[" * 100_000,
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b":",
        b"\\ud800",
        b"1e999",
        b"-1",
        b"9" * 25,
        b"9" * 5000,
        b"true",
        b"null",
        b"NaN",
    ),
    *(
        b"!!python/object/apply:os.system [x]",
        b"&a [*a, *a]",
        b"<<: *a",
        b"- ",
        b"  ",
        b"Q1",
        b"Q0",
        b"\xc2\x85",
    ),
]


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    """The seed with pieces cut, doubled, flipped or put in."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(data)))
        stop = min(len(data), at + draw(st.integers(0, 40)))
        match draw(st.sampled_from(["cut", "double", "flip", "token", "bytes"])):
            case "cut":
                del data[at:stop]
            case "double":
                data[at:at] = data[at:stop] * draw(st.sampled_from([1, 2, 50]))
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "token":
                data[at:at] = draw(st.sampled_from(TOKENS))
            case "bytes":
                data[at:at] = draw(st.binary(max_size=8))
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
@settings(
    max_examples=int(os.environ.get("KGCORPUS_FUZZ_EXAMPLES", "400")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_no_bytes_end_a_parser_otherwise(name: str, data: Any, tmp_path_factory: Any) -> None:
    target, file, seed = TARGETS[name]
    path = tmp_path_factory.getbasetemp() / file
    path.write_bytes(data.draw(mutated(seed)))
    with contextlib.suppress(InputError):
        target(str(path))
