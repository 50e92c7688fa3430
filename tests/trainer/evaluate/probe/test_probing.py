"""Filling blanks against the plain transformers model run one sentence at a time, and the score."""

import numpy as np
import pytest
import torch

from tests.trainer.toy import write_corpus
from trainer.evaluate.probe.contamination import unseen
from trainer.evaluate.probe.probing import Answer, Prober, Query, drawn, prompt, report
from trainer.evaluate.statistics import compare

TEXTS = ["Ada was born in [Y] .", "[Y] is a river", "the lake of [Y]", "Bob died in the town of [Y] ."]


def plain(folder):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    return AutoModelForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def naive_decode(folder, text: str, masks: int, how: str) -> tuple[list[int], float]:
    """A sentence at a time, by transformers alone."""
    model, tokenizer = plain(folder)
    ids = tokenizer(text.replace("[Y]", tokenizer.mask_token))["input_ids"]
    start = ids.index(tokenizer.mask_token_id)
    ids[start : start + 1] = [tokenizer.mask_token_id] * masks
    left, scores = set(range(start, start + masks)), []
    while left:
        with torch.no_grad():
            table = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        table[:, tokenizer.all_special_ids] = -float("inf")
        best = table.max(dim=-1)
        for place in sorted(left) if how == "independent" else [max(left, key=lambda p: best.values[p])]:
            ids[place] = int(best.indices[place])
            scores.append(float(best.values[place]))
            left.remove(place)
    return ids[start : start + masks], sum(scores) / masks


@pytest.mark.parametrize("how", ["independent", "confidence"])
@pytest.mark.parametrize("masks", [1, 3])
@pytest.mark.parametrize("family", ["bert", "roberta", "spaced_roberta"])
def test_decoding_is_that_of_the_plain_model(request, family, masks, how):
    folder = request.getfixturevalue(family)
    guesses = Prober(folder).decode(TEXTS, masks, how)
    for text, guess in zip(TEXTS, guesses, strict=True):
        # The mask of this RoBERTa does not take the space before it, which the word in its place carries.
        shown = text.replace(" [Y]", "[Y]") if family == "roberta" else text
        tokens, score = naive_decode(folder, shown, masks, how)
        assert list(guess.tokens) == tokens
        assert guess.score == pytest.approx(score, abs=1e-4)


@pytest.fixture(scope="module")
def spaced_roberta(roberta, tmp_path_factory):
    """The toy whose mask takes the space before it, as that of roberta-base does."""
    from tokenizers import AddedToken

    model, tokenizer = plain(roberta)
    tokenizer.add_special_tokens({"mask_token": AddedToken("<mask>", lstrip=True, special=True)})
    folder = tmp_path_factory.mktemp("spaced")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", ["bert", "roberta", "spaced_roberta"])
def test_a_name_has_the_tokens_that_it_has_in_the_sentence(request, family):
    folder = request.getfixturevalue(family)
    _, tokenizer = plain(folder)
    prober = Prober(folder)
    for text in TEXTS:
        for name in ("Rome", "Rome city", "Xyz"):
            whole = tokenizer(text.replace("[Y]", name))["input_ids"]
            found = list(prober.tokens(text, name))
            shown = text.replace(" [Y]", "[Y]") if family == "roberta" else text
            around = tokenizer(shown.replace("[Y]", tokenizer.mask_token))["input_ids"]
            mask = around.index(tokenizer.mask_token_id)
            assert [*around[:mask], *found, *around[mask + 1 :]] == whole
            assert tokenizer.decode(found).strip() == name


def test_a_prompt_has_one_blank():
    assert prompt("[X] is in [Y] .", "Ulm") == "Ulm is in [Y] ."
    assert prompt("[X] is in it .", "Ulm") is None
    assert prompt("[Y] or [Y] [X]", "Ulm") is None
    assert prompt("[X] is in [Y] .", "[Y]") is None


def query(relation: str, subject: str, object_: str, **more) -> Query:
    return Query(relation, subject, subject, object_, f"{subject} [Y]", (object_,), **more)


def test_the_score_is_a_mean_over_relations():
    asked = [
        (query("P1", "a", "x"), True),
        (query("P1", "b", "x"), False),
        (query("P1", "c", "y"), True),
        (query("P1", "d", "z"), True),
        (query("P2", "a", "y"), False),
        (query("P2", "b", "w"), False),
    ]
    answers = [Answer(q, right, 0.1 if q.relation == "P1" else 0.3) for q, right in asked]
    found = report(answers)
    assert found["n"] == 6
    assert found["p@1"] == pytest.approx((3 / 4 + 0) / 2)
    # x twice of four; of two equals w, the first by name.
    assert found["majority"] == pytest.approx((2 / 4 + 1 / 2) / 2)
    assert found["chance"] == pytest.approx((0.1 + 0.3) / 2)
    assert found["relations"]["P1"] == {"n": 4, "p@1": 0.75, "majority": 0.5, "chance": pytest.approx(0.1)}
    majority = [True, True, False, False, False, True]
    rights = [right for _, right in asked]
    assert found["all_facts"] == compare(rights, majority, list("abcdab"), seed=found["seed"])
    assert report([])["n"] == 0
    assert report([])["p@1"] is None


def test_a_limit_draws_the_same_facts_of_each_relation():
    queries = [query(f"P{i % 3}", f"Q{i}", "x") for i in range(60)]
    few = drawn(queries, 5)
    assert [sum(q.relation == f"P{i}" for q in few) for i in range(3)] == [5, 5, 5]
    assert [q for q in queries if q.relation == "P1" and q in few] == [q for q in few if q.relation == "P1"]
    assert set(few) <= set(drawn(list(reversed(queries)), 8))
    assert len(drawn(queries, None)) == 60


def test_facts_of_a_corpus_are_left_out_and_listed(tmp_path):
    facts = [("Q1", "P1", "Q2"), ("Q2", "P1", "Q1"), ("Q1", "P2", "Q3"), ("Q9", "P1", "Q2")]
    corpus = write_corpus(tmp_path, {"triples": [dict(zip("hrt", fact, strict=True)) for fact in facts]})
    asked = [
        query("P1", "a", "x", fact=("Q1", "P1", "Q2")),
        query("P1", "b", "x", fact=("Q2", "P2", "Q1")),
        query("P2", "c", "x", fact=("Q3", "P2", "Q1")),
        query("P2", "d", "x"),
    ]
    left, seen = unseen(asked, str(corpus))
    assert left == asked[1:]
    assert seen == {"corpus": str(corpus), "n": 1, "without_ids": 1, "facts": [["Q1", "P1", "Q2"]]}
    assert unseen(asked, None) == (asked, {})


def test_special_tokens_are_no_answers(bert):
    _, tokenizer = plain(bert)
    prober = Prober(bert)
    assert not prober.vocabulary[tokenizer.all_special_ids].any()
    assert prober.vocabulary.sum() == len(tokenizer) - len(set(tokenizer.all_special_ids))
    assert np.isneginf(next(prober.log_probabilities(TEXTS[:1], [1]))).sum() == 0
