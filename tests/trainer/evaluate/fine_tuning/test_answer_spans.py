import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from trainer.evaluate.fine_tuning.answer_spans import Question, best_span, windows


@pytest.fixture(scope="module", params=["bert", "roberta"])
def tokenizer(request):
    return AutoTokenizer.from_pretrained(request.getfixturevalue(request.param))


@given(st.integers(0, 2**32), st.integers(1, 45))
def test_the_best_span_is_the_best_of_all(seed, tokens):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(tokens, 2)).astype(np.float32)
    allowed = rng.random(tokens) < 0.7
    allowed[0] = True
    spans = {
        (i, j): scores[i, 0] + scores[j, 1]
        for i in range(tokens)
        for j in range(i, min(tokens, i + 30))
        if allowed[i] and allowed[j]
    }
    score, first, last = best_span(scores, allowed)
    assert score == max(spans.values()) == spans[first, last]


def certain(found):
    """Scores that point at each window's target, and are lower where the answer is not in it."""
    scores = []
    for example in found.examples:
        score = np.zeros((example.length, 2), np.float32)
        score[example.target[0], 0] = score[example.target[1], 1] = 10.0
        scores.append(score)
    return scores


def test_the_answer_is_found_again_wherever_it_lies(tokenizer):
    words = [f"city{i} of lake{i}" for i in range(30)]
    text = ", ".join(words)
    asked = [
        Question(str(i), "a river in the town?", text, [(w, text.index(w))]) for i, w in enumerate(words)
    ]
    asked.append(Question("short", "is it?", "Ulm (Oslo) is a town", [("Oslo", 5)]))
    found = windows(tokenizer, asked, max_length=60)
    assert found.answers(certain(found)) == [question.answers[0][0] for question in asked]
    assert max(example.length for example in found.examples) <= 60
    assert sum(owner == 0 for owner in found.owners) > 5
    # A window that does not hold the answer points at its first token, which is no answer.
    without = [
        e for e, owner in zip(found.examples, found.owners, strict=True) if owner == 0 and e.target == (0, 0)
    ]
    assert without
    assert {e.rows[0].ids[0] for e in without} == {tokenizer("x")["input_ids"][0]}


def test_a_long_question_leaves_room_for_the_text(tokenizer):
    (example,) = windows(
        tokenizer, [Question("0", "city " * 99, "Ulm", [("Ulm", 0)])], max_length=40
    ).examples
    assert example.length <= 40
    assert "Ulm" in tokenizer.decode(example.rows[0].ids[example.target[0] : example.target[1] + 1])
