"""JSON lines with link spans."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.config import BuildConfig, load
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord, refuse
from kgcorpus.wiki.documents import is_json_lines, read_linked_documents
from kgcorpus.wiki.site import Site


def read(tmp_path, data, *, on_bad=refuse, tally=None, link_title=False):
    path = tmp_path / "d.jsonl"
    path.write_bytes(data if isinstance(data, bytes) else "".join(line + "\n" for line in data).encode())
    sites = {"de": Site.of("de", names={"Datei": 6})}
    return list(
        read_linked_documents(
            str(path),
            lang="en",
            ordinal=2,
            sites=sites,
            tally=tally or Tally(),
            on_bad=on_bad,
            link_title=link_title,
        )
    )


def test_which_files_are_json_lines():
    assert all(map(is_json_lines, ["a.jsonl", "a.jsonl.gz", "a.json.bz2", "a.ndjson"]))
    assert not any(map(is_json_lines, ["a.txt", "json.gz", "a.jsonl.txt"]))


def test_a_document_with_links(tmp_path):
    links = [
        {"start": 8, "end": 12, "title": "rome_(city)#History"},
        {"start": 0, "end": 3, "qid": "Q5"},
        {"start": 2, "end": 5, "qid": "Q6"},
        {"start": 5, "end": 7, "title": "Category:X"},
    ]
    line = json.dumps({"id": "x", "text": "😀he in Rome.\n", "title": "my_page", "links": links, "more": 1})
    tally = Tally()
    (row,) = read(tmp_path, ["", line], tally=tally)
    assert set(TABLES["pages"].columns) - set(row) == {"revision", "time", "url"}
    assert (row["page_id"], row["title"], row["lang"]) == (-(2 * 2**40 + 2), "My page", "en")
    assert row["links"] == [
        {"start": 0, "end": 3, "anchor": "😀he", "target": "d:Q5"},
        {"start": 8, "end": 12, "anchor": "ome.", "target": "Rome (city)"},
    ]
    assert tally.drops == {"blank_line": 1, "overlapping_link": 1, "link_to_no_article": 1}


@pytest.mark.parametrize("ident", ["ex:Berlin", "http://example.org/#a b", "7", "P1", "d:Q5", "é" * 300])
def test_a_link_may_name_any_id(tmp_path, ident):
    line = json.dumps({"text": "Berlin", "links": [{"start": 0, "end": 6, "qid": ident}]})
    assert read(tmp_path, [line])[0]["links"][0]["target"] == "d:" + ident


def test_its_own_language_wins_and_empty_text_is_dropped(tmp_path):
    tally = Tally()
    lines = [
        '{"text": "a", "lang": "de"}',
        '{"text": " "}',
        '{"text": "b"}',
        '{"text": "c", "lang": "simple"}',
        '{"text": "e", "lang": "pt-BR"}',
    ]
    rows = read(tmp_path, lines, tally=tally)
    assert [row["lang"] for row in rows] == ["de", "en", "simple", "pt-br"]
    assert tally.drops["no_text"] == 1


def test_a_documents_title_is_a_link_at_its_first_mention(tmp_path):
    documents = [
        {"text": "The planet Mercury is small.", "title": "Mercury (planet)", "qid": "Q308"},
        {"text": "A river is water.", "title": "river"},
        {"text": "Nothing of it.", "title": "Rome", "qid": "Q220"},
        {"text": "Rome.", "title": "Rome", "qid": "Q220", "links": [{"start": 0, "end": 4, "qid": "Q5"}]},
        {"text": "No title.", "qid": "Q1"},
    ]
    lines, tally = [json.dumps(document) for document in documents], Tally()
    rows = read(tmp_path, lines, tally=tally, link_title=True)
    assert [[(link["anchor"], link["target"]) for link in row["links"]] for row in rows] == [
        [("Mercury", "d:Q308")],
        [("river", "River")],
        [],
        [("Rome", "d:Q5")],
        [],
    ]
    assert [row["qid"] for row in rows] == ["Q308", None, "Q220", "Q220", "Q1"]
    assert (tally.counts["linked_title"], tally.drops["title_not_in_text"]) == (2, 1)
    assert not any(row["links"] for row in read(tmp_path, lines[:3]))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not json", "this is not JSON"),
        ('{"text": "a"', "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("[]", "not a JSON object"),
        ('{"title": "a"}', "`text` is missing"),
        ('{"text": 5}', "`text` is missing or no string"),
        (r'{"text": "\ud800"}', "surrogate"),
        ('{"text": "a", "lang": "../x"}', "no language code"),
        ('{"text": "a", "qid": 5}', "`qid` is missing or no string"),
        ('{"text": "a", "qid": " "}', "`qid` is empty"),
        ('{"text": "a", "links": {"start": 0}}', "no list"),
        ('{"text": "a", "links": [{"start": 0, "end": 2, "qid": "Q1"}]}', r"\[0, 2\) is not in the text"),
        ('{"text": "a", "links": [{"start": true, "end": 1, "qid": "Q1"}]}', "is not in the text"),
        ('{"text": "a", "links": [{"start": 0, "end": 1, "qid": "Q1\\tP1"}]}', "`qid` contains a tab"),
        ('{"text": "a", "links": [{"start": 0, "end": 1, "qid": " "}]}', "`qid` is empty"),
        (
            '{"text": "a", "links": [{"start": 0, "end": 1, "qid": 7}]}',
            "(?<!`qid` )`qid` is missing or no string .*quotes",
        ),
        ('{"text": "a", "links": [{"start": 0, "end": 1, "qid": "a\\u200bb"}]}', r"`qid` .*U\+200B"),
        ('{"text": "a", "links": [{"start": 0, "end": 1}]}', "`title` is missing"),
        ('{"text": ' + "9" * 5000 + "}", "this is not JSON"),
    ],
)
def test_bad_lines(tmp_path, line, reason):
    bad: list[BadRecord] = []
    assert [row["text"] for row in read(tmp_path, ['{"text": "a"}', line], on_bad=bad.append)] == ["a"]
    assert bad[0].where == "d.jsonl:2"
    with pytest.raises(InputError, match=rf"d\.jsonl:2: .*{reason}"):
        read(tmp_path, ['{"text": "a"}', line])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "links", "start", "end", "qid", "title", "lang"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=80)
@given(st.lists(values, max_size=3))
def test_any_json_gives_rows_or_bad_records(tmp_path_factory, values):
    bad: list[BadRecord] = []
    rows = read(tmp_path_factory.mktemp("d"), [json.dumps(value) for value in values], on_bad=bad.append)
    for row in rows:
        assert all(row["text"][link["start"] : link["end"]] == link["anchor"] for link in row["links"])


def test_a_line_s_language_is_spelled_as_configured(tmp_path):
    path = tmp_path / "d.jsonl"
    codes = ["pt_br", "PT-BR", "zh-hant", "ltg", "LTG", "sr-Latn"]
    path.write_text("".join(json.dumps({"text": "a", "lang": code}) + "\n" for code in codes))
    config = load(
        BuildConfig,
        {"languages": ["ltg", "pt-BR", "zh_Hant"], "text": [{"lang": "ltg", "path": str(path)}]},
    )
    assert config.json_spellings == ("pt-BR", "zh_Hant")
    rows = read_linked_documents(
        str(path),
        lang="ltg",
        ordinal=0,
        sites={},
        tally=Tally(),
        on_bad=refuse,
        languages=config.json_spellings,
    )
    assert [row["lang"] for row in rows] == ["pt-BR", "pt-BR", "zh_Hant", "ltg", "ltg", "sr-latn"]
    plain = load(BuildConfig, {"languages": ["pt-BR"], "text": [{"lang": "pt-BR", "path": "a.txt"}]})
    assert plain.json_spellings == ()
