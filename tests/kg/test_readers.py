import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord, read_records, refuse
from kgcorpus.kg import readers
from kgcorpus.kg.readers import NameRow, sniff_names

FIELD = st.text(st.characters(exclude_characters="\t\r\n\0", exclude_categories=("Cs",)), min_size=1).filter(
    lambda text: text == text.strip()
)


@pytest.mark.parametrize(
    ("parser", "line", "expected"),
    [
        (readers.parse_triple, "my node\tlikes\t北京", ("my node", "likes", "北京")),
        (readers.parse_triple, "H\tR\tT", ("H", "R", "T")),
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
    with pytest.raises(BadRecord, match="column"):
        parser(line)


@given(
    st.sampled_from("\r\0"),
    st.integers(0, 9),
    st.sampled_from(
        [readers.parse_triple, readers.parse_names, readers.parse_title, readers.parse_description]
    ),
)
def test_no_control_character_comes_into_a_row(control, at, parser):
    with pytest.raises(BadRecord, match="stands within the line"):
        parser("Q1\ten\txyz\ta"[:at] + control + "Q1\ten\txyz\ta"[at:])


@pytest.mark.parametrize("line", ["h\tr\tt", "Head\tRelation\tTail", "SUBJECT\tpredicate\tobject\trank"])
def test_a_header_is_no_triple(line):
    with pytest.raises(BadRecord, match="header"):
        readers.parse_triple(line)


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
    triples = list(
        read_records(str(folder / "triples.txt.gz"), readers.parse_triple, tally=tally, on_bad=refuse)
    )
    assert len(triples) == 7066
    names = list(
        read_records(str(folder / "labels_10lang.tsv.gz"), readers.parse_names, tally=tally, on_bad=refuse)
    )
    entities = {entity for h, _, t in triples for entity in (h, t)}
    assert len(entities & {row.id for row in names if row.lang == "en"}) == 1487


def test_reading_needs_no_numba():
    modules = "kgcorpus.kg.readers, kgcorpus.kg.names, kgcorpus.codeswitch"
    code = f"import sys, {modules}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
