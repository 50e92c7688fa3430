import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.report.visible import visible


@given(st.text())
def test_nothing_is_left_that_steers_a_terminal(text):
    shown = visible(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(character) for character in shown} & {
        "LRO",
        "RLO",
        "LRE",
        "RLE",
        "PDF",
    }
    shown.encode("utf-8")


def test_letters_of_every_script_stay():
    text = "Zürich 東京 नई‌दिल्ली 서울 👩‍🔬"
    assert visible(text) == text


def test_escapes_are_readable():
    assert visible("\x1b[31mred\x9b\u202e\n") == r"\x1b[31mred\x9b\u202e\n"
