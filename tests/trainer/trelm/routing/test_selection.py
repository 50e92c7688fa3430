import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.trelm.routing.attribution import jaccard, select


def test_the_highest_scores_over_all_layers():
    scores = torch.linspace(0.1, 1, 200).view(2, 100)
    scores[0, 7] = scores[0, 50] = 5
    rows = select(scores, share=0.1)
    assert sorted(rows) == [0, 1]
    assert {7, 50} <= set(rows[0].tolist())
    assert rows[1].tolist() == list(range(82, 100))


def test_a_layer_of_little_mass_is_dropped_and_its_places_given_away():
    scores = torch.ones(3, 100)
    scores[1] = 100 + torch.arange(100)
    # Among the 60 best of all, but 1.6 % of their sum.
    scores[2, 3] = 160
    rows = select(scores, share=0.2)
    assert {layer: len(found) for layer, found in rows.items()} == {1: 60}
    scores[2, 3] = 260
    rows = select(scores, share=0.2)
    assert {layer: len(found) for layer, found in rows.items()} == {1: 59, 2: 8}


def test_a_kept_layer_has_at_least_eight_and_at_most_four_times_its_share():
    scores = torch.rand(4, 200, generator=torch.Generator().manual_seed(0)) / 1000
    scores[1, 20:] += 10
    scores[3, 5] = 500
    rows = select(scores, share=0.05)
    assert {layer: len(found) for layer, found in rows.items()} == {1: 39, 3: 8}
    assert 5 in rows[3]


def test_scores_without_a_positive_one_select_nothing():
    assert select(-torch.ones(2, 10), share=0.5) == {}


@settings(max_examples=50)
@given(
    st.integers(1, 6),
    st.integers(16, 300),
    st.floats(0.02, 1),
    st.sampled_from([1, 64]),
    st.integers(0, 2**32),
)
def test_sizes(layers, neurons, share, multiple, seed):
    scores = torch.randn(layers, neurons, generator=torch.Generator().manual_seed(seed)).exp()
    rows = select(scores, share=share, multiple=multiple)
    assert rows
    for layer, found in rows.items():
        assert 0 <= layer < layers
        assert found.tolist() == sorted(set(found.tolist()))
        assert len(found) % multiple == 0 or len(found) == neurons
        assert min(8, neurons) <= len(found)
        assert multiple > 1 or len(found) <= max(8, 4 * share * neurons)
        # A layer's neurons are its best ones.
        others = sorted(set(range(neurons)) - set(found.tolist()))
        assert not others or scores[layer, found].min() >= scores[layer, others].max()
    assert (
        sum(map(len, rows.values()))
        >= min(round(share * layers * neurons), 4 * share * neurons * len(rows)) - 8
    )


def test_lowest_layer():
    scores = torch.rand(4, 50, generator=torch.Generator().manual_seed(0))
    rows = select(scores, share=0.2, lowest=2)
    assert sorted(rows) == [2, 3]
    assert sum(map(len, rows.values())) == 40


def test_jaccard():
    one = {0: torch.tensor([1, 2]), 1: torch.tensor([1])}
    assert jaccard(one, one) == 1
    assert jaccard(one, {0: torch.tensor([1]), 2: torch.tensor([2])}) == pytest.approx(1 / 4)
    assert jaccard({}, one) == 0
