"""The official scripts of SQuAD 1.1 and MLQA, step by step, beside ours."""

import re
import string
import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainer.evaluate.metrics import best, mlqa_words, squad_words

TEXT = st.text(alphabet="aA the.,-!é 大小，。the ein die “”", max_size=25)


def squad(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def mlqa(text, lang):
    punctuation = {c for c in text.lower() if unicodedata.category(c).startswith("P")} | set(
        string.punctuation
    )
    text = "".join(c for c in text.lower() if c not in punctuation)
    articles = {
        "en": r"\b(a|an|the)\b",
        "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
        "vi": r"\b(của|là|cái|chiếc|những)\b",
        "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    }
    text = re.sub(articles[lang], " ", text) if lang in articles else text
    if lang != "zh":
        return " ".join(text.split())
    segments, word = [], ""
    for c in text:
        if "\u4e00" <= c <= "\u9fa5":
            segments += [*word.split(), c]
            word = ""
        else:
            word += c
    return " ".join([*segments, *word.split()])


@given(TEXT)
@example("The U.S.A., an island")
def test_squad_s_normalisation(text):
    assert " ".join(squad_words(text)) == squad(text)


@given(TEXT, st.sampled_from(["en", "de", "es", "vi", "hi", "zh"]))
@example("在 1990 年，the 大会", "zh")
@example("die „Ulmer“ einer", "de")
def test_mlqa_s_normalisation(text, lang):
    assert " ".join(mlqa_words(text, lang=lang)) == mlqa(text, lang)


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3))
def test_the_best_answer_counts(predicted, answers):
    def f1(one, other):
        one, other = squad(one).split(), squad(other).split()
        same = sum((Counter(one) & Counter(other)).values())
        if not same:
            return 0.0
        precision, recall = same / len(one), same / len(other)
        return 2 * precision * recall / (precision + recall)

    exact, overlap = best(predicted, answers, squad_words)
    assert exact == max(squad(predicted) == squad(answer) for answer in answers)
    assert overlap == pytest.approx(max(f1(predicted, answer) for answer in answers))
