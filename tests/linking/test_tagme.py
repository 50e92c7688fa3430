"""TAGME's formulas, written a second time."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgcorpus.linking.descriptions import Around, nothing_around
from kgcorpus.linking.relatedness import Sets, milne_witten
from kgcorpus.linking.tagme import Rules, Senses, choose_spots, collect_votes, disambiguate

PUBLISHED = Rules(0.001, 8, 5.0, 10, 0.3, 0.02, 0.0, 0.0, 0.0, 0.0)
PAGES, ENTITIES, NAMES = 12, 6, 4
pages = st.frozensets(st.integers(0, PAGES - 1), max_size=PAGES)


def sets_of(items, universe):
    offsets = np.append(0, np.cumsum([len(found) for found in items])).astype(np.int64)
    return Sets(offsets, np.array([x for found in items for x in sorted(found)], np.int32), universe)


def relatedness(a, b, links):
    if a == b:
        return 1.0
    common = len(links[a] & links[b])
    if not common:
        return 0.0
    small, large = sorted((len(links[a]), len(links[b])))
    if small == PAGES:
        return 1.0
    return max(0.0, 1 - (math.log(large) - math.log(common)) / (math.log(PAGES) - math.log(small)))


@st.composite
def cases(draw):
    links = draw(st.lists(pages, min_size=ENTITIES, max_size=ENTITIES))
    senses = []
    for _ in range(NAMES):
        entities = draw(st.lists(st.integers(0, ENTITIES - 1), min_size=1, max_size=3, unique=True))
        counts = sorted((draw(st.integers(1, 60)) for _ in entities), reverse=True)
        senses.append([(e, n / sum(counts)) for e, n in zip(entities, counts, strict=True)])
    probabilities = draw(st.lists(st.floats(0.01, 1), min_size=NAMES, max_size=NAMES))
    return links, senses, probabilities, draw(st.lists(st.integers(0, NAMES - 1), max_size=15))


def arrays_of(links, senses, probabilities):
    return Senses(
        np.array(probabilities, np.float32),
        np.append(0, np.cumsum([len(found) for found in senses])).astype(np.int64),
        np.array([e for found in senses for e, _ in found], np.int32),
        np.array([c for found in senses for _, c in found], np.float32),
        np.array([e % 2 == 0 for found in senses for e, _ in found]),
        np.zeros(len(senses), bool),
        np.array([e == ENTITIES - 1 for e in range(ENTITIES)]),
        sets_of(links, PAGES),
        sets_of([frozenset()] * ENTITIES, 0),
        sets_of([frozenset()] * ENTITIES, 0),
        np.zeros(0, np.float32),
    )


def around(i, names):
    return [
        j
        for j in range(len(names))
        if j != i and abs(i - j) <= PUBLISHED.context_mentions and names[j] != names[i]
    ]


def published(links, senses, probabilities, names):
    """[(entity, rho)] by the paper's formulas."""
    kept = [[(e, c) for e, c in found if np.float32(c) >= np.float32(PUBLISHED.tau)] for found in senses]
    votes = [
        [
            sum(
                sum(relatedness(e, q, links) * c for q, c in kept[names[j]]) / len(kept[names[j]])
                for j in around(i, names)
            )
            for e, _ in kept[name]
        ]
        for i, name in enumerate(names)
    ]
    chosen = [
        next(
            e for (e, _), vote in zip(kept[name], votes[i], strict=True) if vote >= 0.7 * max(votes[i]) - 1e-6
        )
        for i, name in enumerate(names)
    ]
    rho = []
    for i, name in enumerate(names):
        others = [relatedness(chosen[i], chosen[j], links) for j in around(i, names)]
        rho.append((probabilities[name] + (sum(others) / len(others) if others else 0)) / 2)
    return votes, chosen, rho


# A sense of exactly tau counts: .02 in 32 bits is less than in 64.
@example(([frozenset()] * 6, [[(0, 1.0)]] * 3 + [[(0, 0.6), (1, 0.38), (2, 0.02)]], [1.0] * 4, [3]))
@settings(max_examples=150)
@given(cases())
def test_votes_choices_and_rho_are_the_papers(case):
    links, senses, probabilities, names = case
    arrays = arrays_of(links, senses, probabilities)
    numbers = np.array(names, np.int32)
    votes, chosen, rho = published(*case)
    _, found, _ = collect_votes(numbers, arrays, PUBLISHED)
    np.testing.assert_allclose(found, [vote for own in votes for vote in own], atol=1e-4)
    choices = disambiguate(numbers, nothing_around(len(numbers)), arrays, PUBLISHED, True)
    ties = any(abs(v - 0.7 * max(own)) < 1e-4 and v > 0 for own in votes for v in own)
    if not ties:  # where a vote lies on the border, rounding decides
        assert choices.entities.tolist() == chosen
        np.testing.assert_allclose(choices.rho, rho, atol=1e-4)


@given(pages, pages)
def test_relatedness_is_symmetric_and_within_bounds(a, b):
    sets = sets_of([a, b], PAGES)
    assert milne_witten(0, 1, sets) == pytest.approx(relatedness(0, 1, [a, b]), abs=1e-6)
    assert milne_witten(0, 1, sets) == milne_witten(1, 0, sets)


def test_a_long_list_is_searched_like_a_short_one():
    large = frozenset(range(0, 4000, 3))
    small = frozenset({3, 4, 9, 3999, 3998})
    sets = sets_of([small, large], 5000)
    expected = 1 - (math.log(len(large)) - math.log(3)) / (math.log(5000) - math.log(5))
    assert milne_witten(0, 1, sets) == pytest.approx(max(0.0, expected))


def test_the_weighed_choice_follows_its_formula():
    links = [frozenset({1, 2, 3}), frozenset({7, 8}), frozenset({1, 2, 3, 4})]
    senses = [[(1, 0.7), (0, 0.3)], [(2, 1.0)]]
    arrays = arrays_of(links, [*senses, [(3, 1.0)], [(3, 1.0)]], [0.5] * 4)._replace(
        links=sets_of([*links, frozenset(), frozenset(), frozenset()], PAGES)
    )
    names = np.array([0, 1], np.int32)
    related = relatedness(0, 2, links)
    for weight in (0.1, 2.0):
        rules = PUBLISHED._replace(vote_weight=weight, vote_floor=0.003)
        scores = {
            e: math.log(c) + weight * math.log((related if e == 0 else 0) + 0.003) for e, c in senses[0]
        }
        choices = disambiguate(names, nothing_around(len(names)), arrays, rules, True)
        best = max(scores, key=scores.get)
        assert choices.entities[0] == best
        assert choices.share[0] == pytest.approx(
            math.exp(scores[best]) / sum(map(math.exp, scores.values())), abs=1e-5
        )
        assert choices.vote[0] == pytest.approx(related if best == 0 else 0, abs=1e-5)
        assert choices.main[0] == (best % 2 == 0)


def test_words_around_weigh_by_their_rarity():
    arrays = arrays_of([frozenset()] * ENTITIES, [[(0, 0.75), (1, 0.25)]], [0.5])._replace(
        words=sets_of([{0}, {1, 2}, *[frozenset()] * 4], 3), rarity=np.array([0.5, 1.0, 2.0], np.float32)
    )
    names, around = np.array([0], np.int32), Around(np.array([0, 3]), np.array([0, 1, 2], np.int32))
    for weight, best in ((0.1, 0), (1.0, 1)):
        rules = PUBLISHED._replace(vote_weight=1.0, vote_floor=1.0, word_weight=weight)
        choices = disambiguate(names, around, arrays, rules, True)
        scores = [math.log(0.75) + 0.5 * weight, math.log(0.25) + 3.0 * weight]
        assert choices.entities[0] == best
        assert choices.share[0] == pytest.approx(
            math.exp(scores[best]) / sum(map(math.exp, scores)), abs=1e-5
        )


def test_a_page_without_an_item_is_passed_over_but_lowers_the_share():
    pages_only = [(ENTITIES - 1, 1.0)]
    arrays = arrays_of([frozenset()] * ENTITIES, [[(ENTITIES - 1, 0.75), (0, 0.25)], pages_only], [0.5] * 2)
    rules = PUBLISHED._replace(vote_weight=1.0, vote_floor=0.01)
    for name, entity, share in ((0, 0, 0.25), (1, -1, 0.0)):
        names = np.array([name], np.int32)
        assert (
            disambiguate(names, nothing_around(len(names)), arrays, rules, True).entities[0] == ENTITIES - 1
        )
        without = disambiguate(names, nothing_around(len(names)), arrays, rules, False)
        assert without.entities[0] == entity
        assert without.share[0] == pytest.approx(share)
        assert without.commonness[0] == share


@pytest.mark.parametrize(
    ("probabilities", "kept"),
    [
        ((0.1, 0.1), [(0, 1)]),  # the longer
        ((0.1, 0.51), [(1, 1)]),  # five times as probable: the shorter
        ((0.1, 0.49), [(0, 1)]),
        ((0.0001, 0.1), [(1, 1)]),  # the longer is no spot at all
    ],
)
def test_nested_spots(probabilities, kept):
    """Name 0 is of two tokens, name 1 its second token."""
    senses = arrays_of([frozenset()] * ENTITIES, [[(0, 1.0)], [(1, 1.0)]], probabilities)
    first, last, names = (np.array(x, np.int32) for x in ([0, 1], [1, 1], [0, 1]))
    found = choose_spots(first, last, names, senses, 0.001, 8, 5.0)
    assert [(first[i], last[i]) for i in found] == kept


def test_a_spot_longer_than_the_window_is_none():
    senses = arrays_of([frozenset()] * ENTITIES, [[(0, 1.0)]], [0.5])
    spot = np.array([0], np.int32)
    assert len(choose_spots(spot, spot + 7, spot, senses, 0.001, 8, 5.0)) == 1
    assert len(choose_spots(spot, spot + 8, spot, senses, 0.001, 8, 5.0)) == 0
