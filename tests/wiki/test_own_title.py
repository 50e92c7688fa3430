"""Where a document's title stands in its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.typography import PLAIN
from kgcorpus.wiki.own_title import bare_title, first_mention


def test_a_title_without_its_parenthesis():
    assert bare_title("Mercury (planet)") == "Mercury"
    assert bare_title("水星（惑星）") == "水星"
    assert bare_title("(What's the Story)") == "(What's the Story)"


@pytest.mark.parametrize(
    ("title", "text", "lang", "found"),
    [
        ("Mercury (planet)", "The planet Mercury.", "en", "Mercury"),
        ("River", "A river is water. River", "en", "river"),
        ("ONU", "L'ONU, onu", "fr", "ONU"),
        ("Élan", "Un élan.", "fr", "élan"),
        ("Austria", "In Austria-Hungary and Austrian towns", "en", None),
        ("Hungary", "In Austria-Hungary, not in Hungary", "en", "Hungary"),
        ("C++", "The language C++ (not C)", "en", "C++"),
        ("東京", "日本の東京都", "ja", "東京"),
        ("カナ", "カタカナとカナ", "ja", "カナ"),
        ("서울", "서울은 도시", "ko", "서울"),
        ("서울", "서울대", "ko", None),
        ("---", "a --- b", "en", None),
        ("Rome", "no such word", "en", None),
    ],
)
def test_the_first_whole_mention(title, text, lang, found):
    span = first_mention(title, text, lang)
    assert (text[slice(*span)] if span else None) == found


def test_the_later_of_two_mentions_is_the_whole_one():
    assert first_mention("Hungary", "In Austria-Hungary, not in Hungary", "en") == (27, 34)
    assert first_mention("カナ", "カタカナとカナ", "ja") == (5, 7)


@given(st.text(max_size=8), st.text(max_size=30), st.sampled_from(["en", "ja", "ko", "zh"]))
def test_a_mention_is_the_bare_title_but_for_its_first_letter(title, text, lang):
    span = first_mention(title, text, lang)
    if span is not None:
        name, found = plain(bare_title(title)), plain(text[slice(*span)])
        assert found.startswith((name[0], name[0].lower()))
        assert found.endswith(name[1:])


def plain(text):
    return "".join(PLAIN.get(character, character) for character in " ".join(text.split()))


@pytest.mark.parametrize(
    ("title", "text", "found"),
    [
        ("Marie Curie", "Skłodowska, dite Marie\u00a0Curie.", "Marie\u00a0Curie"),
        ("J. K. Rowling", "Joanne Rowling, J.\u202fK.\u00a0 Rowling.", "J.\u202fK.\u00a0 Rowling"),
        ("Aborigènes d'Australie", "Les Aborigènes d’Australie.", "Aborigènes d’Australie"),
        ("Rock ’n’ roll", "It is rock 'n' roll.", "rock 'n' roll"),
        ("Anglo-Dutch wars", "The Anglo–Dutch wars.", "Anglo–Dutch wars"),
        ('"Heroes" (song)', "He sang “Heroes”.", "“Heroes”"),
        ("Paris Texas", "Paris\nTexas", None),
        ("A b", "a c, A b", "A b"),
    ],
)
def test_typography_is_no_difference(title, text, found):
    span = first_mention(title, text, "en")
    assert (span and text[slice(*span)]) == found
