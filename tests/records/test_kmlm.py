from collections import Counter
from itertools import permutations, product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgcorpus.contracts.draws import hash64, mix64, mix64_array
from kgcorpus.contracts.splits import split_of_pairs
from kgcorpus.contracts.tables import table
from kgcorpus.contracts.tally import Tally
from kgcorpus.kg.names import LabelIndex
from kgcorpus.records.kmlm import Item, reasoning_batches, render_sentences, spread, with_split

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


def label_index(key, **names):
    return LabelIndex.from_rows(
        [
            {key: i, "names": [{"lang": lang, "label": name, "aliases": []} for lang, name in n.items()]}
            for i, n in names.items()
        ],
        key,
    )


def triangle(n):
    sides = ((n, "P1", n + 1), (n + 4, "P2", n + 1), (n, "P1", n + 4))
    return [{"h": f"Q{h}", "r": r, "t": f"Q{t}"} for h, r, t in sides]


NAMES = label_index(
    "qid",
    Q1={"en": "St. Louis", "de": "Sankt Louis"},
    Q2={"en": "a | b", "de": "[mask]"},
    Q3={"en": "🗺", "de": "Karte", "fr": "carte"},
)
RELATIONS = label_index("pid", P1={"en": "is in", "de": "liegt in"}, P2={"en": "next to"})


def batched(cycles, **arguments):
    batch = pa.RecordBatch.from_pylist(cycles, schema=table("cycles").schema)
    batch = with_split(batch, seed=arguments["seed"])
    made = reasoning_batches(batch, names=NAMES, relations=RELATIONS, **arguments)
    return [row for rows in made for row in rows.to_pylist()]


def records(cycle=TRIANGLE, *, languages=("en", "de", "fr"), seed=7, tally=None):
    return batched([cycle], languages=languages, seed=seed, tally=tally or Tally())


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
    assert set(rows[0]) == {*table("reasoning").columns, "split"}
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
    cycles = [{**TRIANGLE, "cycle_id": str(n)} for n in range(3000)]
    rows = batched(cycles, languages=["en"], seed=7, tally=Tally())
    orders = Counter(tuple(map(str, row["triples"])) for row in rows)
    assert set(orders) == set(permutations(map(str, TRIANGLE["triples"])))
    assert max(orders.values()) < 600
    assert min(orders.values()) > 400
    assert records() == records()


@pytest.mark.parametrize("seed", range(3))
def test_a_record_with_a_test_pair_is_a_test_record(seed):
    cycles = [{**TRIANGLE, "cycle_id": str(n), "triples": triangle(n)} for n in range(300)]
    batch = pa.RecordBatch.from_pylist(cycles, schema=table("cycles").schema)
    ids = [f"Q{n}" for n in range(310)]
    names = label_index("qid", **{ident: {"en": ident} for ident in ids})
    (rows,) = reasoning_batches(
        with_split(batch, seed=seed),
        names=names,
        relations=RELATIONS,
        languages=["en"],
        seed=seed,
        tally=Tally(),
    )
    for row in rows.to_pylist():
        assert row["split"] == split_of_pairs(seed, [(t["h"], t["t"]) for t in row["triples"]])
    assert set(rows.column("split").to_pylist()) == {"train", "validation", "test"}


def written_plainly(cycle, lang, seed):
    """The rule a second time, in plain Python; None where a name is missing."""

    def item(index, ident):
        name = index.label(ident, lang)
        return name and Item(name, ident, lang)

    sentences = [
        (item(NAMES, triple["h"]), item(RELATIONS, triple["r"]), item(NAMES, triple["t"]))
        for triple in cycle["triples"]
    ]
    if not all(item for sentence in sentences for item in sentence):
        return None
    data = cycle["cycle_id"].encode()
    state = mix64(len(data))
    for at in range(0, len(data), 8):
        state = mix64(state ^ int.from_bytes(data[at : at + 8], "little"))
    draw = mix64(state ^ hash64(seed, "reasoning-order") ^ hash64("reasoning-language", lang))
    order = sorted(range(len(sentences)), key=lambda place: mix64(draw ^ place))
    text, slots = render_sentences([sentences[place] for place in order])
    triples = [cycle["triples"][place] for place in order]
    kind = f"cycle{cycle['length']}"
    return {
        "id": f"{kind}:{lang}:{cycle['cycle_id']}",
        "lang": lang,
        "kind": kind,
        "text": text,
        "triples": triples,
        "slots": slots,
        "split": split_of_pairs(seed, [(triple["h"], triple["t"]) for triple in triples]),
    }


ENDS = st.sampled_from(["Q1", "Q2", "Q3", "Q4"])
CYCLES = st.lists(
    st.sampled_from([3, 5]).flatmap(
        lambda size: st.lists(
            st.fixed_dictionaries({"h": ENDS, "r": st.sampled_from(["P1", "P2"]), "t": ENDS}),
            min_size=size,
            max_size=size,
        )
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(CYCLES, st.integers(0, 6), st.integers(0, 2**40))
def test_every_record_is_what_the_rule_says_whatever_the_batches(found, cut, seed):
    cycles = [
        {
            "cycle_id": f"{number:016x}",
            "length": 3 if len(triples) == 3 else 4,
            "entities": sorted({triple[end] for triple in triples for end in "ht"}),
            "triples": triples,
        }
        for number, triples in enumerate(found)
    ]
    tally, rows = Tally(), []
    for part in (cycles[:cut], cycles[cut:]):
        rows += batched(part, languages=["en", "de", "zh"], seed=seed, tally=tally)
    expected = [
        row for cycle in cycles for lang in ("en", "de") if (row := written_plainly(cycle, lang, seed))
    ]
    assert sorted(rows, key=lambda row: row["id"]) == sorted(expected, key=lambda row: row["id"])
    for lang in ("en", "de"):
        own = [row for row in expected if row["lang"] == lang]
        assert tally.counts[f"records.{lang}"] == len(own)
        assert tally.counts[f"sentences.{lang}"] == sum(len(row["triples"]) for row in own)
        for kind in ("cycle3", "cycle4"):
            assert tally.counts[f"{kind}.{lang}"] == sum(row["kind"] == kind for row in own)
        assert tally.drops[f"names_missing.{lang}"] == len(cycles) - len(own)


def test_records_of_one_fact_are_an_equal_part_of_the_order_apart():
    n, variants = 2_000, 6
    hashes = mix64_array(np.arange(n, dtype=np.uint64))
    facts, kinds = spread([np.arange(n)] * variants, hashes, 3)
    assert sorted(zip(facts.tolist(), kinds.tolist(), strict=True)) == list(
        product(range(n), range(variants))
    )
    places = np.argsort(facts, kind="stable").reshape(n, variants)
    apart = np.diff(places, axis=1)
    assert abs(apart - n).max() < 300  # a row group of a sixth of the records holds no fact twice
    first = kinds[: n // 2]
    assert np.bincount(first, minlength=variants).min() > 100  # any run is a sample of all variants
    backwards = spread([np.arange(n)] * variants, hashes[::-1], 3)
    assert (n - 1 - backwards[0]).tolist() == facts.tolist()
