import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.kg.visible_text import INVISIBLE, one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("New York", "New York"),
        ("New\tYork\n", "New York"),
        ("a\u200bb\ufeff", "ab"),
        ("\u200eDUKE\u200e", "DUKE"),
        ("\u202eabc\u202c", "abc"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("Jean\xa0Paul", "Jean\xa0Paul"),
        ("a  b\u2028c", "a b c"),
        (" \u200b ", ""),
        ("[MASK] <s>", "[MASK] <s>"),
    ],
)
def test_a_name_is_one_line_of_what_a_reader_sees(text, expected):
    assert one_line(text) == expected


@given(st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("\u200b\u202e\t\n \u200d\xad")))
def test_any_text_becomes_one_line_without_marks_and_stays_so(text):
    line = one_line(text)
    assert one_line(line) == line == line.strip()
    assert not INVISIBLE.search(line)
    assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in line)
    assert "  " not in line
