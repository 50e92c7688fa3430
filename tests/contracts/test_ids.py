"""An id is any string, under one rule for every reader."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kgcorpus.contracts.ids import PAGE_TARGET, read_id
from kgcorpus.contracts.tally import Tally
from kgcorpus.inputs import BadRecord, refuse
from kgcorpus.kg import readers
from kgcorpus.linking.gold import read_gold
from kgcorpus.linking.targets import page_target, page_title
from kgcorpus.wiki.documents import read_linked_documents
from tests.opaque import OPAQUE_IDS

ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


def in_a_graph(field: str) -> str:
    return readers.parse_triple(f"{field}\tP1\tQ1").h


def in_types(field: str) -> str:
    return readers.parse_types(f"x\t{field}").types[0]


@given(ANY)
@example("[[de:Berlin]]")
@example("[[Berlin]]")
@example(" Q1 ")
@example("h")
def test_one_rule_decides_what_is_an_id(text: str) -> None:
    if re.search("[\t\n\r\0]", text):
        with pytest.raises(ValueError, match="contains"):
            read_id(f"a{text}b")
        return
    try:
        ident = read_id(text)
    except ValueError:
        with pytest.raises(BadRecord):
            in_a_graph(text)
        return
    assert ident == text.strip()
    assert (in_a_graph(text), in_types(text)) == (ident, ident)


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("می‌خواهم", True),
        ("ক্‍ষ", True),
        ("അവന്‍", True),
        ("श्री‌मान", True),
        ("‌می", False),
        ("می‌", False),
        ("Q‌1", False),
        ("می‌Q1", False),
        ("می‌‌خواهم", False),
    ],
)
def test_a_joiner_is_part_of_an_id_where_its_script_joins_letters(text: str, is_id: bool) -> None:
    if is_id:
        assert read_id(text) == in_a_graph(text) == text
        return
    with pytest.raises(ValueError, match=r"U\+200C"):
        read_id(text)


@given(st.sampled_from(["en", "zh-Hant", "be_tarask", "x-mine"]), ANY)
def test_a_page_without_an_item_is_never_an_id(lang: str, title: str) -> None:
    target = page_target(lang, title)
    assert page_title(target) == title
    assert PAGE_TARGET.fullmatch(target)
    with pytest.raises(ValueError, match=r"contains|page without an item"):
        read_id(target)


@pytest.mark.parametrize("ident", OPAQUE_IDS)
def test_links_and_gold_texts_have_such_ids(ident: str, tmp_path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"text": "a", "links": [{"start": 0, "end": 1, "qid": f" {ident} "}]}))
    (row,) = read_linked_documents(str(path), lang="ltg", ordinal=0, sites={}, tally=Tally(), on_bad=refuse)
    assert row["links"][0]["target"] == f"d:{ident}"
    gold = tmp_path / "g.jsonl"
    gold.write_text(json.dumps({"text": "a", "labels": [{"span": [0, 1], "entity_id": ident}]}))
    (text,) = read_gold(gold, is_entity=lambda found: found == ident)
    assert text.mentions == {(0, 1, ident)}
