"""Parquet files as running text: columns by configuration, links, damage."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kgcorpus.config import TextConfig
from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord, Limits, refuse
from kgcorpus.wiki.column_paths import field_of
from kgcorpus.wiki.documents import read_linked_documents
from kgcorpus.wiki.parquet_documents import is_parquet, read_parquet_documents, row_groups
from kgcorpus.wiki.site import Site

SITES = {"de": Site.of("de", names={"Datei": 6})}


def written(folder: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None, **how: Any) -> str:
    path = str(folder / "x.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, **how)
    return path


def read(path: str, **given: Any) -> list[dict[str, Any]]:
    given = {"lang": "en", "ordinal": 2, "sites": SITES, "tally": Tally(), "on_bad": refuse, **given}
    return list(read_parquet_documents(path, **given))


LINK = st.fixed_dictionaries(
    {"start": st.integers(-1, 6), "end": st.integers(-1, 6)},
    optional={"qid": st.sampled_from(["Q1", "", None]), "title": st.sampled_from(["rome", "Category:X"])},
)
ROW = st.fixed_dictionaries(
    {"text": st.sampled_from(["Rome 😀 is", "a", " ", None])},
    optional={
        "title": st.sampled_from(["my_page", None]),
        "lang": st.sampled_from(["de", "EN", "x y", None]),
        "qid": st.sampled_from(["Q7", "", None]),
        "links": st.lists(LINK, max_size=3),
    },
)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("title", pa.string()),
        ("lang", pa.string()),
        ("qid", pa.string()),
        (
            "links",
            pa.list_(
                pa.struct(
                    [("start", pa.int32()), ("end", pa.int32()), ("qid", pa.string()), ("title", pa.string())]
                )
            ),
        ),
    ]
)


@settings(max_examples=60)
@given(st.lists(ROW, max_size=6), st.integers(1, 4), st.booleans())
def test_a_row_gives_what_a_json_line_gives(tmp_path_factory, rows, group, link_title):
    folder = tmp_path_factory.mktemp("parquet")
    path = written(folder, rows, SCHEMA, row_group_size=group)
    (folder / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {"lang": "en", "ordinal": 2, "sites": SITES, "link_title": link_title}
    expected, found = Tally(), Tally()
    bad: list[BadRecord] = []
    lines = list(
        read_linked_documents(str(folder / "x.jsonl"), tally=expected, on_bad=lambda _: None, **given)
    )
    assert read(path, tally=found, on_bad=bad.append, link_title=link_title) == lines
    assert found.drops == expected.drops
    assert found.counts == expected.counts
    by_group = [
        row
        for i in range(row_groups(path))
        for row in read(path, groups=[i], on_bad=bad.append, link_title=link_title)
    ]
    assert by_group == lines


def test_columns_are_named_by_the_configuration(tmp_path):
    rows = [{"body": "Text.", "text": "other", "name": "T", "links": ["not links"], "id": 7}]
    path = written(tmp_path, rows)
    columns = TextConfig.model_validate(
        {"lang": "en", "path": path, "columns": {"text": "body", "title": "name", "links": None}}
    ).columns
    (row,) = read(path, columns=columns)
    assert (row["text"], row["title"], row["links"], row["page_id"]) == ("Text.", "T", [], -(2 * 2**40 + 1))
    with pytest.raises(InputError, match=r"x\.parquet, row 1: `links` is no list of objects"):
        read(path)
    with pytest.raises(InputError, match=r"no column 'corps', but body, id, .* Name the column of `text`"):
        read(path, columns={"text": "corps"})
    for wrong, message in (
        ({"path": "x.txt", "columns": {"text": "a"}}, r"columns is for \.parquet files and JSON lines"),
        ({"path": path, "columns": {"text": "sections.**"}}, r"`\*\*` is neither first nor last"),
        ({"path": path, "columns": {"title": "**.name"}}, r"`\*\*` is neither first nor last"),
        ({"path": path, "columns": {"id": "a"}}, "'text', 'lang', 'title', 'qid' or 'links'"),
        ({"path": path, "columns": {"text": None}}, r"columns\.text is null"),
        ({"path": path, "documents": "lines"}, "documents is for plain text, but .* is Parquet by its name"),
    ):
        with pytest.raises(ValidationError, match=message):
            TextConfig.model_validate({"lang": "en", **wrong})


def test_rows_of_other_types_are_set_aside_with_their_number(tmp_path):
    bad: list[BadRecord] = []
    path = written(tmp_path, [{"text": 1}, {"text": 2}])
    assert read(path, on_bad=bad.append) == []
    assert [record.where for record in bad] == ["x.parquet, row 1", "x.parquet, row 2"]
    assert all("`text` is missing or no string" in record.reason for record in bad)
    path = written(tmp_path, [{"text": "a" * (2 << 20)}])
    with pytest.raises(InputError, match="longer than 1 MiB"):
        read(path, limits=Limits(record_mib=1))


def test_a_damaged_file_and_a_bomb_are_refused(tmp_path):
    path = Path(written(tmp_path, [{"text": str(n) * 50} for n in range(2000)], compression="zstd"))
    assert is_parquet(str(path))
    data = path.read_bytes()
    for damaged in (data[:-9], data[: len(data) // 2], b"PAR1" + bytes(40) + b"PAR1", b"text", b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"x\.parquet: this cannot be read as Parquet"):
            read(str(path))
    path.write_bytes(data[:200] + bytes(400) + data[600:])
    with pytest.raises(InputError, match=r"x\.parquet: this cannot be read as Parquet"):
        read(str(path))
    bomb = written(tmp_path, [{"text": "a" * (1 << 20)}] * 200)
    with pytest.raises(InputError, match="more than 100 times its size"):
        read(bomb)


PART = {"type": "paragraph", "name": None, "value": None, "has_parts": None}
ARTICLE = {
    "name": "Rome",
    "main_entity": {"identifier": "Q220"},
    "in_language": {"identifier": "de"},
    "labels": [["Roma", "Rom"]],
    "sections": [
        {"type": "section", "name": "Abstract", "has_parts": [{**PART, "value": "Rome is a city."}]},
        {
            "type": "section",
            "name": "History",
            "has_parts": [
                {**PART, "value": "It is old."},
                {
                    **PART,
                    "type": "section",
                    "value": "Its age:",
                    "has_parts": [{"type": "paragraph", "value": "Very old."}],
                },
            ],
        },
    ],
    "a.b": "a name with a dot",
}
ALL_TEXT = "Rome is a city.\nIt is old.\nIts age:\nVery old."


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": "sections.**.value"}, {"text": ALL_TEXT, "title": "", "qid": None, "lang": "en"}),
        ({"text": "sections.has_parts.value"}, {"text": "Rome is a city.\nIt is old.\nIts age:"}),
        ({"text": "sections.has_parts.has_parts.value"}, {"text": "Very old."}),
        ({"text": "a.b", "title": "labels"}, {"text": "a name with a dot", "title": "Roma"}),
        ({"text": "labels"}, {"text": "Roma\nRom"}),
        (
            {
                "text": "sections.**.value",
                "title": "name",
                "qid": "main_entity.identifier",
                "lang": "in_language.identifier",
            },
            {"text": ALL_TEXT, "title": "Rome", "qid": "Q220", "lang": "de"},
        ),
    ],
    ids=str,
)
def test_nested_columns_are_read_by_their_paths(tmp_path, form, columns, expected):
    entry = {"lang": "en", "path": f"x.{form}", "columns": columns}
    columns = TextConfig.model_validate(entry).columns
    if form == "parquet":
        (row,) = read(written(tmp_path, [ARTICLE]), columns=columns)
    else:
        (tmp_path / "x.jsonl").write_text(json.dumps(ARTICLE) + "\n")
        given = {"lang": "en", "ordinal": 2, "sites": SITES, "tally": Tally(), "on_bad": refuse}
        (row,) = read_linked_documents(str(tmp_path / "x.jsonl"), columns=columns, **given)
    assert expected.items() <= row.items()
    assert row["page_id"] == -(2 * 2**40 + 1)


def test_a_path_without_values_is_no_text_and_one_without_a_column_is_refused(tmp_path):
    tally = Tally()
    rows = [{"sections": None}, {"sections": []}, {"sections": [{"value": None, "n": 1}]}]
    path = written(tmp_path, [*rows, {"sections": [{"value": "A text.", "n": 1}]}])
    (row,) = read(path, columns={"text": "sections.value"}, tally=tally)
    assert (row["text"], row["page_id"]) == ("A text.", -(2 * 2**40 + 4))
    assert tally.drops == {"no_text": 3}
    for wrong in (
        "sections.text",
        "sections.value.text",
        "sections.**.text",
        "parts.value",
        "sections..value",
    ):
        with pytest.raises(InputError, match=rf"it has no column '{re.escape(wrong)}', but sections"):
            read(path, columns={"text": wrong})
    bad: list[BadRecord] = []
    assert read(path, columns={"text": "sections.n"}, on_bad=bad.append) == []
    assert [record.where for record in bad] == ["x.parquet, row 3", "x.parquet, row 4"]
    assert all("`sections.n` has a value that is no string" in record.reason for record in bad)


def test_links_may_be_nested(tmp_path):
    links = [{"start": 0, "end": 4, "title": "rome"}, {"start": 8, "end": 9, "qid": "Q1"}]
    row = {"text": "Rome is a city.", "more": {"links": links}}
    (found,) = read(written(tmp_path, [row]), columns={"links": "more.links"})
    assert [link["target"] for link in found["links"]] == ["Rome", "d:Q1"]


def test_a_value_that_is_nested_too_deeply_is_a_bad_record():
    row: dict[str, Any] = {"b": "x"}
    for _ in range(5000):
        row = {"a": row}
    with pytest.raises(BadRecord, match=r"`a\.\*\*\.b` is nested too deeply"):
        field_of(row, "text", "a.**.b")
