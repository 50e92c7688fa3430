"""`kgcorpus evaluate linking`."""

import json
import lzma

import numpy as np
import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.inputs import Limits
from kgcorpus.linking.evaluate import evaluate_linking
from kgcorpus.linking.gold import read_gold
from kgcorpus.linking.labelled import digest_of, read_labelled
from kgcorpus.linking.metrics import f1, precision_recall, reliability, resampled_pages, share
from tests.linking.conftest import HELD_OUT, ROWS, TEXT, write_build

GOLD = {
    "text": "Mercury and Venus saw Douglas Adams.",
    "labels": [
        {"span": [0, 7], "entity_id": "Q308"},
        {"span": [12, 17], "entity_id": "Q313", "parent": None},
        {"span": [22, 35], "entity_id": "Q1"},
        {"span": [22, 29], "entity_id": "Q2", "parent": 2},
        {"span": [30, 35], "entity_id": "DATETIME"},
    ],
}


def result_of(corpus, tmp_path, **kwargs):
    out = tmp_path / "result.json"
    evaluate_linking(corpus, out=out, **{"lang": "en", **kwargs})
    return json.loads(out.read_text())


def gold_file(tmp_path, *rows):
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_hidden_links_are_scored_by_stratum(corpus, tmp_path):
    result = result_of(corpus, tmp_path)
    assert result == result_of(corpus, tmp_path, lang="EN-gb")
    assert (result["pages"], result["links"]) == (2, 4)
    strata = result["strata"]
    # Titles: "Evening star" leads to "Venus", which has no item here; the spans of both pages are given.
    assert strata["all"]["linker"]["n"] == 4
    assert strata["ambiguous"]["linker"]["n"] == 2
    assert strata["ambiguous"]["prior"]["mean"] == 0.5
    assert strata["ambiguous"]["commonest"]["mean"] == 0.5
    assert strata["ambiguous"]["reachable"]["mean"] == 0.5  # "Quicksilver" is no meaning of "Mercury"
    assert strata["unseen_surface"]["prior"]["mean"] in (0, None)
    assert result["curve"][-1]["recall"] <= 0.5


def test_gold_counts_span_and_entity(corpus, tmp_path):
    result = result_of(
        corpus, tmp_path, data=gold_file(tmp_path, GOLD), overrides=["linking.min_confidence=0"]
    )
    assert result["strict"]["gold"] == 3
    assert result["strict"]["right"] == 2
    assert result["strict"]["predicted"] == 3  # Douglas Adams, with another entity
    assert result["spans"]["right"] == 3
    assert result["known"]["gold"] == 2


def test_names_can_be_excluded(corpus, tmp_path):
    excluded = tmp_path / "qids.txt"
    excluded.write_text("Q42\tDouglas Adams\n")
    result = result_of(
        corpus,
        tmp_path,
        data=gold_file(tmp_path, GOLD),
        exclude_names=excluded,
        overrides=["linking.min_confidence=0"],
    )
    assert result["strict"]["predicted"] == 2
    excluded.write_text("Q42 Douglas\tQ42 is not this id\n\n")
    spaced = result_of(
        corpus,
        tmp_path,
        data=gold_file(tmp_path, GOLD),
        exclude_names=excluded,
        overrides=["linking.min_confidence=0"],
    )
    assert spaced["strict"]["predicted"] == 3
    excluded.write_bytes(b"\xef\xbb\xbfQ42\n\xff\n")
    with pytest.raises(InputError, match=r"qids\.txt:2: is not UTF-8"):
        result_of(corpus, tmp_path, data=gold_file(tmp_path, GOLD), exclude_names=excluded)


def test_a_byte_order_mark_is_no_part_of_the_first_name(corpus, tmp_path):
    excluded = tmp_path / "qids.txt"
    excluded.write_bytes(b"\xef\xbb\xbfQ42\tDouglas Adams\n")
    result = result_of(
        corpus,
        tmp_path,
        data=gold_file(tmp_path, GOLD),
        exclude_names=excluded,
        overrides=["linking.min_confidence=0"],
    )
    assert result["strict"]["predicted"] == 2


def test_packed_gold_and_its_evaluation_span(tmp_path):
    path = tmp_path / "gold.jsonl.xz"
    with lzma.open(path, "wt") as stream:
        stream.write(json.dumps({**GOLD, "evaluation_span": [8, 20]}))
    (text,) = read_gold(path)
    assert text.span == (8, 20)
    assert text.mentions == {(0, 7, "Q308"), (12, 17, "Q313"), (22, 35, "Q1")}
    assert text.allowed == {(22, 29, "Q2")}


MARKS = ["NIL", "<NIL>", "<NO_MAPPING>", "Unknown12", "UnknownNoMapping", "QUANTITY", "DATETIME", ""]


def test_marks_of_elevant_are_no_entities_but_ids_of_the_graph_are(tmp_path):
    ids = ["Nile", "unknown:1", "Unknown Pleasures", "quantity surveyor", *MARKS]
    labels = [{"span": [n, n + 1], "entity_id": ident} for n, ident in enumerate(ids)]
    path = gold_file(tmp_path, {"text": "x" * len(ids), "labels": labels})
    (text,) = read_gold(path)
    assert {ident for _, _, ident in text.mentions} == set(ids) - set(MARKS)
    (text,) = read_gold(path, is_entity={"NIL", "QUANTITY"}.__contains__)
    assert {ident for _, _, ident in text.mentions} == (set(ids) - set(MARKS)) | {"NIL", "QUANTITY"}


def test_a_malformed_line_is_named(tmp_path):
    with pytest.raises(InputError, match="line 2"):
        list(read_gold(gold_file(tmp_path, GOLD, {"text": "no labels"})))


@pytest.mark.parametrize(
    "line",
    [
        *(b"\xff", b"[" * 100_000, b'{"text": 1, "labels": []}', b'{"text": "", "labels": [1]}'),
        b'{"text": "a", "labels": [], "evaluation_span": ["a", "b"]}',
    ],
)
def test_a_line_of_any_bytes_is_named(tmp_path, line):
    path = tmp_path / "gold.jsonl"
    path.write_bytes(b"\n" + line)
    with pytest.raises(InputError, match="line 2: is not a text"):
        list(read_gold(path))


def test_a_gold_line_has_an_end(tmp_path):
    path = tmp_path / "gold.jsonl.xz"
    path.write_bytes(lzma.compress(b"[" * (2 << 20)))
    with pytest.raises(InputError, match="longer than 1 MiB"):
        list(read_gold(path, limits=Limits(record_mib=1)))


PLACES = [
    # Right, right, another entity, no entity, a name that the linker does not find.
    (TEXT, "Mercury", "planets", "Q308"),
    (TEXT, "Venus", "planets", "Q313"),
    ("Mercury and iron.", "Mercury", "metals", "Q308"),
    ("Mercury and iron.", "iron", "metals", None),
    (TEXT, "hot", "planets", "Q7"),
]


def places_file(tmp_path, *, digest=None):
    pages = {text: page_id for page_id, text in zip(HELD_OUT, (TEXT, "Mercury and iron."), strict=False)}
    lines = ["# a comment", ""]
    for text, name, band, qid in PLACES:
        start = text.index(name)
        known = digest or digest_of(text)[:12]
        row = ("en", pages[text], known, start, start + len(name), band, qid or "-")
        lines.append("\t".join(map(str, row)))
    path = tmp_path / "places.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_labelled_places_are_scored_by_band_and_confidence(tmp_path):
    metals = [{"h": qid, "r": "P31", "t": "Q11344"} for qid in ("Q677", "Q925")]
    corpus = write_build(tmp_path / "own", {**ROWS, "triples": [*ROWS["triples"], *metals]})
    overrides = ["linking.min_confidence=0"]
    result = result_of(corpus, tmp_path, data=places_file(tmp_path), overrides=overrides)
    assert (result["places"], result["named"]) == (5, 4)
    scores = result["at_min_confidence"]
    assert (scores["all"]["precision"]["mean"], scores["all"]["precision"]["n"]) == (0.5, 4)
    assert scores["all"]["recall"]["mean"] == 0.5
    assert scores["planets"]["precision"]["mean"] == 1.0
    assert scores["metals"]["recall"]["mean"] == 0.0
    assert sum(group["n"] for group in result["reliability"]["curve"]) == 4
    assert (
        result_of(corpus, tmp_path, data=places_file(tmp_path), overrides=["linking.min_confidence=1"])[
            "at_min_confidence"
        ]["all"]["recall"]["mean"]
        == 0.0
    )


def test_places_of_another_text_are_refused(corpus, tmp_path):
    with pytest.raises(InputError, match="is not the one that was labelled"):
        result_of(corpus, tmp_path, data=places_file(tmp_path, digest="0" * 12))


@pytest.mark.parametrize("line", ["en\t1\tx\t0\t1\tband", "en\tone\tx\t0\t1\tband\tQ1", "\xff"])
def test_a_line_that_is_no_place_is_named(tmp_path, line):
    path = tmp_path / "places.tsv"
    path.write_bytes(b"# places\n" + line.encode("latin-1") + b"\n")
    with pytest.raises(InputError, match=r"places\.tsv, line 2: is not a labelled place"):
        list(read_labelled(path))


def test_the_calibration_error_of_a_known_case():
    sure = np.repeat([0.9, 0.1], 50)
    right = np.concatenate([np.arange(50) < 40, np.arange(50) < 5])
    found = reliability(right, sure, bins=2)
    assert found["curve"] == [
        {"n": 50, "confidence": 0.1, "right": 0.1},
        {"n": 50, "confidence": 0.9, "right": 0.8},
    ]
    assert found["ece"] == 0.05
    assert 0.01 < found["ece_by_chance"] < 0.05
    assert reliability(np.zeros(0, bool), np.zeros(0))["ece"] is None


def test_a_build_without_links_says_so(names_only, tmp_path):
    with pytest.raises(InputError, match="no held-out page"):
        result_of(names_only, tmp_path)


def test_intervals_come_from_pages():
    pages = np.repeat(np.arange(4), 25)
    values = np.repeat([1.0, 1.0, 0.0, 0.0], 25)
    found = share(values, pages, resampled_pages(pages, seed=0))
    assert found["mean"] == 0.5
    low, high = found["interval"]
    assert low <= 0.1  # 4 pages, not 100 links, are what is known
    assert high >= 0.9
    assert share(values[:0], pages[:0], resampled_pages(pages, seed=0))["n"] == 0


def test_recall_at_precision():
    right = np.array([True] * 9 + [False] + [True, False])
    confidence = np.linspace(1, 0, 12)
    found = precision_recall(right, confidence, total=20)
    assert found["recall_at_precision_0.9"] == pytest.approx(10 / 20)  # 10 of the first 11
    assert found["curve"][-1] == {"confidence": 0.0, "precision": 0.8333, "recall": 0.5}


def test_f1():
    assert f1(2, 4, 8)["f1"] == pytest.approx(2 * 0.5 * 0.25 / 0.75, abs=1e-4)
    assert f1(0, 0, 5)["f1"] == 0.0
