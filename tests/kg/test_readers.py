import bz2
import gzip
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg import readers
from kgcorpus.kg.readers import BadLine, BadRow, NameRow, open_lines, read, refuse, sniff_names

FIELD = st.text(st.characters(exclude_characters="\t\r\n\0", exclude_categories=("Cs",)), min_size=1).filter(
    lambda text: text == text.strip()
)


@pytest.mark.parametrize(
    ("name", "pack"),
    [("t.tsv", bytes), ("t.tsv.gz", gzip.compress), ("t.tsv.bz2", bz2.compress)],
)
def test_lines_are_numbered_whatever_the_packing_and_line_ends(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack("\ufeffQ1\tP1\tQ2\r\nQ1\tx\u2028y\x85\n".encode()))
    assert list(open_lines(str(tmp_path / name))) == [(1, "Q1\tP1\tQ2"), (2, "Q1\tx\u2028y\x85")]


def test_bad_bytes_are_an_error_with_their_line(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes(b"Q1\ten\tx\nQ2\ten\tcaf\xe9\n")
    with pytest.raises(InputError, match=r"t\.tsv:2: byte 0xe9 at position 9 is not UTF-8"):
        list(open_lines(str(path)))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_named(tmp_path, encoding):
    path = tmp_path / "t.tsv"
    path.write_text("Q1\tP1\tQ2\n", encoding=encoding)
    with pytest.raises(InputError, match="UTF-16"):
        list(open_lines(str(path)))


def test_a_file_cut_short_or_missing_is_an_input_error(tmp_path):
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress("".join(f"Q{i}\tP1\tQ2\n" for i in range(9999)).encode())[:-2000])
    with pytest.raises(InputError, match="cannot be read past line"):
        list(open_lines(str(path)))
    with pytest.raises(InputError, match="no such file"):
        list(open_lines(str(tmp_path / "none.tsv")))


def test_bad_lines_are_reported_with_their_position_and_the_rest_is_read(tmp_path):
    path = tmp_path / "triples.tsv"
    path.write_bytes(b"Q1\tP1\tQ2\n\n  \nQ1\tP1\nQ1\t\tQ2\nQ\xff\tP1\tQ2\nQ3\tP1\tQ4\tignored\n")
    bad: list[BadRow] = []
    tally = Tally()
    rows = list(read(str(path), readers.parse_triple, tally=tally, on_bad=bad.append))
    assert rows == [("Q1", "P1", "Q2"), ("Q3", "P1", "Q4")]
    assert [(row.file, row.line) for row in bad] == [("triples.tsv", n) for n in (4, 5, 6)]
    assert "tab-separated columns, here 2" in bad[0].reason
    assert "column 2" in bad[1].reason
    assert bad[2].text == "Q\\xff\tP1\tQ2"
    assert tally.drops["blank_line"] == 2
    with pytest.raises(InputError, match=r"triples\.tsv:4"):
        list(read(str(path), readers.parse_triple, tally=tally, on_bad=refuse))


@pytest.mark.parametrize(
    ("parser", "line", "expected"),
    [
        (readers.parse_triple, "my node\tlikes\t北京", ("my node", "likes", "北京")),
        (readers.parse_names, "Q1\tko\t\ta\tb\ta", ("Q1", "ko", None, ["a", "b"])),
        (readers.parse_names, "Q1\ten\tx\ty\tx\t", ("Q1", "en", "x", ["y"])),
        (readers.parse_relation, "P1\ten\tx\tdescription\ty", ("P1", "en", "x", ["y"])),
        (readers.parse_relation, "P1\ten\tx", ("P1", "en", "x", [])),
        (readers.parse_wikidata5m_names, "Q1\tEarth\tGaia", ("Q1", "en", "Earth", ["Gaia"])),
        (readers.parse_types, "Q1\tQ5\tQ6\tQ5", ("Q1", ["Q5", "Q6"])),
        (readers.parse_description, "Q1\ta text", ("Q1", "a text")),
        (readers.parse_title, "The Earth\tQ2\tlabel", ("The Earth", "Q2")),
    ],
)
def test_layouts(parser, line, expected):
    assert parser(line) == expected


@pytest.mark.parametrize(
    ("parser", "line"),
    [
        (readers.parse_triple, "Q1 P1 Q2"),
        (readers.parse_triple, "\tP1\tQ2"),
        (readers.parse_names, "Q1\t\tx"),
        (readers.parse_wikidata5m_names, "Q1"),
        (readers.parse_types, "Q1\t"),
        (readers.parse_description, "Q1"),
        (readers.parse_title, "Earth\t"),
    ],
)
def test_malformed_lines(parser, line):
    with pytest.raises(BadLine, match="column"):
        parser(line)


@given(FIELD, FIELD, FIELD, st.lists(FIELD, unique=True))
def test_any_text_survives_a_row_of_names(ident, lang, label, aliases):
    row = readers.parse_names("\t".join([ident, lang, label, *aliases]))
    assert row == NameRow(ident, lang, label, [alias for alias in aliases if alias != label])


def test_sniffing(tmp_path):
    path = tmp_path / "names.tsv"
    path.write_text("Q1\ten\tx\nQ1\tzh-hans\ty\nQ1\tsv\tz\n")
    assert sniff_names(str(path), ["de", "en"]) == "names"
    path.write_text("Q1\tdog\nQ2\tPlanet Earth\tEarth\n")
    assert sniff_names(str(path), ["en"]) == "wikidata5m"
    path.write_text("Q1\tsv\tx\n")
    with pytest.raises(InputError, match="sv: languages that are not configured"):
        sniff_names(str(path), ["en"])


def test_real_files(real_data):
    folder = real_data / "demo-small"
    assert sniff_names(str(folder / "labels_10lang.tsv.gz"), ["en"]) == "names"
    assert sniff_names(str(folder / "relations.tsv.gz"), ["en"]) == "names"
    tally = Tally()
    triples = list(read(str(folder / "triples.txt.gz"), readers.parse_triple, tally=tally, on_bad=refuse))
    assert len(triples) == 7066
    names = list(read(str(folder / "labels_10lang.tsv.gz"), readers.parse_names, tally=tally, on_bad=refuse))
    entities = {entity for h, _, t in triples for entity in (h, t)}
    assert len(entities & {row.id for row in names if row.lang == "en"}) == 1487


def test_reading_needs_no_numba():
    modules = "kgcorpus.kg.readers, kgcorpus.kg.names, kgcorpus.codeswitch"
    code = f"import sys, {modules}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
