"""A finished build tells what is configured and came out empty, with the counts of the reasons."""

import pytest

from kgcorpus.config import BuildConfig, validated
from kgcorpus.contracts.drops import DROPS
from kgcorpus.contracts.manifest import Manifest, TableEntry
from pipelines.remarks import remarks

CONFIG = {
    "languages": ["ltg", "lv", "en"],
    "importance": {"encoder": "roberta-base"},
    "xlr": {"train": 200, "validation": 50, "test": 100},
    "linking": {"dictionary": True},
}
WHOLE = {
    "xlr": (1050, {"questions.train": 200, "questions.validation": 50, "questions.test": 100}, {}),
    "code_switched": (400, {"records.lv": 200, "records.en": 200}, {}),
    "reasoning": (300, {"records.ltg": 100, "records.lv": 100, "records.en": 100}, {}),
    "pages": (9, {"links": 100}, {}),
    "linked_sentences": (90, {"anchor_mention": 60, "dictionary_mention": 7}, {"link_without_item": 40}),
    "passages": (50, {}, {}),
    "jaket_entities": (20, {"categorised": 9}, {"not_described": 8}),
    "jaket_edges": (30, {}, {}),
}


def told(**changes):
    """The lines for a build in which some tables have other rows, counts or drops."""
    tables = {
        name: TableEntry(name, "", "", rows, drops, counts, ())
        for name, (rows, counts, drops) in {**WHOLE, **changes}.items()
    }
    config = validated(BuildConfig, CONFIG, where="test")
    return list(remarks(config, Manifest(tables), tables))


def test_a_build_that_lacks_nothing_is_silent():
    assert told() == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"xlr": (9, {"questions.train": 3}, {"too_few_choices": 40, "same_names": 2})},
            "xlr: 3 of the 350 questions that are asked for (train 3 of 200, validation 0 of 50, "
            "test 0 of 100) (dropped: too_few_choices 40, same_names 2)",
        ),
        (
            {
                "reasoning": (
                    101,
                    {"records.lv": 100, "records.ltg": 1},
                    {"names_missing.ltg": 99, "names_missing.x": 7},
                )
            },
            "reasoning: 1 of ltg, 0 of en, 100 of the richest language: the graph has too few names in them "
            "(dropped: names_missing.ltg 99)",
        ),
        (
            {"code_switched": (200, {"records.lv": 200}, {"nothing_named.en": 5})},
            "code_switched: 0 of en, 200 of the richest language: the graph has too few names in it "
            "(dropped: nothing_named.en 5)",
        ),
        (
            {"linked_sentences": (90, {"dictionary_mention": 1}, {"link_outside_graph": 100})},
            "linked_sentences: 0 of 100 links lead to an entity of the graph "
            "(dropped: link_outside_graph 100). See whether wikipedia[].titles "
            "and the graph have the same ids",
        ),
        (
            {"linked_sentences": (90, {"anchor_mention": 60}, {})},
            "linked_sentences: linking.dictionary marks no name in 90 sentences: they contain no label, "
            "alias or title of an entity, or none with the confidence linking.min_confidence (0.85)",
        ),
        (
            {"passages": (50, {"long_sentence": 5}, {})},
            "passages: 5 of 50 are one sentence that is longer than their length",
        ),
        (
            {"jaket_entities": (0, {}, {"not_described": 8}), "jaket_edges": (0, {}, {})},
            "jaket_entities: no row (dropped: not_described 8), so jaket_edges has none either"
            ". not_described: " + DROPS["not_described"],
        ),
        (
            {"jaket_edges": (0, {}, {"category_edge": 4})},
            "jaket_edges: no row (dropped: category_edge 4). category_edge: " + DROPS["category_edge"],
        ),
    ],
)
def test_what_came_out_empty_is_told_in_one_line(changes, line):
    assert told(**changes) == [line]


def test_categories_that_are_all_null_and_passages_counted_in_words_are_told():
    assert ["has a category" in line for line in told(jaket_entities=(20, {}, {}))] == [True]
    config = validated(BuildConfig, {**CONFIG, "importance": {}}, where="test")
    entry = TableEntry("passages", "", "", 50, {}, {}, ())
    (line,) = remarks(config, Manifest({"passages": entry}), ["passages"])
    assert "counted in words" in line
    assert list(remarks(config, Manifest({"passages": entry}), [])) == []


def test_a_build_in_one_language_of_a_graph_without_cycles_says_so():
    tables = {
        name: TableEntry(name, "", "", 0, {}, {}, ()) for name in ("cycles", "code_switched", "reasoning")
    }
    config = validated(BuildConfig, {"languages": ["ltg"]}, where="test")
    assert list(remarks(config, Manifest(tables), tables)) == [
        "code_switched: no row (languages names ltg only, and a sentence mixes two)",
        "cycles: no row (no three or four entities of the graph form a cycle), so reasoning has none either",
    ]
