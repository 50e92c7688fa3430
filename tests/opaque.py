"""Ids, names and languages as strangers write them, for tests that draw them at random."""

from hypothesis import strategies as st

from kgcorpus.contracts.ids import read_id
from kgcorpus.contracts.languages import LANGUAGE_CODE, language_key
from kgcorpus.kg.visible_text import one_line

# CURIEs, URIs, names, words that other programs read as no value or as a number, and marks of other formats.
OPAQUE_IDS = (
    "dbr:Berlin",
    "http://example.org/a#b/c?d=e&f",
    "Douglas Adams",
    "007",
    "1e5",
    "-1",
    "nan",
    "null",
    "NULL",
    "None",
    "true",
    r"\N",
    "NIL",
    "Unknown1",
    "QUANTITY",
    'O\'Neill "x"',
    "a,b;c|d",
    "%20",
    "d:x",
    "[[Berlin]]",
    "Q64 en",
    "ключ",
    "東京",
    "عربي",
    "می‌خواهم",
    "#1",
    "a\\tb",
)
# Stems of words of several scripts; a number makes names of them that differ.
STEMS = (
    *[
        "Rēzekne",
        "Daugava",
        "Ōsaka",
        "Łódź",
        "Київ",
        "Αθήνα",
        "ירושלים",
        "القاهرة",
        "दिल्ली",
        "서울",
        "京",
        "กรุงเทพ",
    ],
    "O'Neill & Co.",
)


def _is_id(text: str) -> bool:
    try:
        return read_id(text) == text
    except ValueError:
        return False


_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Cn", "Co")), min_size=1, max_size=12)
ids = st.sampled_from(OPAQUE_IDS) | _TEXT.filter(_is_id)
labels = _TEXT.map(one_line).filter(lambda text: any(map(str.isalnum, text)))
languages = st.sampled_from(
    ["ltg", "be-tarask", "zh-Hant", "sr-Latn", "x-mine", "simple", "nan", "PT", "zh_yue"]
) | st.from_regex(LANGUAGE_CODE, fullmatch=True).filter(lambda code: language_key(code) != "mul")
