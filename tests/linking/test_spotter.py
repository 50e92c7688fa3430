"""The spotter finds what brute force finds."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.errors import KgcorpusError
from kgcorpus.linking.characters import normalise
from kgcorpus.linking.spotter import Spotter

LETTERS = "abÁé1カー"
TEXT = st.text(alphabet=LETTERS + "中国の-'’.\"“ \u00a0\n\u200d😀", max_size=40)
# The rules once more: letters make words, a joiner says nothing, any other character stands alone.
TOKEN = re.compile(rf"[{LETTERS}](?:\u200d*[{LETTERS}])*|[^\s\u200d]")


def brute_force(text, names):
    """(start, end, name) of every name at any token, by comparing texts."""
    tokens = [token.span() for token in TOKEN.finditer(text)]
    return [
        (first, last, normalise(text[start:end]))
        for first, (start, _) in enumerate(tokens)
        for last, (_, end) in enumerate(tokens[first:], start=first)
        if "\n" not in text[start:end] and normalise(text[start:end]) in names
    ], tokens


def leftmost_longest(found):
    kept, free = [], 0
    for first, last, name in sorted(found, key=lambda spot: (spot[0], -spot[1])):
        if first >= free:
            kept.append((first, last, name))
            free = last + 1
    return kept


@st.composite
def texts_and_names(draw):
    text = draw(TEXT)
    cuts = draw(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=12))
    parts = [text[start : start + length] for start, length in cuts] + draw(st.lists(TEXT, max_size=4))
    return text, sorted({normalise(part) for part in parts} - {""})


@settings(max_examples=300)
@given(texts_and_names())
def test_spots_are_those_of_brute_force(case):
    text, names = case
    spotter = Spotter.build(names)
    expected, tokens = brute_force(text, set(names))
    every = spotter.every(spotter.tokens(text))
    assert [
        (first, last, names[name])
        for first, last, name in zip(every.first, every.last, every.names, strict=True)
    ] == expected
    longest = spotter.longest(text)
    assert [
        (start, end, names[name])
        for start, end, name in zip(longest.starts, longest.ends, longest.names, strict=True)
    ] == [(tokens[a][0], tokens[b][1], name) for a, b, name in leftmost_longest(expected)]


def spotted(text, *names):
    spotter = Spotter.build([normalise(name) for name in names])
    spots = spotter.longest(text)
    return [text[start:end] for start, end in zip(spots.starts, spots.ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("In New\u00a0 York now", "New York", ["New\u00a0 York"]),
        ("New\nYork", "New York", []),  # two lines of a list
        ("Yorkshire, New York's", "York", ["York"]),
        ("U. S. and U.S.", "U.S.", ["U.S."]),
        ("我在北京大学读书", "北京大学", ["北京大学"]),
        ("東京都はアメリカン", "アメリカ", []),  # katakana is a word
        ("O’Brien", "O'Brien", ["O’Brien"]),
        ("Ｂｅｒｌｉｎ", "Berlin", ["Ｂｅｒｌｉｎ"]),
        ("so\u00adft Soft", "soft", ["so\u00adft"]),
    ],
)
def test_borders(text, name, found):
    assert spotted(text, name) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("서울에서는 춥다", ["서울"]),
        ("서울시", []),
        ("새서울", []),
        ("서울", ["서울"]),
        ("서울이었다.", ["서울"]),
    ],
)
def test_korean_names_stand_before_particles(text, found):
    assert spotted(text, "서울") == found


@settings(max_examples=100)
@given(st.text(alphabet="aeo\u0301\u0323 đ.", max_size=20))
def test_decomposed_text_gives_the_same_names_at_its_own_places(text):
    text = unicodedata.normalize("NFC", text)
    words = sorted({normalise(word) for word in text.split()} - {""})
    apart = unicodedata.normalize("NFD", text)
    assert [unicodedata.normalize("NFC", name) for name in spotted(apart, *words)] == spotted(text, *words)


def test_mapped_files_give_the_same(tmp_path):
    spotter = Spotter.build(["New York", "York", "中国"])
    spotter.save(tmp_path)
    text = "New York, York, 中国"
    for a, b in zip(spotter.longest(text), Spotter.open(tmp_path).longest(text), strict=True):
        np.testing.assert_array_equal(a, b)
    assert Spotter.open(tmp_path).find("York") == 1
    assert Spotter.open(tmp_path).find("New") == -1


def test_a_name_given_twice_is_refused():
    with pytest.raises(KgcorpusError, match="twice"):
        Spotter.build(["a", "b", "a"])


def test_no_names_and_no_text():
    assert spotted("some text") == []
    assert spotted("", "name") == []
