import re

import pyarrow as pa
import pytest

from kgcorpus.contracts.scripts import UNSPACED_CHARACTERS, UNSPACED_SCRIPTS, is_unspaced
from kgcorpus.contracts.tables import TABLES
from kgcorpus.contracts.tally import Tally
from kgcorpus.linking.anchors import link_page
from kgcorpus.linking.characters import SINGLE, character_table
from kgcorpus.wiki.passages import Kind, TokenCounter, passage_batches


@pytest.mark.parametrize("lang", ["ja", "zh", "zh-Hant", "zh_hant_TW", "zh-yue", "yue", "wuu", "ZH"])
def test_variants_of_unspaced_languages_are_unspaced(lang):
    assert is_unspaced(lang)


@pytest.mark.parametrize("lang", ["en", "ko", "vi", "zh-min-nan", "zha", "jam", "th"])
def test_other_languages_are_spaced(lang):
    assert not is_unspaced(lang)


@pytest.mark.parametrize(("lang", "text"), [("zh-Hant", "台北。台南。"), ("zh-min-nan", "Tâi-pak. Tâi-lâm.")])
def test_sentences_of_a_passage_are_joined_as_the_language_writes(lang, text):
    parts = re.findall(r"[^ 。.]+[。.]", text)
    sentences = [
        {"sentence_id": f"1:{i}", "page_id": 1, "ordinal": i, "lang": lang, "text": part, "mentions": []}
        for i, part in enumerate(parts)
    ]
    (made,) = passage_batches(
        pa.RecordBatch.from_pylist(sentences, schema=TABLES["linked_sentences"].schema),
        kinds=[Kind("plain", 50)],
        counter=TokenCounter(lambda texts: [len(t) for t in texts]),
        tally=Tally(),
    )
    assert made["text"].to_pylist() == [text]


@pytest.mark.parametrize("lang", ["zh", "zh-Hant"])
def test_a_name_inside_a_run_of_han_is_found_again_in_every_variant(lang):
    text = "京都市很大。我到京都市去。"
    link = {"start": 0, "end": 3, "anchor": "京都市", "target": "Kyoto", "qid": "Q1"}
    page = {"page_id": 1, "title": "页", "lang": lang, "text": text, "links": [link], "redirect": None}
    rows = list(link_page(page, tally=Tally()))
    assert [(m["source"], m["qid"]) for row in rows for m in row["mentions"]] == [
        ("anchor", "Q1"),
        ("same_page", "Q1"),
    ]


def test_the_spotter_and_the_regular_expressions_have_one_list():
    pattern = re.compile(f"[{UNSPACED_CHARACTERS}]")
    kinds = character_table() & 7
    for first, last in UNSPACED_SCRIPTS:
        for code in range(first, last + 1, 97):
            assert pattern.fullmatch(chr(code))
            if chr(code).isalpha() and chr(code).isprintable():
                assert kinds[code] == SINGLE
