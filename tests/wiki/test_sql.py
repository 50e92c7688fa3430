"""MySQL dumps: an independent writer, hostile rows, damaged files."""

import gzip
import re
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import Limits
from kgcorpus.wiki.sql import read_rows, unquoted

WANTED = {"page": ("page_id", "page_namespace", "page_title")}
CREATE = """-- MySQL dump 10.19
--
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `page`;
CREATE TABLE `page` (
  `page_id` int(10) unsigned NOT NULL AUTO_INCREMENT COMMENT 'a; ''(b',
  `page_random` double unsigned NOT NULL,
  `page_namespace` int(11) NOT NULL,
  `page_title` varbinary(255) NOT NULL DEFAULT '',
  PRIMARY KEY (`page_id`), KEY `x` (`page_namespace`,`page_title`)
) ENGINE=InnoDB;
"""
HOSTILE = [
    b"');\nINSERT INTO `page` VALUES (9,0.1,0,'x');",
    b"\\",
    b"\\'",
    b"''",
    b"'),(7,0.5,0,'",
    b"/*",
    b"*/",
    b"-- \n",
    b"--\nINSERT",
    b'#;`"',
    b"\x00\x1a\r\n\t\x08",
    b"\xff\xfe",
    "Zürich_(D) 😀".encode(),
    b"NULL",
    b"",
]


def quoted(value: bytes) -> bytes:
    """As mysqldump writes it."""
    escaped = {0: b"\\0", 10: b"\\n", 13: b"\\r", 26: b"\\Z", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}
    return b"'" + b"".join(escaped.get(byte, bytes([byte])) for byte in value) + b"'"


def dumped(titles, *, rows_a_statement=3, create=CREATE):
    rows = [b"(%d,-0.5e-3,0,%s)" % (n, quoted(title)) for n, title in enumerate(titles, start=1)]
    statements = [rows[i : i + rows_a_statement] for i in range(0, len(rows), rows_a_statement)]
    inserts = [b"INSERT INTO `page` VALUES " + b",\n".join(part) + b";\n" for part in statements]
    return create.encode() + b"".join(inserts) + b"-- Dump completed\n"


def read(tmp_path, data, **options):
    path = tmp_path / "page.sql"
    path.write_bytes(data)
    rows = list(read_rows(str(path), WANTED, **options))
    assert {table for table, _ in rows} <= {"page"}
    return [(int(values[0]), unquoted(values[2])) for _, values in rows]


def test_hostile_values_are_values(tmp_path):
    assert read(tmp_path, dumped(HOSTILE)) == list(enumerate(HOSTILE, start=1))


@pytest.mark.parametrize("word", [b"REPLACE", b"replace", b"INSERT IGNORE"])
def test_every_statement_that_brings_rows_is_read(tmp_path, word):
    assert read(tmp_path, dumped([b"a", b"b"]).replace(b"INSERT", word)) == [(1, b"a"), (2, b"b")]


titles = st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(HOSTILE)), min_size=1, max_size=9)


@settings(max_examples=60)
@given(titles, st.integers(1, 5), st.integers(1, 90))
def test_any_value_survives_wherever_the_buffer_ends(tmp_path_factory, titles, rows_a_statement, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kgcorpus.wiki.sql._CHUNK", chunk)
        data = dumped(titles, rows_a_statement=rows_a_statement)
        found = read(tmp_path_factory.mktemp("sql"), data)
    assert found == list(enumerate(titles, start=1))


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (rb"'a\'b'", b"a'b"),
        (rb"'a''b'", b"a'b"),
        (rb"'\\n'", b"\\n"),
        (rb"'\%\_'", b"%_"),
        (b"NULL", b""),
        (b"null", b""),
        (b"0x4a4B00ff", b"JK\x00\xff"),
        (b"0x", b""),
        (b"-12", b"-12"),
    ],
)
def test_escapes(value, meaning):
    assert unquoted(value) == meaning


INSERTED = [(1, b"A'b"), (2, b"B")]
NAMED = "(page_id, page_random, `page_namespace`, page_title)"
CREATES = [
    CREATE,
    "CREATE TABLE `wiki`.`page` (`page_id` int, `page_random` double, `page_namespace` int, "
    "`page_title` varbinary(255));",
    "create table if not exists page(page_id int(8) unsigned, page_random decimal(3,2) /* a, (b */, -- c, d\n"
    "page_namespace enum('0', '),(') default '0', page_title varbinary(255), key (page_id), "
    "unique x (page_id));",
]


@pytest.mark.parametrize(
    "statement",
    [
        r"INSERT INTO `wiki`.`page` VALUES (1,0.5,0,_binary 'A\'b'),(2,0.5,0,_binary 'B');",
        r"insert into wiki . page values(1,0.5,0,_utf8mb4'A''b'),(2,0.5,0,0x42);",
        rf"INSERT INTO page{NAMED}VALUES(1,0.5,0,X'412762'),(2,0.5,0,_binary 0x42);",
        rf"insert low_priority ignore page {NAMED} value ( 1 ,.5 , 0 , N'A''b' ) ,( 2 , 5e-1 , 0 , x'42' ) ;",
        r"REPLACE `page` VALUES (1,NULL,0,_binary'A\'b'), (2,null,_binary '0','B');",
        r"INSERT INTO `page` VALUES (1,'_binary ''x''',0,0x412762);INSERT INTO page VALUES(2,X'',0,'B');",
    ],
)
@pytest.mark.parametrize("create", CREATES, ids=["mysqldump", "one line", "lower case"])
def test_statements_as_mysql_8_and_other_programs_write_them(tmp_path, create, statement):
    assert read(tmp_path, (create + statement).encode()) == INSERTED


def test_a_column_list_in_the_statement_wins(tmp_path):
    data = b"INSERT INTO `page` (`page_title`,`page_id`,`page_namespace`) VALUES ('a',1,0);"
    path = tmp_path / "page.sql"
    path.write_bytes(data)
    assert list(read_rows(str(path), WANTED)) == [("page", (b"1", b"0", b"'a'"))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (dumped([b"a"])[:-30], "no row of table page begins here, or it has no end"),
        (dumped([b"a", b"b"]).replace(b"0,'a'", b"0,a'"), "no row of table page begins here"),
        (dumped([b"a"]).replace(b",-0.5e-3", b""), "no row of table page begins here"),
        (dumped([b"a"], create=""), "table page is not said to have a column page_id"),
        (dumped([b"a"]).replace(b"`page`", b"`links`"), "the file holds table links, not page"),
        (
            dumped([b"a"]).replace(b"INSERT", b"/*!50000 insert").replace(b";\n--", b"*/;\n--"),
            "no SQL statement",
        ),
        (b"-- nothing\n", "the file holds no table, not page"),
        (b"title\tQ1\n", "no SQL statement"),
        (CREATE.encode()[:-30], "no SQL statement"),
        (b"<html>Not; found</html>", "the file holds no table|no SQL statement"),
    ],
)
def test_what_is_no_whole_dump_is_refused_with_its_place(tmp_path, data, message):
    with pytest.raises(InputError, match=rf"page\.sql, unpacked byte \d+: ({message})"):
        read(tmp_path, data)


@pytest.mark.parametrize("start", [b"(1,0.5,0,'", b"/*", b"(1,0.5,0,'a'),", b"'", b"CREATE TABLE `x` ("])
def test_what_never_ends_stops_at_the_limit(tmp_path, start):
    filler = {b"(1,0.5,0,'a'),": b" "}.get(start, b"\\'(,;-/*"[2:] if start == b"/*" else b"\\'")
    insert = b"INSERT INTO `page` VALUES " if start.startswith(b"(1") else b""
    data = CREATE.encode() + insert + start + filler * ((6 << 20) // len(filler))
    with pytest.raises(InputError, match="no end"):
        read(tmp_path, data, limits=Limits(record_mib=1))


def test_real_dumps(real_data, tmp_path):
    """Rows as a plain pattern finds them in the samples, where no value holds a bracket."""
    archive = real_data / "wikidata-dump-samples" / "wikidata-dump-samples.tar.xz"
    columns = {
        "page": ("page_id", "page_title"),
        "page_props": ("pp_page", "pp_value"),
        "redirect": ("rd_from", "rd_title"),
    }
    rows = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            if not re.search(r"20\d{6}-(page|page_props|redirect)\.sql\.gz$", member.name):
                continue
            packed = tar.extractfile(member).read()
            (tmp_path / "x.sql.gz").write_bytes(packed)
            found = list(read_rows(str(tmp_path / "x.sql.gz"), columns))
            expected = re.findall(rb"\((\d+),[^()]*\)[,;]", gzip.decompress(packed))
            assert [values[0] for _, values in found] == expected
            rows += len(found)
    assert rows == 47
