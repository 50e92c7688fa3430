"""Wikidata's JSON dump: the official samples, hostile entities."""

import bz2
import contextlib
import gzip
import json
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import BadRecord, FilePart
from kgcorpus.kg.wikidata import entity_lines, facts_in, is_wikidata_dump, parse_entity, rows_in

FIELDS = ("labels", "relations", "descriptions", "types")


def statement(relation, value, rank="normal", kind="value"):
    snak = {"snaktype": kind, "property": relation}
    if kind == "value":
        snak["datavalue"] = {"type": "wikibase-entityid", "value": value}
    return {"rank": rank, "mainsnak": snak}


ENTITY = {
    "type": "item",
    "id": "Q1",
    "labels": {"en": {"language": "en", "value": "Earth"}, "xx": {"value": "?"}},
    "aliases": {
        "en": [{"value": "Earth"}, {"value": "Terra"}, {"value": "Terra"}],
        "de": [{"value": "Erde"}],
    },
    "descriptions": {"en": {"value": "planet"}},
    "claims": {
        "P31": [
            statement("P31", {"entity-type": "item", "numeric-id": 5, "id": "Q5"}),
            statement("P31", {"entity-type": "item", "numeric-id": 6}),
            statement("P31", {"entity-type": "item", "id": "Q7"}, "deprecated"),
        ],
        "P2": [
            statement("P2", {"id": "Q8"}),
            statement("P2", {"id": "Q9"}, "preferred"),
            statement("P2", None, "preferred", "somevalue"),
        ],
        "P3": [statement("P3", "text"), statement("P3", {"id": "P31"}), statement("P3", {"time": "+2000"})],
    },
}


def drawn(entity, field, languages=("en", "de")):
    return list(rows_in(parse_entity(json.dumps(entity)), field, languages))


def test_what_an_item_gives():
    assert drawn(ENTITY, "labels") == [("Q1", "en", "Earth", ["Terra"]), ("Q1", "de", None, ["Erde"])]
    assert drawn(ENTITY, "descriptions") == [("Q1", "planet")]
    assert drawn(ENTITY, "types") == [("Q1", ["Q5", "Q6"])]
    assert drawn(ENTITY, "relations") == []
    assert list(facts_in(ENTITY)) == [("Q1", "P31", "Q5"), ("Q1", "P31", "Q6"), ("Q1", "P2", "Q9")]


def test_a_language_without_names_has_those_of_broader_codes_and_of_mul():
    entity = {
        "id": "Q1",
        "labels": {"mul": {"value": "Bach"}, "pt": {"value": "Baque"}, "zh-hant": {"value": "巴哈"}},
        "aliases": {"mul": [{"value": "J. S."}], "pt-br": [{"value": "Joao"}]},
        "descriptions": {"pt": {"value": "compositor"}},
    }
    languages = ("pt-br", "zh", "de", "pt")
    assert drawn(entity, "labels", languages) == [
        ("Q1", "pt-br", "Baque", ["Joao"]),
        ("Q1", "zh", "巴哈", ["J. S."]),
        ("Q1", "de", "Bach", ["J. S."]),
        ("Q1", "pt", "Baque", ["Joao"]),
    ]
    assert drawn(entity, "descriptions", languages) == [("Q1", "compositor")]
    assert drawn({**entity, "aliases": {"mul": [{"value": "Bach"}]}}, "labels", ["de"]) == [
        ("Q1", "de", "Bach", [])
    ]


def test_a_property_gives_names_to_relations_alone():
    entity = {**ENTITY, "id": "P17", "type": "property"}
    assert drawn(entity, "relations")[0] == ("P17", "en", "Earth", ["Terra"])
    assert drawn(entity, "labels") == drawn(entity, "types") == []
    assert all(not drawn({**ENTITY, "id": "L17"}, field) for field in FIELDS)


def test_empty_lists_in_the_place_of_objects():
    bare = {"id": "Q1", "labels": [], "aliases": [], "descriptions": [], "claims": []}
    assert all(not drawn(bare, field) for field in FIELDS)
    assert all(not drawn({"id": "Q1"}, field) for field in FIELDS)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_lines_of_a_dump(tmp_path, pack):
    path = tmp_path / ("x.json" + {bytes: "", gzip.compress: ".gz", bz2.compress: ".bz2"}[pack])
    path.write_bytes(pack(b'[\n{"id":"Q1"},\n\xff,\n{"id":"Q2"}\n]\n'))
    assert is_wikidata_dump(str(path))
    lines = [(line.where("x"), line.text) for line in entity_lines(FilePart(str(path)))]
    assert lines == [("x:2", b'{"id":"Q1"}'), ("x:3", b"\xff"), ("x:4", b'{"id":"Q2"}')]


@pytest.mark.parametrize("end", ["", "\n", "\r\n\r\n", "[\n", ",\n"])
def test_a_dump_cut_short_is_refused(tmp_path, end):
    path = tmp_path / "x.json"
    path.write_text('[\n{"id":"Q1"},\n' + end)
    with pytest.raises(InputError, match=r"x\.json: the list has no end"):
        list(entity_lines(FilePart(str(path))))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not an entity a line"),
        ("[]", "no proper `id`"),
        ('{"entities": {}}', "no proper `id`"),
        ('{"id": "Q0"}', "no proper `id`"),
        ('{"id": 5}', "no proper `id`"),
        ("[" * 100_000, "not an entity a line"),
        (r'{"id": "Q1", "labels": {"en": {"value": "\udc00"}}}', "surrogate"),
    ],
)
def test_what_is_no_entity(line, reason):
    with pytest.raises(BadRecord, match=reason):
        parse_entity(line)


def test_what_is_wrong_is_named():
    with pytest.raises(BadRecord, match="None has no text as its value"):
        drawn({**ENTITY, "labels": {"en": None}}, "labels")
    for relation in ("", "a\tb", "Q5", "P0"):
        with pytest.raises(BadRecord, match="among the claims is no property's id"):
            list(facts_in({**ENTITY, "claims": {relation: []}}))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["en", "value", "P31", "mainsnak", "datavalue", "rank", "id", "snaktype"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.sampled_from(["labels", "aliases", "descriptions", "claims"]), junk, st.sampled_from("QP"))
def test_any_json_is_drawn_or_a_bad_record(field, value, kind):
    entity = parse_entity(json.dumps({**ENTITY, "id": f"{kind}1", field: value}))
    for draw in (*(partial(rows_in, entity, of, ["en"]) for of in FIELDS), partial(facts_in, entity)):
        with contextlib.suppress(BadRecord):
            for row in draw():
                assert all(isinstance(part, str | list | None) for part in row)
