"""Link prediction against ranks counted one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.transe.embeddings import Embeddings
from trainer.transe.evaluate import link_prediction


def naive_ranks(embeddings: Embeddings, facts, known, norm: int) -> list[float]:
    known = {tuple(fact) for fact in known.tolist()}
    vectors, relations = embeddings.entities.astype(float), embeddings.relations.astype(float)

    def distance(h, r, t):
        return (np.abs(vectors[h] + relations[r] - vectors[t]) ** norm).sum() ** (1 / norm)

    ranks = []
    for h, r, t in facts.tolist():
        own = distance(h, r, t)
        for others in (
            [distance(h, r, x) for x in range(len(vectors)) if x != t and (h, r, x) not in known],
            [distance(x, r, t) for x in range(len(vectors)) if x != h and (x, r, t) not in known],
        ):
            nearer = sum(d < own - 1e-9 for d in others)
            level = sum(abs(d - own) <= 1e-9 for d in others)
            ranks.append(1 + nearer + level / 2)
    return ranks


@settings(max_examples=40)
@given(st.data(), st.sampled_from([1, 2]))
def test_ranks_are_filtered_and_ties_count_half(data, norm):
    # Small whole numbers give many equal distances, and no rounding.
    entities, relations = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 2))
    number = st.integers(-1, 1)
    table = st.lists(st.lists(number, min_size=2, max_size=2), min_size=entities, max_size=entities)
    fact = st.tuples(
        st.integers(0, entities - 1), st.integers(0, relations - 1), st.integers(0, entities - 1)
    )
    embeddings = Embeddings(
        np.array(data.draw(table), np.float32),
        np.array(data.draw(table), np.float32)[:1].repeat(relations, 0),
        [f"Q{i}" for i in range(entities)],
        [f"P{i}" for i in range(relations)],
        norm=norm,
        steps=0,
    )
    facts = np.array(data.draw(st.lists(fact, min_size=1, max_size=5)), np.int32)
    known = np.array(data.draw(st.lists(fact, max_size=10)), np.int32).reshape(-1, 3)
    found = link_prediction(embeddings, facts, known=known)
    ranks = np.array(naive_ranks(embeddings, facts, known, norm))
    assert found["n"] == len(facts)
    assert found["mrr"] == pytest.approx((1 / ranks).mean())
    for k in (1, 3, 10):
        assert found[f"hits@{k}"] == pytest.approx((ranks <= k).mean())
