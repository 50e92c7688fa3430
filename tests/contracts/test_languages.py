"""Codes of languages, and whose names serve a language."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.languages import LANGUAGE_CODE, fallback_codes, language_key, nearest
from kgcorpus.kg.wikidata import rows_in
from kgcorpus.linking.function_words import FUNCTION_WORDS
from kgcorpus.wiki.abbreviations import ABBREVIATIONS, DEFAULT, abbreviations_of
from kgcorpus.wiki.site import LANGUAGE_CODES

DOC = Path(__file__).parents[2] / "docs" / "inputs.md"
_ROW = re.compile(r"^\| `(\S+)` \| ((?:`\S+`(?:, )?)+) \|$", re.MULTILINE)
ROWS = [
    (lang, re.findall("`(.+?)`", codes))
    for lang, codes in _ROW.findall(DOC.read_text(encoding="utf-8").partition("## Languages")[2])
]
TAGS = st.from_regex(LANGUAGE_CODE, fullmatch=True)


def test_the_table_of_fallbacks_has_rows() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize(("lang", "codes"), ROWS)
def test_fallback_codes_are_those_of_the_document(lang: str, codes: list[str]) -> None:
    found = [code for code in fallback_codes(lang) if language_key(code) != language_key(lang)]
    assert found == codes


@pytest.mark.parametrize(("lang", "codes"), ROWS)
def test_an_entity_has_the_name_of_the_first_code_that_has_one(lang: str, codes: list[str]) -> None:
    for first in range(len(codes)):
        entity = {"id": "Q1", "labels": {code: {"value": code} for code in codes[first:]}}
        assert [row.label for row in rows_in(entity, "labels", [lang])] == [codes[first]]
    assert not list(rows_in({"id": "Q1", "labels": {"qqq": {"value": "x"}}}, "labels", [lang]))


@given(TAGS)
def test_every_language_falls_back_to_mul_and_repeats_no_code(lang: str) -> None:
    codes = list(fallback_codes(lang))
    assert (codes[0], codes[-1]) == (lang, "mul")
    assert len(set(codes)) == len(codes)
    assert {language_key(code) for code in codes[1:]} == set(codes[1:])


@given(st.sampled_from(sorted(LANGUAGE_CODES)))
def test_every_wikipedia_s_code_is_a_language_code(code: str) -> None:
    assert LANGUAGE_CODE.fullmatch(code)


@pytest.mark.parametrize(
    "code", ["EN", "en-US", "zh_Hant", "sr-Latn-RS", "x-mine", "qaa-x-own", "mul", "und"]
)
def test_tags_of_bcp_47_are_language_codes(code: str) -> None:
    assert LANGUAGE_CODE.fullmatch(code)


@pytest.mark.parametrize("code", ["", "e", "Bob", "english", "../en", "en-", "-en", "en/x", "x", "en us"])
def test_other_words_are_none(code: str) -> None:
    assert not LANGUAGE_CODE.fullmatch(code)


def test_a_code_is_short_enough_for_the_name_of_a_file() -> None:
    assert LANGUAGE_CODE.fullmatch("x" + "-abcdefghijkl" * 5)
    assert not LANGUAGE_CODE.fullmatch("x" + "-abcdefghijkl" * 6)
    assert not LANGUAGE_CODE.fullmatch("en-" + "a" * 13)


def test_rules_of_a_variant_are_those_of_its_language() -> None:
    assert abbreviations_of("pt-BR") == ABBREVIATIONS["pt"]
    assert abbreviations_of("DE_at") == ABBREVIATIONS["de"]
    assert abbreviations_of("simple") == ABBREVIATIONS["en"]
    assert abbreviations_of("ltg") == DEFAULT
    assert nearest(FUNCTION_WORDS, "en-GB", frozenset()) == FUNCTION_WORDS["en"]
    assert nearest(FUNCTION_WORDS, "ltg", frozenset()) == frozenset()
