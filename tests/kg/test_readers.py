import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.ids import INVISIBLE_IN_IDS
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
        (readers.parse_names, "Q1\tPlanet Earth\tGaia"),
        (readers.parse_relation, "P1\t# comment\tx"),
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
    with pytest.raises(BadRecord, match="occurs within the line"):
        parser("Q1\ten\txyz\ta"[:at] + control + "Q1\ten\txyz\ta"[at:])


@pytest.mark.parametrize(
    ("parser", "line"),
    [
        (readers.parse_triple, "Q1\tP1\t\ufeffQ2"),
        (readers.parse_triple, "Q1\u200b\tP1\tQ2"),
        (readers.parse_names, "\u200eQ1\ten\tx"),
        (readers.parse_title, "Earth\tQ2\u202c"),
        (readers.parse_types, "Q1\tQ5\tQ6\u2060"),
        (readers.parse_description, "Q1\u00ad\ttext"),
    ],
)
def test_an_id_with_an_invisible_character_is_refused(parser, line):
    with pytest.raises(BadRecord, match=r"invisible character U\+"):
        parser(line)


@pytest.mark.parametrize(
    "mark",
    [*"\u200c\u200d\ufe0f\u034f\u3164\u115f\uffa0\u180b\x1b\x7f\x85\u2028", "\U000e0001", "\U000e0100"],
)
def test_invisible_twins_of_an_id_are_refused(mark):
    with pytest.raises(BadRecord, match=f"invisible character U\\+{ord(mark):04X}"):
        readers.parse_triple(f"Q{mark}1\tP1\tQ2")
    assert readers.parse_title(f"a{mark}b\tQ1").qid == "Q1"


def test_every_control_and_format_character_is_invisible_in_ids():
    characters = map(chr, range(sys.maxunicode + 1))
    found = {c for c in characters if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}
    assert [c for c in sorted(found - {"\t"}) if not INVISIBLE_IN_IDS.search(c)] == []
    assert not INVISIBLE_IN_IDS.search("\t Q1 é ক্ষ ग़ 한글 漢字")


@pytest.mark.parametrize("name", ["a\u200bb", "\u200fשלום", "می\u200cخواهم", "\ufeffx"])
def test_a_name_may_hold_invisible_characters(name):
    assert readers.parse_names(f"Q1\ten\t{name}").label == name
    assert readers.parse_title(f"{name}\tQ1").title == name


HEADERS = [
    (readers.parse_triple, "h\tr\tt"),
    (readers.parse_triple, "Head\tRelation\tTail"),
    (readers.parse_triple, "SUBJECT\tpredicate\tobject\trank"),
    (readers.parse_triple, "head_id\trelation\ttail_id"),
    (readers.parse_triple, "id\tnode1\tlabel\tnode2"),
    (readers.parse_triple, "#h\tr\tt"),
    (readers.parse_triple, '"h"\t"r"\t"t"'),
    (readers.parse_triple, "?s\t?p\t?o"),
    (readers.parse_triple, "head_id\trel_id\ttail_id"),
    (readers.parse_triple, "item\tproperty\tvalue"),
    (readers.parse_triple, "Src\trel\tdst"),
    (readers.parse_triple, "from\tedge\tto"),
    (readers.parse_triple, "relation\thead\ttail"),
    (readers.parse_triple, "r\th\tt"),
    (readers.parse_triple, "tail\trelation\thead"),
    (readers.parse_triple, ":START_ID\t:TYPE\t:END_ID"),
    (readers.parse_triple, "subj\tpred\tobj"),
    (readers.parse_triple, "source\ttype\ttarget"),
    (readers.parse_triple, "start\tedge\tend"),
    (readers.parse_triple, "e1\trel\te2"),
    (readers.parse_triple, "head_entity\trelation_type\ttail_entity"),
    (readers.parse_names, "qid\tlang\tlabel"),
    (readers.parse_names, "#QID\tLanguage\tlabel\talias"),
    (readers.parse_names, '"item"\t"language_code"\t"item label"'),
    (readers.parse_names, "lang\tqid\tlabel"),
    (readers.parse_names, "language\tid\tname"),
    (readers.parse_names, "id\tiso\tname"),
    (readers.parse_names, "qid\tlng\tlabel"),
    (readers.parse_relation, "pid\tlang\tlabel\tdescription"),
    (readers.parse_wikidata5m_names, "entity\talias\talias"),
    (readers.parse_wikidata5m_names, "title\tqid"),
    (readers.parse_types, "qid\ttype_qid"),
    (readers.parse_types, "?item\t?class"),
    (readers.parse_description, "QID\tdescription"),
    (readers.parse_description, "entity\tdesc"),
    (readers.parse_description, "?item\t?itemDescription"),
    (readers.parse_title, "title\tQID"),
    (readers.parse_title, "page title\twikidata_id"),
    (readers.parse_triple, "Subjekt\tPrädikat\tObjekt"),
    (readers.parse_triple, "sujet\tprédicat\tobjet"),
    (readers.parse_triple, "主語\t述語\t目的語"),
    (readers.parse_triple, "relación\torigen\tdestino"),
    (readers.parse_names, "QID\tSprache\tBezeichnung"),
    (readers.parse_names, "identifiant\tlangue\tlibellé"),
    (readers.parse_names, "qid\tidioma\tetiqueta"),
    (readers.parse_names, "id\ttaal\tnaam"),
    (readers.parse_names, "ид\tязык\tназвание"),
    (readers.parse_names, "id\t语言\t标签"),
    (readers.parse_names, "mã\tngôn ngữ\tnhãn"),
    (readers.parse_relation, "pid\tlingua\tetichetta\tdescrizione"),
    (readers.parse_types, "Entität\tKlasse"),
    (readers.parse_description, "식별자\t설명"),
    (readers.parse_title, "Titre\tQID"),
    (readers.parse_title, "ページ\tQID"),
]


@pytest.mark.parametrize(("parser", "line"), HEADERS)
def test_a_header_is_refused_in_every_layout(parser, line):
    with pytest.raises(BadRecord, match="header"):
        parser(line)


@pytest.mark.parametrize(
    ("parser", "line"),
    [
        (readers.parse_title, "Title\tQ783521"),
        (readers.parse_title, "Q\tQ9899"),
        (readers.parse_names, "Q1\ten\tlabel"),
        (readers.parse_wikidata5m_names, "Q783521\ttitle\tname"),
        (readers.parse_description, "Q1\tdescription"),
        (readers.parse_types, "Q1\tclass"),
        (readers.parse_triple, "title\tlabel\tname"),
        (readers.parse_triple, "H\tR\tT"),
        (readers.parse_triple, "item\tsource\tvalue"),
        (readers.parse_triple, "R\tH\tT"),
        (readers.parse_triple, "subject\tinstance of\tobject"),
        (readers.parse_triple, "start\tbefore\tend"),
        (readers.parse_names, "iso\ten\tname"),
        (readers.parse_names, "label\tlg\tlabel"),
        (readers.parse_wikidata5m_names, "title\tentity"),
        (readers.parse_names, "Eigenschaft\tde\tName"),
        (readers.parse_triple, "Objekt\tist ein\tSubjekt"),
        (readers.parse_title, "Sprache\tQ315"),
        (readers.parse_title, "語言\tQ315"),
    ],
)
def test_a_row_with_a_word_of_headers_is_a_row(parser, line):
    assert parser(line)[0] == line.split("\t")[0]


@given(
    FIELD.filter(lambda text: not INVISIBLE_IN_IDS.search(text)),
    st.sampled_from(["en", "pt-BR", "zh-min-nan", "es-419"]),
    FIELD,
    st.lists(FIELD, unique=True),
)
def test_any_text_survives_a_row_of_names(ident, lang, label, aliases):
    row = readers.parse_names("\t".join([ident, lang, label, *aliases]))
    assert row == NameRow(ident, lang, label, [alias for alias in aliases if alias != label])


def test_most_of_the_sampled_lines_say_whether_a_file_names_languages(tmp_path):
    path = tmp_path / "names.tsv"
    path.write_text("Q1\ten\tx\nQ1\tzh-Hans\ty\nQ1\tsv\tz\n")
    assert sniff_names(str(path), ["de", "en"]) == ("names", 3, 3)
    path.write_text("Q1\tdog\nQ2\tPlanet Earth\tEarth\nQ3\tcat\nQ4\tBob\tRobert\n")
    assert sniff_names(str(path), ["en"]) == ("wikidata5m", 4, 0)
    path.write_text("qid\tlang\tlabel\nQ1\ten\tx\n")
    assert sniff_names(str(path), ["en"]) == ("names", 1, 1)
    path.write_text("Q1\tsv\tx\n")
    with pytest.raises(InputError, match="sv: languages that are not configured"):
        sniff_names(str(path), ["en"])


@given(
    st.integers(0, 60),
    st.sampled_from(
        ["qid\tlang\tlabel", "# a comment", "Q1\tpt-BR\tBerlim", "Q1\tzh-Hant\t柏林", "Q1\tx", ""]
    ),
)
def test_one_odd_line_changes_no_files_layout(tmp_path_factory, at, odd):
    path = tmp_path_factory.mktemp("s") / "names.tsv"
    for layout, row in (("names", "Q{}\tde\tBerlin"), ("wikidata5m", "Q{}\tBerlin\tBerlin, Germany")):
        lines = [row.format(n) for n in range(60)]
        path.write_text("\n".join([*lines[:at], odd, *lines[at:]]))
        assert sniff_names(str(path), ["en", "de"]).layout == layout


def test_real_files(real_data):
    folder = real_data / "demo-small"
    assert sniff_names(str(folder / "labels_10lang.tsv.gz"), ["en"]).layout == "names"
    assert sniff_names(str(folder / "relations.tsv.gz"), ["en"]).layout == "names"
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
