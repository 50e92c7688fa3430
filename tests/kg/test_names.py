import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tables import table
from kgcorpus.kg.names import Names

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6)
NAME = st.builds(
    lambda lang, label, aliases: {"lang": lang, "label": label, "aliases": aliases},
    st.sampled_from(["en", "vi", "zh", "simple"]),
    st.none() | TEXT,
    st.none() | st.lists(TEXT, max_size=3),
)
ROWS = st.dictionaries(TEXT, st.lists(NAME, unique_by=lambda name: name["lang"]), max_size=6).map(
    lambda found: [{"qid": ident, "names": names} for ident, names in found.items()]
)


@given(ROWS, st.integers(0, 6))
def test_names_are_those_of_the_rows(rows, cut):
    schema = pa.schema([("qid", pa.string()), table("entities").schema.field("names")])
    parts = [pa.Table.from_pylist(part, schema=schema) for part in (rows[:cut], rows[cut:])]
    for names in (Names.from_rows(rows, "qid"), Names.from_arrow(pa.concat_tables(parts), "qid")):
        assert len(names) == len(rows)
        for row in rows:
            assert row["qid"] in names
            assert names.languages(row["qid"]) == [name["lang"] for name in row["names"]]
            for name in row["names"]:
                aliases = name["aliases"] or []
                assert names.aliases(row["qid"], name["lang"]) == aliases
                assert names.label(row["qid"], name["lang"]) == (name["label"] or min(aliases, default=None))
                drawn = [names.draw_alias(row["qid"], name["lang"], u) for u in (0.0, 1 - 2**-53)]
                assert drawn == ([aliases[0], aliases[-1]] if aliases else [None, None])


def test_what_is_unknown_has_no_name():
    names = Names.from_rows([{"qid": "Q1", "names": [{"lang": "en", "label": "x", "aliases": []}]}], "qid")
    for ident, lang in (("Q1", "de"), ("Q2", "en")):
        assert names.label(ident, lang) is None
        assert names.aliases(ident, lang) == []
        assert names.draw_alias(ident, lang, 0.5) is None
    assert names.languages("Q2") == []
    assert "Q2" not in names


def test_a_slice_of_a_table():
    rows = [
        {"pid": f"P{i}", "names": [{"lang": "de", "label": f"größe {i} 🗺", "aliases": [f"a{i}", f"b{i}"]}]}
        for i in range(9)
    ]
    schema = pa.schema([("pid", pa.string()), table("relations").schema.field("names")])
    names = Names.from_arrow(pa.Table.from_pylist(rows, schema=schema).slice(4, 3), "pid")
    assert [names.label(f"P{i}", "de") for i in (3, 4, 6, 7)] == [None, "größe 4 🗺", "größe 6 🗺", None]
    assert names.aliases("P5", "de") == ["a5", "b5"]
