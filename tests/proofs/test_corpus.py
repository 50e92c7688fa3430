from collections import Counter
from itertools import pairwise

import pyarrow.parquet as pq
import pytest

from proofs.corpus import write_corpora
from proofs.world import LANGUAGES, Size, World
from trainer.kmlm.evaluate.xlr_questions import read_questions


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    out = tmp_path_factory.mktemp("corpora")
    world = World(Size(entities=400, triangles=150, diamonds=60), seed=1)
    counts = write_corpora(world, out, sizes={"validation": 10, "test": 20}, seed=1)
    return out, counts


def records(out, name):
    return pq.read_table(out / name / "data/reasoning/train-00000-of-00001.parquet").to_pylist()


def sentences(row):
    parts = [
        tuple(row["text"][s["start"] : s["end"]] for s in row["slots"][i : i + 3])
        for i in range(0, len(row["slots"]), 3)
    ]
    return [(row["lang"], *part) for part in parts]


def test_both_corpora_hold_the_same_sentences_at_the_same_places(corpora):
    out, counts = corpora
    grouped, ungrouped = records(out, "grouped"), records(out, "ungrouped")
    assert len(grouped) == counts["records"] > 300

    def placed(rows):
        return Counter((row["kind"], place, one) for row in rows for place, one in enumerate(sentences(row)))

    assert placed(grouped) == placed(ungrouped)
    assert sum(len(row["text"]) for row in grouped) == sum(len(row["text"]) for row in ungrouped)
    assert {row["lang"] for row in grouped} == set(LANGUAGES)
    assert {row["kind"] for row in grouped} == {"cycle3", "cycle4"}


def test_a_record_of_the_control_hardly_ever_shows_two_sentences_of_one_cycle(corpora):
    out, _ = corpora
    together = {frozenset(pair) for row in records(out, "grouped") for pair in pairwise(sentences(row))}
    found = []
    for row in records(out, "ungrouped"):
        own = sentences(row)
        found += [frozenset(pair) in together for pair in pairwise(own)]
        assert [(t["h"], t["r"], t["t"]) for t in row["triples"]] == [
            tuple(s["qid"] for s in row["slots"][i : i + 3]) for i in range(0, len(row["slots"]), 3)
        ]
    # Cycles overlap: two neighbours in the circle may each give a sentence of a third.
    assert sum(found) < 0.02 * len(found)


def test_no_pair_asked_about_is_read_in_training(corpora):
    out, counts = corpora
    asked = {
        frozenset(question.labels)
        for split in ("validation", "test")
        for question in read_questions(out / "grouped", split)
    }
    assert len(asked) == counts["questions.validation"] + counts["questions.test"] == 30
    for name in ("grouped", "ungrouped"):
        assert not any(frozenset(s[1::2]) in asked for row in records(out, name) for s in sentences(row))
    assert read_questions(out / "grouped", "test") == read_questions(out / "ungrouped", "test")
