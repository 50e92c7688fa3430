import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.tables import TABLES
from kgcorpus.report.inspect import MAX_TEXT, render_row, sample_rows
from tests.made import command, finished_build

LABELS = {"Q142": "France", "Q90": "Paris", "P36": "capital", "P17": "country", "Q7": "Seine"}


def show(table, row):
    return render_row(table, row, label_of=LABELS.get)


def mention(start, end, qid, **more):
    return {"start": start, "end": end, "qid": qid, **more}


def test_mentions_are_marked_in_the_text():
    row = {
        "sentence_id": "en:1:0",
        "text": "Paris is in France.",
        "mentions": [mention(0, 5, "Q90"), mention(12, 18, "Q142")],
    }
    assert show("linked_sentences", row).splitlines() == [
        "sentence_id  en:1:0",
        "text         [Paris|Q90] is in [France|Q142].",
    ]


def test_spans_count_code_points():
    row = {"text": "👩‍🔬 à Paris", "mentions": [mention(6, 11, "Q90")]}
    assert show("jaket_text", row) == "text  👩‍🔬 à [Paris|Q90]"


def test_links_are_marked_in_a_page_and_its_lines_kept():
    link = {"start": 0, "end": 3, "anchor": "The", "target": "Definite article"}
    row = {"page_id": 7, "text": "The Seine.\nA river.", "links": [link], "redirect": None}
    assert show("pages", row).splitlines() == [
        "page_id   7",
        "text      [The|Definite article] Seine.",
        "          A river.",
        "redirect  -",
    ]


def test_a_cycle_reads_as_labelled_triples():
    triples = [
        {"h": "Q142", "r": "P36", "t": "Q90"},
        {"h": "Q90", "r": "P17", "t": "Q142"},
        {"h": "Q90", "r": "P999", "t": "Q7"},
    ]
    row = {"cycle_id": "c", "length": 3, "entities": ["Q142", "Q90", "Q7"], "triples": triples}
    assert show("cycles", row).splitlines() == [
        "cycle_id  c",
        "length    3",
        "entities  Q142 (France)",
        "          Q90 (Paris)",
        "          Q7 (Seine)",
        "triples   France —capital→ Paris",
        "          Paris —country→ France",
        "          Paris —P999→ Seine",
    ]


def test_slots_are_marked_with_item_and_language():
    slot = {"start": 0, "end": 6, "sentence": 0, "slot": 1, "qid": "Q142", "lang": "en"}
    row = {
        "text": "France [mask] 首都 [mask] Paris.",
        "slots": [slot, slot | {"start": 14, "end": 16, "slot": 2, "qid": "P36", "lang": "zh"}],
    }
    assert show("code_switched", row) == "text  [France|Q142 en] [mask] [首都|P36 zh] [mask] Paris."


def test_a_trelm_mention_shows_its_numbers_and_facts_in_their_direction():
    facts = [
        {"r": "P36", "other": "Q142", "direction": "head", "label": "France"},
        {"r": "P17", "other": "Q142", "direction": "tail", "label": None},
    ]
    numbers = {"cos": 0.5, "si": 2.0, "long_tail": True, "frequency": 3, "triples": facts}
    row = {
        "text": "Paris!",
        "sentences": [{"start": 0, "end": 6}],
        "mentions": [mention(0, 5, "Q90", **numbers)],
    }
    assert show("trelm", row).splitlines() == [
        "text      [Paris|Q90]!",
        "mentions  Paris|Q90: cos 0.5, si 2, frequency 3, long tail",
        "            France —capital→ Paris",
        "            Paris —country→ Q142",
    ]


def test_an_entitys_own_mention_is_marked_if_it_has_one():
    row = {"qid": "Q90", "text": "Paris is a city.", "start": 0, "end": 5, "category": None}
    assert "text      [Paris|Q90] is a city." in show("jaket_entities", row)
    assert "text      Paris is a city." in show("jaket_entities", row | {"start": None, "end": None})


def test_other_tables_are_key_and_value():
    names = [
        {"lang": "en", "label": "Paris", "aliases": ["City of Light", "Lutetia"]},
        {"lang": "fr", "label": None, "aliases": []},
    ]
    assert show("entities", {"qid": "Q90", "names": names, "types": []}).splitlines() == [
        "qid    Q90 (Paris)",
        "names  lang en, label Paris, aliases City of Light; Lutetia",
        "       lang fr, label -, aliases -",
        "types  -",
    ]
    assert (
        show("triples", {"h": "Q142", "r": "P36", "t": "Q1"}) == "h  Q142 (France)\nr  P36 (capital)\nt  Q1"
    )


def test_long_texts_are_cut_with_a_count():
    row = {"text": "a" * (MAX_TEXT + 1234), "mentions": [mention(MAX_TEXT - 1, MAX_TEXT + 1, "Q1")]}
    first, note = show("jaket_text", row).splitlines()
    assert first.endswith("a… (+1,234 characters)")
    assert note.strip() == "(spans not marked, as cut off, overlapping or outside the text: 1)"


def test_many_items_are_cut_with_a_count():
    entities = [f"Q{i}" for i in range(1000, 1100)]
    assert show("cycles", {"entities": entities}).splitlines()[-1].strip() == "… (+88 more)"


def test_data_cannot_steer_the_terminal_or_forge_a_column():
    row = {"text": "a\x1b[2Jb\nqid  forged", "mentions": [mention(0, 1, "Q1\x07")]}
    assert show("jaket_text", row).splitlines() == [r"text  [a|Q1\x07]\x1b[2Jb", "      qid  forged"]
    assert render_row("triples", {"h": "Q1"}, label_of=lambda _: "\x1b]0;x\x07") == r"h  Q1 (\x1b]0;x\x07)"


@given(st.text("ab c\U0001f469", max_size=30), st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 40))))
def test_no_span_however_wrong_loses_text(text, spans):
    row = {"lang": "en", "text": text, "mentions": [mention(start, end, "Q1") for start, end in spans]}
    line = show("jaket_text", row).splitlines()[1].removeprefix("text").strip()
    assert re.sub(r"\[([^|]*)\|Q1\]", r"\1", line).strip() == text.strip()


def write_ids(path, ids):
    rows = [{"id": f"{i}", "lang": "en", "text": "t", "length": 1} for i in ids]
    pq.write_table(pa.Table.from_pylist(rows, schema=TABLES["plain_text"].schema), path, row_group_size=7)
    return str(path)


@pytest.fixture
def shards(tmp_path):
    return [
        write_ids(tmp_path / f"{n}.parquet", ids)
        for n, ids in enumerate([range(20), range(0), range(20, 50)])
    ]


def drawn(paths, n, **more):
    return [int(row["id"]) for row in sample_rows(paths, n, **more)]


def test_a_sample_is_drawn_from_all_files_in_stored_order(shards):
    assert drawn(shards, 50) == list(range(50))
    assert drawn(shards, 500) == list(range(50))
    assert drawn(shards, 0) == []
    some = drawn(shards, 5)
    assert some == sorted(set(some))
    assert len(some) == 5
    assert {row for seed in range(200) for row in drawn(shards, 3, seed=seed)} == set(range(50))


def test_the_same_seed_gives_the_same_rows(shards):
    assert drawn(shards, 5, seed=3) == drawn(shards, 5, seed=3) != drawn(shards, 5, seed=4)


def test_rows_come_back_as_the_tables_types(tmp_path, build):
    out, manifest = build
    (row,) = sample_rows(manifest.files(out, "triples"), 3)
    assert row == {"h": "Q142", "r": "P36", "t": "Q90"}


@pytest.mark.parametrize("data", [None, b"", b"PAR1 cut short"])
def test_a_broken_file_is_named(tmp_path, data):
    path = tmp_path / "broken.parquet"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=r"broken\.parquet"):
        sample_rows([str(path)], 1)


def test_a_path_with_two_colons_is_a_path(tmp_path):
    folder = tmp_path / "a::b"
    folder.mkdir()
    pq.write_table(pa.table({"h": ["Q1"]}), folder / "x.parquet")
    assert sample_rows([str(folder / "x.parquet")], 3) == [{"h": "Q1"}]


def test_a_build_of_others_may_name_no_file_and_little_of_its_sources(tmp_path):
    out, config = finished_build(tmp_path)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["tables"]["relations"]["files"] = []
    manifest["sources"] = [{}, {"role": "graph.relations"}]
    for words in (["inspect", "relations"], ["report"], ["status"], ["plan", "--config", config]):
        (out / "manifest.json").write_text(json.dumps(manifest))
        assert command(*words, "--out", out) == 0
