from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.splits import split_of_pair
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import Names
from kgcorpus.records.kmlm import Item, reasoning_records, record_split, render_sentences

NAME = st.text(min_size=1) | st.sampled_from(
    ["St. Louis", "a|b", "[mask]", " [mask] ", "x.", "🗺 Erde", "e\u0301"]
)
ITEM = st.builds(Item, NAME, st.sampled_from(["Q1", "P2"]), st.sampled_from(["en", "zh"]))

TRIANGLE = {
    "cycle_id": "0123456789abcdef",
    "length": 3,
    "entities": ["Q1", "Q2", "Q3"],
    "triples": [
        {"h": "Q2", "r": "P1", "t": "Q1"},
        {"h": "Q1", "r": "P2", "t": "Q3"},
        {"h": "Q2", "r": "P1", "t": "Q3"},
    ],
}


def book(key, **names):
    return Names.from_rows(
        [
            {key: i, "names": [{"lang": lang, "label": name, "aliases": []} for lang, name in n.items()]}
            for i, n in names.items()
        ],
        key,
    )


NAMES = book(
    "qid",
    Q1={"en": "St. Louis", "de": "Sankt Louis"},
    Q2={"en": "a | b", "de": "[mask]"},
    Q3={"en": "🗺", "de": "Karte", "fr": "carte"},
)
RELATIONS = book("pid", P1={"en": "is in", "de": "liegt in"}, P2={"en": "next to"})


def records(cycle=TRIANGLE, *, languages=("en", "de", "fr"), seed=7, tally=None):
    return list(
        reasoning_records(
            cycle, names=NAMES, relations=RELATIONS, languages=languages, seed=seed, tally=tally or Tally()
        )
    )


@given(st.lists(st.tuples(ITEM, ITEM, ITEM), max_size=5))
def test_slots_are_the_names_whatever_they_hold(sentences):
    text, slots = render_sentences(sentences)
    assert text == " ".join(f"{h.name} [mask] {r.name} [mask] {t.name}." for h, r, t in sentences)
    assert [text[slot["start"] : slot["end"]] for slot in slots] == [i.name for s in sentences for i in s]
    assert [(slot["sentence"], slot["slot"]) for slot in slots] == [
        (n, slot) for n in range(len(sentences)) for slot in (1, 2, 3)
    ]
    assert [(slot["qid"], slot["lang"]) for slot in slots] == [i[1:] for s in sentences for i in s]


def test_a_cycle_is_rendered_in_the_languages_that_name_all_of_it():
    tally = Tally()
    rows = records(tally=tally)
    assert [(row["lang"], row["kind"], row["id"]) for row in rows] == [
        ("en", "cycle3", "cycle3:en:0123456789abcdef")
    ]
    assert tally.drops == {"names_missing.de": 1, "names_missing.fr": 1}
    assert set(rows[0]) == set(table("reasoning").columns)
    assert rows[0]["text"].count(".") == 3 + 2
    assert sorted(rows[0]["text"].replace("St. Louis", "StL").removesuffix(".").split(". ")) == [
        "StL [mask] next to [mask] 🗺",
        "a | b [mask] is in [mask] StL",
        "a | b [mask] is in [mask] 🗺",
    ]


def test_sentences_follow_their_triples_and_triples_keep_their_direction():
    (row,) = records(languages=["en"])
    assert sorted(map(str, row["triples"])) == sorted(map(str, TRIANGLE["triples"]))
    for number, triple in enumerate(row["triples"]):
        own = [slot["qid"] for slot in row["slots"] if slot["sentence"] == number]
        assert own == [triple["h"], triple["r"], triple["t"]]


def test_every_order_of_the_sentences_is_drawn_equally_often():
    cycles = ({**TRIANGLE, "cycle_id": str(n)} for n in range(3000))
    orders = Counter(tuple(map(str, records(cycle, languages=["en"])[0]["triples"])) for cycle in cycles)
    assert set(orders) == set(permutations(map(str, TRIANGLE["triples"])))
    assert max(orders.values()) < 600
    assert min(orders.values()) > 400
    assert records() == records()


def test_the_cycle_itself_is_left_alone():
    before = [dict(triple) for triple in TRIANGLE["triples"]]
    for seed in range(20):
        records(seed=seed)
    assert TRIANGLE["triples"] == before


@pytest.mark.parametrize("seed", range(5))
def test_a_record_with_a_test_pair_is_a_test_record(seed):
    seen = set()
    for n in range(400):
        row = {"triples": [{"h": f"Q{n}", "r": "P1", "t": f"Q{n + k}"} for k in (1, 2, 3)]}
        splits = {split_of_pair(seed, f"Q{n + k}", f"Q{n}") for k in (1, 2, 3)}
        expected = "test" if "test" in splits else "validation" if "validation" in splits else "train"
        assert record_split(seed, row) == expected
        seen.add(expected)
    assert seen == {"train", "validation", "test"}
