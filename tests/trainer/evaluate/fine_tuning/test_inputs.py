from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from trainer.evaluate.fine_tuning.inputs import NO_LABEL, drawn, examples_of_words, rows_of_texts

WORDS = st.lists(st.text(alphabet="aUlm大小é.-'", min_size=1, max_size=8), min_size=1, max_size=8)


@pytest.fixture(scope="module", params=["bert", "roberta"])
def tokenizer(request):
    return AutoTokenizer.from_pretrained(request.getfixturevalue(request.param))


@given(words=WORDS)
def test_a_word_s_class_stands_at_its_first_token(tokenizer, words):
    (example,), (places,) = examples_of_words(
        tokenizer, [(words, list(range(len(words))))], max_length=500, cut=Counter()
    )
    # A second way: the offsets of the joined text, looked up for each word's first character.
    encoding = tokenizer(" ".join(words), return_offsets_mapping=True)
    starts = [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]
    expected = [
        next(t for t, (a, b) in enumerate(encoding["offset_mapping"]) if a <= start < b) for start in starts
    ]
    assert places == expected
    assert list(example.rows[0].ids) == encoding["input_ids"]
    labelled = {place: label for place, label in enumerate(example.target) if label != NO_LABEL}
    assert labelled == {place: i for i, place in enumerate(expected)}


def test_words_beyond_the_length_are_cut_and_counted(tokenizer):
    cut = Counter()
    (example,), (places,) = examples_of_words(tokenizer, [(["Ulm"] * 20, [0] * 20)], max_length=10, cut=cut)
    assert example.length <= 10
    assert cut["words"] == places.count(None) > 0
    assert None not in places[: 20 - cut["words"]]


def test_texts_are_cut_the_longer_first_and_counted(tokenizer):
    cut = Counter()
    short, cut_row = rows_of_texts(tokenizer, ["Ulm", "Rome " * 40], ["Oslo", "Lima"], max_length=20, cut=cut)
    assert cut == {"texts": 1}
    assert len(short.ids) < len(cut_row.ids) == 20
    assert "Lima" in tokenizer.decode(cut_row.ids)
    assert len(short.types) == len(short.ids)


def test_a_limit_draws_the_same_items_in_their_order():
    items = [f"x{i}" for i in range(50)]
    few = drawn(items, 5)
    assert few == sorted(few, key=items.index)
    assert few != items[:5]
    assert set(few) < set(drawn(items, 20))
    assert drawn(items, None) == drawn(items, 50) == items
