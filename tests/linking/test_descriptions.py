"""Words that describe an entity, and what they decide, written a second time."""

import math
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.linking.descriptions import AROUND, Descriptions, describe, shared_rarity, words_around
from kgcorpus.linking.function_words import FUNCTION_WORDS
from kgcorpus.linking.linker import Linker
from kgcorpus.linking.spotter import Spotter
from tests.linking.conftest import entity, write_build

WORDS = ["Paris", "Texas", "the", "river", "RIVER", "Émile", "a1", "x", "東京", "İzmir", "co-op", "of"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
ENTITIES = ["Q1", "Q2", "Q3", "Q4"]
SPOTTER = Spotter.build(["anything"])


def words_of(text: str) -> set[str]:
    """Its words of two letters and more in lower case, those of languages with spaces."""
    found = re.findall(r"[^\W_]{2,}", text.lower().replace("i̇", "i"))
    return {word for word in found if word not in FUNCTION_WORDS["en"] and not re.search("[東京]", word)}


def described(
    names: list[tuple[str, int, bool]],
    edges: list[tuple[int, int]],
    asked: frozenset[int] = frozenset(range(4)),
) -> Descriptions:
    surfaces, targets, main = (list(column) for column in zip(*names, strict=True))
    table = pa.table({"surface": surfaces, "target": [ENTITIES[n] for n in targets], "main": main})
    a, b = (np.array([edge[end] for edge in edges], np.int64) for end in (0, 1))
    return describe(pa.array(ENTITIES), np.array([n in asked for n in range(4)]), table, (a, b), lang="en")


def around_one(found: Descriptions, text: str, start: int, end: int) -> list[int]:
    """Numbers of the words around a single spot."""
    around = words_around(
        SPOTTER.lower_tokens(text), np.array([start]), np.array([end]), np.array([True]), found.hashes
    )
    return around.words.tolist()


names = st.lists(st.tuples(texts, st.integers(0, 3), st.booleans()), min_size=1, max_size=8)
edges = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=5)


@settings(max_examples=200)
@given(names, edges, st.frozensets(st.integers(0, 3), min_size=1), texts, texts)
def test_a_word_counts_by_its_rarity_among_the_descriptions(named, linked, asked, before, after):
    found = described(named, linked, asked)
    own, label = ([set() for _ in ENTITIES] for _ in range(2))
    for text, number, main in named:
        own[number] |= words_of(text)
        label[number] |= words_of(text) if main else set()
    expected = [
        own[n].union(*(label[b] for a, b in linked if a == n), *(label[a] for a, b in linked if b == n))
        if n in asked
        else set()
        for n in range(len(ENTITIES))
    ]
    frequency = Counter(word for words in expected for word in words)
    many = sum(map(bool, expected))
    assert len(found.hashes) == len(set().union(*expected))
    text = f"{before} NAME {after}"
    start = len(before) + 1
    around = np.array(around_one(found, text, start, start + len("NAME")), np.int32)
    near = words_of(before) | words_of(after)
    for number, words in enumerate(expected):
        score = shared_rarity(number, around, found.words, found.rarity)
        rare = sum(math.log(many / frequency[word]) for word in near & words)
        assert score == pytest.approx(rare, abs=1e-5)


def test_only_words_near_the_name_count():
    found = described([("river", 0, True), ("Texas", 1, True)], [])
    for gap, near in ((AROUND - len("river") - 1, 1), (AROUND, 0)):
        for text, start in ((f"river{' ' * (gap + 1)}Paris", 6 + gap), (f"Paris{' ' * (gap + 1)}river", 0)):
            assert len(around_one(found, text, start, start + 5)) == near, (gap, text)


def test_each_of_many_spots_has_its_own_words():
    found = described([("river", 0, True), ("Texas", 1, True), ("Paris", 2, True)], [])
    far = " " * AROUND
    text = f"river A Texas A{far}Texas A Paris A river A"
    spots = [match.span() for match in re.finditer("A", text)]
    starts, ends = (np.array([span[end] for span in spots]) for end in (0, 1))
    asked = np.arange(len(spots)) % 2 == 0
    around = words_around(SPOTTER.lower_tokens(text), starts, ends, asked, found.hashes)
    # Each entity has one word.
    numbers = dict(zip(("river", "texas", "paris"), found.words.items.tolist(), strict=True))
    expected = [
        {
            numbers[match.group().lower()]
            for match in re.finditer("river|Texas|Paris", text)
            if max(match.start() - end, start - match.end()) + len(match.group()) <= AROUND
        }
        if is_asked
        else set()
        for (start, end), is_asked in zip(spots, asked, strict=True)
    ]
    assert [
        set(around.words[around.offsets[i] : around.offsets[i + 1]].tolist()) for i in range(len(spots))
    ] == expected


@pytest.fixture(scope="module")
def rivers(tmp_path_factory):
    """Two entities of one name; a neighbour of the rarer one is a river."""
    rows = {
        "entities": [entity("Q1", "Amber"), entity("Q2", "Amber"), entity("Q3", "Blue River")],
        "triples": [
            *({"h": "Q1", "r": "P1", "t": f"Q{n}"} for n in range(10, 20)),
            {"h": "Q2", "r": "P1", "t": "Q3"},
        ],
    }
    return write_build(tmp_path_factory.mktemp("rivers"), rows)


@pytest.mark.parametrize(
    ("text", "override", "expected"),
    [
        ("Amber is here.", (), "Q1"),
        ("Amber joins the river Mud.", ("linking.word_weight=10",), "Q2"),
        ("Amber joins the RIVER Mud.", ("linking.word_weight=10",), "Q2"),
        ("Amber joins the river Mud.", ("linking.word_weight=0",), "Q1"),
        ("Amber joins the river Mud.", ("linking.word_weight=10", "linking.method=tagme"), "Q1"),
    ],
)
def test_a_neighbour_s_word_around_the_name_chooses_the_meaning(rivers, text, override, expected):
    linker = Linker.open(rivers, "en", overrides=override)
    assert [mention.entity for mention in linker.mentions(text)] == [expected]
