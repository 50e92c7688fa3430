from collections import Counter

import numpy as np
import pytest

from tests.trainer.trelm.brute_force import BruteForce
from tests.trainer.trelm.world import LABELS, triples_of
from trainer.trelm.negatives import Asked, NegativeSampler

UNIGRAMS = np.r_[np.zeros(5, np.int64), np.arange(1, 336)]
K = 16


@pytest.fixture(scope="module")
def labels(graph, tokenizer):
    return graph.entity_tokens(tokenizer.backend_tokenizer)


@pytest.fixture(scope="module")
def sampler(graph, labels):
    return NegativeSampler(graph.facts, labels, UNIGRAMS, count=K, seed=0)


def questions(labels):
    """Every token of every fact, asked in both directions."""
    return [
        Asked(given, {"r": r, "other": other, "direction": direction}, place, token)
        for h, r, t in triples_of()
        for given, other, direction in ((h, t, "tail"), (t, h, "head"))
        for place, token in enumerate(labels.of(other))
    ]


def true_ends(asked):
    """By brute force."""
    side, other = ("h", "t") if asked.fact["direction"] == "tail" else ("t", "h")
    triples = [dict(zip("hrt", triple, strict=True)) for triple in triples_of()]
    return {x[other] for x in triples if x["r"] == asked.fact["r"] and x[side] == asked.qid}


def test_no_negative_is_true(sampler, labels):
    asked = questions(labels)
    for step in range(3):
        pool, allowed = sampler.draw(asked, step=step)
        assert (pool >= 5).all()
        for token, own in zip(asked, allowed, strict=True):
            others = true_ends(token) - {token.fact["other"]}
            assert others < true_ends(token)
            truths = {t for qid in others for t in labels.of(qid)}
            assert not ({token.label} | truths) & set(pool[own].tolist())
            assert sorted(truths) == sampler.other_truths(token).tolist()


def test_each_token_has_k_and_up_to_half_of_them_stand_at_its_place_in_the_relation_s_range(sampler, labels):
    asked = questions(labels)
    pool, allowed = sampler.draw(asked, step=0)
    assert (allowed.sum(axis=1) == K).all()
    hard_ones = 0
    for token, own in zip(asked, allowed, strict=True):
        column = 2 if token.fact["direction"] == "tail" else 0
        ends = {triple[column] for triple in triples_of() if triple[1] == token.fact["r"]}
        hard = {labels.of(qid)[token.place] for qid in ends if len(labels.of(qid)) > token.place}
        hard -= {token.label, *sampler.other_truths(token).tolist()}
        assert len(hard & set(pool[own].tolist())) >= min(K // 2, len(hard))
        hard_ones += len(hard)
    assert hard_ones


def test_a_question_s_negatives_depend_on_the_step_and_not_on_the_batch(sampler, labels):
    asked = questions(labels)
    alone = [sampler.draw([token], step=4)[0].tolist() for token in asked[:40]]
    pool, allowed = sampler.draw(asked, step=4)
    assert alone == [pool[own].tolist() for own in allowed[:40]]
    assert alone != [sampler.draw([token], step=5)[0].tolist() for token in asked[:40]]


def test_the_other_half_is_drawn_by_frequency_to_the_power_of_three_quarters(graph, labels):
    one = NegativeSampler(graph.facts, labels, UNIGRAMS, count=1, seed=3)
    unknown = Asked("Q1", {"r": "P0", "other": "Q2", "direction": "tail"}, 0, 0)
    drawn = Counter(int(one.draw([unknown], step=step)[0][0]) for step in range(8000))
    power = UNIGRAMS**0.75
    for low, high in ((5, 105), (105, 205), (205, 305), (305, 340)):
        share = sum(drawn[token] for token in range(low, high)) / 8000
        assert share == pytest.approx(power[low:high].sum() / power.sum(), abs=0.02)


def test_expected_counts_are_those_of_many_draws(sampler, labels):
    """Of a question without another true end, which no draw skips but the true token."""
    token = next(t for t in questions(labels) if t.fact["r"] == "P17" and t.fact["direction"] == "tail")
    pool = np.arange(5, 340)
    drawn, expected = np.zeros(340), np.zeros(335)
    for step in range(400):
        drawn[sampler.draw([token], step=step)[0]] += 1
        log_expected, _ = sampler.log_expected([token], pool, step=step)
        expected += np.exp(log_expected[0])
    # The hard ones are all drawn, the others nearly as often as they are expected.
    hard = {
        labels.of(t)[token.place]
        for _, r, t in triples_of()
        if r == "P17" and len(labels.of(t)) > token.place
    }
    assert all(drawn[t] == 400 for t in hard - {token.label})
    others = [t - 5 for t in range(200, 340) if t not in hard]
    share = (expected[others] / expected[others].sum(), drawn[5:][others] / drawn[5:][others].sum())
    assert np.abs(np.cumsum(share[0]) - np.cumsum(share[1])).max() < 0.03


def test_without_questions_the_pool_is_empty(sampler):
    pool, allowed = sampler.draw([], step=0)
    assert pool.shape == (0,)
    assert allowed.shape == (0, 0)


def test_labels_have_the_tokens_of_a_sentence(labels, tokenizer):
    for qid, label in LABELS.items():
        ids = tokenizer(f"old {label} sang", add_special_tokens=False)["input_ids"]
        assert tuple(ids[1:-1]) == labels.of(qid)
    assert labels.of("Q1") == ()


def ends_of(facts, qid, relation, direction):
    entities = facts.entities.to_pylist()
    return [entities[number] for number in facts.ends(qid, relation, direction)]


def test_true_ends_and_ranges_are_those_of_the_triples(graph):
    for h, r, t in triples_of():
        assert sorted(ends_of(graph.facts, h, r, "tail")) == sorted(
            x[2] for x in triples_of() if x[:2] == (h, r)
        )
        assert sorted(ends_of(graph.facts, t, r, "head")) == sorted(
            x[0] for x in triples_of() if x[1:] == (r, t)
        )
    for relation in ("P19", "P551", "P17"):
        for column, direction in ((2, "tail"), (0, "head")):
            expected = Counter(x[column] for x in triples_of() if x[1] == relation)
            assert graph.facts.range_of(relation, direction).counts() == expected
    assert ends_of(graph.facts, "Q1", "P19", "tail") == []
    assert ends_of(graph.facts, "Q100", "P0", "tail") == []
    assert len(graph.facts.range_of("P0", "tail")) == 0


@pytest.mark.parametrize(("many", "table"), [(2_000, 32 << 20), (0, 32 << 20), (1, 3 * 340)])
@pytest.mark.parametrize("count", [1, 2, K, 200])
def test_the_negatives_are_those_of_a_brute_force_sampler(graph, labels, monkeypatch, count, many, table):
    """Also where every question has many ends, and where a table of truths holds three questions."""
    monkeypatch.setattr("trainer.trelm.negatives._MANY", many)
    monkeypatch.setattr("trainer.trelm.negatives._TABLE", table)
    sampler = NegativeSampler(graph.facts, labels, UNIGRAMS, count=count, seed=5)
    oracle = BruteForce(triples_of(), labels.of, UNIGRAMS, count=count, seed=5)
    unknown = Asked("Q1", {"r": "P0", "other": "Q2", "direction": "tail"}, 0, 7)
    asked = [*questions(labels), unknown]
    for step in range(3):
        pool, allowed = sampler.draw(asked, step=step)
        assert [set(pool[own].tolist()) for own in allowed] == [oracle.own(x, step) for x in asked]
        assert pool.tolist() == sorted(set().union(*(oracle.own(x, step) for x in asked)))


def test_counts_of_many_ends_stay_within_their_bytes(graph, labels, monkeypatch):
    monkeypatch.setattr("trainer.trelm.negatives._MANY", 0)
    monkeypatch.setattr("trainer.trelm.negatives._KEPT_BYTES", 400)
    sampler = NegativeSampler(graph.facts, labels, UNIGRAMS, count=K, seed=5)
    sampler.draw(questions(labels), step=0)
    assert 0 < sampler._truths._kept_bytes <= 400
    kept = sampler._truths._kept.values()
    assert sum(part.nbytes for pair in kept for part in pair) == sampler._truths._kept_bytes
