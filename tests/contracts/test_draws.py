"""Draws depend on their key alone."""

import subprocess
import sys
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.draws import Draw, hash64, mix64, mix64_array

WORDS = st.integers(0, 2**64 - 1)


def test_the_same_key_gives_the_same_draws_in_another_process() -> None:
    code = (
        "from kgcorpus.contracts.draws import Draw; d = Draw(7, 'é', -3);"
        "print([d.below(999) for _ in range(5)])"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    draw = Draw(7, "é", -3)
    assert other.stdout.strip() == str([draw.below(999) for _ in range(5)])


def test_parts_are_not_run_together() -> None:
    assert hash64("ab", "c") != hash64("a", "bc") != hash64("abc")


@given(st.lists(WORDS, min_size=1, max_size=20))
def test_the_array_mixer_equals_the_scalar_one(values: list[int]) -> None:
    mixed = mix64_array(np.array(values, np.uint64))
    assert mixed.tolist() == [mix64(value) for value in values]


@given(st.integers(), st.lists(st.integers(), max_size=30), st.integers(0, 40))
def test_a_sample_is_without_replacement(seed: int, items: list[int], k: int) -> None:
    sample = Draw(seed).sample(items, k)
    assert len(sample) == min(k, len(items))
    assert not Counter(sample) - Counter(items)


@given(st.integers(), st.lists(st.integers(), max_size=30))
def test_a_shuffle_keeps_every_item(seed: int, items: list[int]) -> None:
    shuffled = list(items)
    Draw(seed).shuffle(shuffled)
    assert sorted(shuffled) == sorted(items)


def test_every_order_is_drawn_about_equally_often() -> None:
    orders = Counter()
    for seed in range(6000):
        items = [0, 1, 2]
        Draw(seed, "order").shuffle(items)
        orders[tuple(items)] += 1
    assert len(orders) == 6
    assert all(850 < n < 1150 for n in orders.values())


def test_uniform_is_uniform() -> None:
    values = np.array([Draw(seed).uniform() for seed in range(5000)])
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(values.mean() - 0.5) < 0.02
    assert abs(values.var() - 1 / 12) < 0.005
