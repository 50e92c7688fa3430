from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tables import table
from kgcorpus.kg.names import LabelIndex
from kgcorpus.kg.strings import hex_digits, prefixed

# `ids` is a language (ISO 639-3).
LANGUAGES = ("en", "vi", "pt-br", "simple", "ids")
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6)
NAME = st.builds(
    lambda lang, label, aliases: {"lang": lang, "label": label, "aliases": aliases},
    st.sampled_from(LANGUAGES),
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
    with TemporaryDirectory() as folder:
        LabelIndex.from_rows(rows, "qid").save(Path(folder))
        in_parts = LabelIndex.from_arrow(pa.concat_tables(parts), "qid")
        for names in (LabelIndex.from_rows(rows, "qid"), in_parts, LabelIndex.open(Path(folder))):
            assert len(names) == len(rows)
            ids = [row["qid"] for row in rows]
            assert names.rows(pa.array(ids, pa.string())).tolist() == list(range(len(rows)))
            for i, row in enumerate(rows):
                assert row["qid"] in names
                unknown = set(LANGUAGES) - {name["lang"] for name in row["names"]}
                assert [names.label(row["qid"], lang) for lang in unknown] == [None] * len(unknown)
                for name in row["names"]:
                    aliases = name["aliases"] or []
                    label = name["label"] or min(aliases, default=None)
                    assert names.aliases(row["qid"], name["lang"]) == aliases
                    assert names.label(row["qid"], name["lang"]) == label
                    column = names.column(name["lang"])
                    assert (column.labels[i].as_py(), column.aliases[i].as_py()) == (label, aliases)
                    assert column.has_label(np.array([i, -1])).tolist() == [label is not None, False]


@pytest.mark.parametrize("how", ["deleted", "truncated", "flipped"])
@pytest.mark.parametrize("name", ["lang-de.arrow", "_ids.arrow", "digests.json"])
def test_a_cache_that_is_not_whole_is_not_opened(tmp_path, name, how):
    rows = [{"qid": "Q1", "names": [{"lang": lang, "label": "x", "aliases": []} for lang in ("en", "de")]}]
    LabelIndex.from_rows(rows, "qid").save(tmp_path)
    # What lies beside it is not read.
    (tmp_path / "lang-fr.arrow").write_bytes(b"other")
    assert LabelIndex.open(tmp_path).label("Q1", "de") == "x"
    file = tmp_path / name
    data = file.read_bytes()
    file.unlink()
    if how != "deleted":
        file.write_bytes(data[:100] if how == "truncated" else data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    with pytest.raises(FileNotFoundError):
        LabelIndex.open(tmp_path)


def test_what_is_unknown_has_no_name():
    names = LabelIndex.from_rows(
        [{"qid": "Q1", "names": [{"lang": "en", "label": "x", "aliases": []}]}], "qid"
    )
    for ident, lang in (("Q1", "de"), ("Q2", "en")):
        assert names.label(ident, lang) is None
        assert names.aliases(ident, lang) == []
    assert "Q2" not in names
    assert names.rows(pa.array(["Q2", "Q1", "", "Q11"])).tolist() == [-1, 0, -1, -1]
    assert names.column("de").labels.to_pylist() == [None]
    assert names.column("de").aliases.to_pylist() == [[]]


def test_unfinished_files_are_not_opened(tmp_path):
    names = LabelIndex.from_rows(
        [{"qid": "Q1", "names": [{"lang": "en", "label": "x", "aliases": []}]}], "qid"
    )
    names.save(tmp_path)
    (tmp_path / "_ids.arrow").unlink()
    with pytest.raises(FileNotFoundError):
        LabelIndex.open(tmp_path)


def test_many_ids_are_found_again():
    ids = pa.array([f"Q{i * i}" for i in range(3000)], pa.large_string())
    names = LabelIndex(ids, {})
    order = np.random.default_rng(0).permutation(3000)
    assert (names.rows(ids.take(pa.array(order))) == order).all()


def test_a_slice_of_a_table():
    rows = [
        {"pid": f"P{i}", "names": [{"lang": "de", "label": f"größe {i} 🗺", "aliases": [f"a{i}", f"b{i}"]}]}
        for i in range(9)
    ]
    schema = pa.schema([("pid", pa.string()), table("relations").schema.field("names")])
    names = LabelIndex.from_arrow(pa.Table.from_pylist(rows, schema=schema).slice(4, 3), "pid")
    assert [names.label(f"P{i}", "de") for i in (3, 4, 6, 7)] == [None, "größe 4 🗺", "größe 6 🗺", None]
    assert names.aliases("P5", "de") == ["a5", "b5"]


def test_hexadecimal_ids():
    values = [0, 1, 255, 2**63, 2**64 - 1]
    digits = hex_digits(np.array(values, np.uint64))
    assert prefixed("cs:de:", digits).to_pylist() == [f"cs:de:{value:016x}" for value in values]
    assert prefixed("", digits[:0]).to_pylist() == []
