import numpy as np
import pytest

from proofs.report import result, tables
from proofs.statistics import best_rates, gains, interval


def cell(arm, lr, seed, *, validation, test):
    n = len(test)
    right = {"validation": validation, "test": test, "question_only": [0] * n, "shuffled_context": [0] * n}
    shared = {"questions": [f"q{i // 2}" for i in range(n)], "unseen": [1, *[0] * (n - 1)]}
    return {"arm": arm, "lr": lr, "seed": seed, "tokens": 9, "right": right, "majority": [0] * n, **shared}


def grid(test_of):
    return [
        cell(arm, lr, seed, validation=[1, int(lr == 0.2)], test=test_of(arm, lr))
        for arm in "RMC"
        for lr in (0.1, 0.2, 0.3)
        for seed in (1, 2)
    ]


def test_the_rate_is_chosen_on_validation_and_never_on_test():
    cells = grid(lambda arm, lr: [int(lr == 0.3)] * 8)
    assert best_rates(cells) == {"R": 0.2, "M": 0.2, "C": 0.2}


def test_the_result_compares_arms_at_their_rates():
    cells = grid(lambda arm, lr: [int(arm == "R")] * 6 + [1, 1])
    found = result(cells)
    assert found["primary"]["difference"] == pytest.approx(0.75)
    assert found["secondary"]["M - C"] == {"difference": 0, "interval": [0, 0], "by_seed": [0, 0]}
    assert "The claim holds" in tables(found, cells)
    assert "does not hold" in tables(result(same := grid(lambda arm, lr: [1, 0] * 4)), same)


def test_a_question_in_two_languages_is_one_sample():
    assert gains([1, 1, 0, 1], [0, 0, 0, 0], ["b", "b", "a", "a"]).tolist() == [0.5, 1.0]


def test_the_interval_covers_seeds_and_questions():
    rng = np.random.default_rng(0)
    between, within = rng.normal(0.2, 0.1, 6), 0.3
    samples = [rng.normal(mean, within, 50) for mean in between]
    found = interval(samples, seed=0)
    # Var of the mean: between the seeds' own means, plus within them.
    means = np.array([sample.mean() for sample in samples])
    error = np.sqrt(means.var() / 6 + np.mean([sample.var() / 50 for sample in samples]) / 6)
    low, high = found["interval"]
    assert found["difference"] == pytest.approx(means.mean())
    assert (high - low) == pytest.approx(2 * 1.96 * error, rel=0.05)
