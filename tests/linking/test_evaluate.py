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
from kgcorpus.linking.metrics import THRESHOLDS, f1, precision_recall, reliability, resampled_pages, share
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
        stream.write(json.dumps({**GOLD, "evaluation_span": [0, 35]}))
    (text,) = read_gold(path)
    assert text.span == (0, 35)
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


def label(start, end, ident="Q1", **more):
    return {"span": [start, end], "entity_id": ident, **more}


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ([label(30, 37)], r"label 1: the span \[30, 37\) is not within \[0, 36\)"),
        ([label(0, 7), label(-3, 7)], r"label 2: the span \[-3, 7\) is not within"),
        ([label(7, 0)], r"label 1: the span \[7, 0\) is not within"),
        ([label(7, 7)], r"label 1: the span \[7, 7\) is empty"),
        ([label(0, 7), label(5, 17, "Q2")], "the mentions of Q1 and Q2 overlap at 5"),
        ([label(0, 7), label(0, 7, "Q2")], "the mentions of Q1 and Q2 overlap at 0"),
        ([label(40, 50, "NIL")], "label 1: the span"),
        ([label(0, 7, "[[en:Mercury]]")], "label 1: the entity_id .* form of a page without an item"),
        ([label(0, 7, "Q1\u200b")], r"label 1: the entity_id contains the invisible character U\+200B"),
        ([label(0, 7, 308)], "TypeError"),
        ([label(0, 7, None)], "TypeError"),
        ([{"span": [0], "entity_id": "Q1"}], r"label 1: the span is no pair \[start, end\]"),
    ],
)
def test_a_gold_label_that_no_linker_could_find_is_refused(tmp_path, labels, fault):
    path = gold_file(tmp_path, GOLD, {"text": GOLD["text"], "labels": labels})
    with pytest.raises(InputError, match=rf"gold\.jsonl, line 2: is not a text .*{fault}"):
        list(read_gold(path))


def test_a_label_outside_the_annotated_part_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"line 1: .*label 1: the span \[0, 7\) is not within \[8, 20\)"):
        list(read_gold(gold_file(tmp_path, {**GOLD, "evaluation_span": [8, 20]})))
    with pytest.raises(InputError, match=r"line 1: .*evaluation_span: the span \[8, 99\)"):
        list(read_gold(gold_file(tmp_path, {**GOLD, "evaluation_span": [8, 99]})))


def test_overlapping_labels_that_may_be_found_are_read(tmp_path):
    labels = [label(0, 17), label(12, 17, "Q2", parent=0), label(0, 7, "Q3", optional=True)]
    (text,) = read_gold(gold_file(tmp_path, {"text": GOLD["text"], "labels": labels}))
    assert len(text.allowed) == 2


@pytest.mark.parametrize(
    "ident", ["q308", "Q0", "Q3O8", "P31", "Mercury", "http://www.wikidata.org/entity/Q308"]
)
def test_an_id_of_another_scheme_than_the_build_is_refused(corpus, tmp_path, ident):
    gold = gold_file(tmp_path, {"text": GOLD["text"], "labels": [label(0, 7, ident)]})
    with pytest.raises(InputError, match=r"line 1: .*label 1: the entity_id .* is no item of Wikidata"):
        result_of(corpus, tmp_path, data=gold)


def test_other_ids_are_read_for_a_build_without_wikidata_ids(tmp_path):
    names = {"dbr:Mercury": "Mercury"}
    entities = [{**ROWS["entities"][0], "qid": "dbr:Mercury"}]
    rows = {"entities": entities, "triples": [{"h": "dbr:Mercury", "r": "is", "t": "dbr:Planet"}]}
    corpus = write_build(tmp_path / "own", rows)
    gold = gold_file(tmp_path, {"text": GOLD["text"], "labels": [label(0, 7, next(iter(names)))]})
    result = result_of(corpus, tmp_path, data=gold, overrides=["linking.min_confidence=0"])
    assert result["strict"]["right"] == 1


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "has no text"),
        ("\n \n", "has no text"),
        (json.dumps({"text": "Mercury", "labels": []}), "has no mention of an entity"),
        (json.dumps({"text": "Mercury", "labels": [label(0, 7, "NIL")]}), "has no mention of an entity"),
    ],
)
def test_gold_without_a_mention_is_refused(corpus, tmp_path, content, fault):
    path = tmp_path / "gold.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"gold\.jsonl: {fault}\. Give"):
        result_of(corpus, tmp_path, data=path)


def test_a_document_that_occurs_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"line 3: .*same document as line 1"):
        list(read_gold(gold_file(tmp_path, GOLD, {**GOLD, "id": 1}, GOLD)))
    with pytest.raises(InputError, match=r"line 2: .*same document as line 1"):
        list(read_gold(gold_file(tmp_path, {**GOLD, "id": 1}, {**GOLD, "text": GOLD["text"] + "!", "id": 1})))
    # RSS-500 has equal texts under several ids, each for other mentions.
    assert len(list(read_gold(gold_file(tmp_path, {**GOLD, "id": 1}, {**GOLD, "id": 2})))) == 2


def test_names_to_exclude_must_have_an_id(corpus, tmp_path):
    excluded = tmp_path / "qids.txt"
    excluded.write_text("\n")
    with pytest.raises(InputError, match=r"qids\.txt: has no id"):
        result_of(corpus, tmp_path, data=gold_file(tmp_path, GOLD), exclude_names=excluded)


def test_gold_scores_have_intervals_over_texts(corpus, tmp_path):
    # In 4 of 8 texts the one mention is found; equal texts are resampled together.
    found = {"text": TEXT, "labels": [label(5, 12, "Q308"), label(17, 22, "Q313")]}
    missed = {"text": "Nothing is known here.", "labels": [label(0, 7, "Q7")]}
    rows = [{**row, "text": f"{row['text']} {n}", "id": n} for n, row in enumerate([found, missed] * 4)]
    overrides = ["linking.min_confidence=0"]
    result = result_of(corpus, tmp_path, data=gold_file(tmp_path, *rows), overrides=overrides)
    assert result["strict"]["recall"] == pytest.approx(8 / 12, abs=1e-4)
    low, high = result["strict"]["intervals"]["recall"]
    assert low < 0.5
    assert high > 0.8
    assert result["strict"]["intervals"]["precision"] == [1, 1]
    assert [row["min_confidence"] for row in result["thresholds"]][:2] == [0, 0.2]
    assert result["thresholds"][0]["recall"] == result["strict"]["recall"]
    equal = [{**row, "text": row["text"].rstrip("0123456789"), "id": row["id"]} for row in rows[:4]]
    result = result_of(corpus, tmp_path, data=gold_file(tmp_path, *equal), overrides=overrides)
    assert result["strict"]["intervals"]["recall"] == [0, 1]  # two distinct texts


def test_wrong_mentions_are_counted_by_kind(corpus, tmp_path):
    text = "Mercury and Venus saw iron and Douglas Adams."
    labels = [label(0, 7, "Q1"), label(12, 21, "Q2"), label(22, 26, "NIL")]
    overrides = ["linking.min_confidence=0"]
    gold = gold_file(tmp_path, {"text": text, "labels": labels})
    result = result_of(corpus, tmp_path, data=gold, overrides=overrides)
    counts = {"other_entity": 1, "overlap": 1, "unlabelled_name": 1, "unlabelled_lower_case": 1}
    assert result["wrong"] == counts
    assert result["strict"]["predicted"] == 4
    assert result["without_common_nouns"]["predicted"] == 3


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
    metals = [{"h": qid, "r": "P31", "t": "Q11344"} for qid in ("Q677", "Q925", "Q7")]
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
    low, high = result["reliability"]["ece_interval"]
    assert 0 <= low < high <= 1
    assert [row["min_confidence"] for row in result["thresholds"]] == [*THRESHOLDS]
    assert result["thresholds"][0]["precision"] == scores["all"]["precision"]
    assert all(len(row["recall"]["interval"]) == 2 for row in result["thresholds"])
    assert (
        result_of(corpus, tmp_path, data=places_file(tmp_path), overrides=["linking.min_confidence=1"])[
            "at_min_confidence"
        ]["all"]["recall"]["mean"]
        == 0.0
    )


def test_places_of_another_text_are_refused(corpus, tmp_path):
    with pytest.raises(InputError, match="is not the one that was labelled"):
        result_of(corpus, tmp_path, data=places_file(tmp_path, digest="0" * 12))


PLACE = "en\t1\t0123456789ab\t4\t9\trare\tQ1"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("en\t1\t0123456789ab\t0\t1\tband", "6 columns, not 7"),
        (PLACE + "\tmore", "8 columns, not 7"),
        ("en\tone\t0123456789ab\t0\t1\tband\tQ1", "page_id 'one' is no whole number"),
        ("en\t1\t0123456789ab\t1_0\t12\tband\tQ1", "start '1_0' is no whole number"),
        ("en\t1" + "0" * 30 + "\t0123456789ab\t0\t1\tband\tQ1", "page_id .* is no whole number"),
        ("en\t1\t0123456789ab\t5\t4\tband\tQ1", r"the span \[5, 4\) is empty"),
        ("en\t1\t0123456789ab\t5\t5\tband\tQ1", r"the span \[5, 5\) is empty"),
        ("en\t1\t0123456789ab\t-2\t4\tband\tQ1", "begins before the text"),
        ("en\t1\t\t0\t1\tband\tQ1", "the digest '' is not 8 to 64"),
        ("en\t1\t0123\t0\t1\tband\tQ1", "the digest '0123' is not 8 to 64"),
        ("en\t1\t0123456789AB\t0\t1\tband\tQ1", "the digest '0123456789AB' is not 8 to 64"),
        ("en\t1\t0123456789xy\t0\t1\tband\tQ1", "the digest '0123456789xy' is not 8 to 64"),
        ("en\t1\t" + "0" * 65 + "\t0\t1\tband\tQ1", "the digest '0+' is not 8 to 64"),
        ("en\t1\t0123456789ab\t0\t1\tband\t", "the qid is empty"),
        ("en\t1\t0123456789ab\t0\t1\tband\t[[en:A]]", "the qid .* page without an item"),
        ("en\t1\t0123456789ab\t0\t1\t \tQ1", "the band is empty"),
        ("e n\t1\t0123456789ab\t0\t1\tband\tQ1", "'e n' is no language code"),
        (PLACE, "overlaps the place of line 2"),
        ("en\t1\t0123456789ab\t8\t12\tband\tQ1", "overlaps the place of line 2"),
        ("\xff", ""),
    ],
)
def test_a_line_that_is_no_place_is_named(tmp_path, line, fault):
    path = tmp_path / "places.tsv"
    path.write_bytes(f"# places\n{PLACE}\n".encode() + line.encode("latin-1") + b"\n")
    with pytest.raises(InputError, match=rf"places\.tsv, line 3: is not a labelled place .*{fault}"):
        list(read_labelled(path))


def test_a_file_without_a_place_is_refused(corpus, tmp_path):
    path = tmp_path / "places.tsv"
    path.write_text("# only a comment\n")
    with pytest.raises(InputError, match=r"places\.tsv: has no labelled place"):
        result_of(corpus, tmp_path, data=path)


@pytest.mark.parametrize(
    ("end", "qid", "fault"),
    [
        (99, "Q308", r"the span \[5, 99\) ends after the text of 32 characters"),
        (12, "Q12345", "Q12345 is no entity of the graph"),
        (12, "q308", "q308 is no entity of the graph"),
    ],
)
def test_a_place_that_the_build_cannot_have_is_refused(corpus, tmp_path, end, qid, fault):
    path = tmp_path / "places.tsv"
    path.write_text(f"\nen\t{HELD_OUT[0]}\t{digest_of(TEXT)[:12]}\t5\t{end}\trare\t{qid}\n")
    with pytest.raises(InputError, match=rf"places\.tsv, line 2: {fault}"):
        result_of(corpus, tmp_path, data=path)


def test_the_calibration_error_of_a_known_case():
    sure = np.repeat([0.9, 0.1], 50)
    right = np.concatenate([np.arange(50) < 40, np.arange(50) < 5])
    found = reliability(right, sure, bins=2)
    assert found["curve"] == [
        {"n": 50, "confidence": 0.1, "right": 0.1, "interval": [0.02, 0.18]},
        {"n": 50, "confidence": 0.9, "right": 0.8, "interval": [0.7, 0.9]},
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
    pages = np.arange(12)
    totals = np.append(np.ones(12, np.int64), 8)  # 8 questions without an answer
    draws = resampled_pages(np.arange(13), seed=0)
    found = precision_recall(right, confidence, pages, totals=totals, draws=draws)
    assert found["recall_at_precision_0.9"]["mean"] == pytest.approx(10 / 20)  # 10 of the first 11
    low, high = found["recall_at_precision_0.9"]["interval"]
    assert 0.1 < low < 0.5 < high <= 1
    assert found["curve"][-1] == {"confidence": 0.0, "precision": 0.8333, "recall": 0.5}


def test_f1():
    assert f1(2, 4, 8)["f1"] == pytest.approx(2 * 0.5 * 0.25 / 0.75, abs=1e-4)
    assert f1(0, 0, 5)["f1"] == 0.0
