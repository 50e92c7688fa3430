"""Whole builds of the embedded world, as a user runs them: in processes of their own."""

import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow.parquet as pq
import pytest

from kgcorpus.linking.linker import Linker
from pipelines.stages import STAGES
from tests.e2e.commands import ONE_CORE, bytes_of, command, run, sets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PUBLISHED = [
    "code_switched",
    "jaket_edges",
    "jaket_entities",
    "jaket_text",
    "plain_text",
    "reasoning",
    "sources",
    "trelm",
    "xlr",
]


def build(out: Path, *values: str) -> subprocess.CompletedProcess[str]:
    return run("build-corpus", "--out", out, *sets(*values))


def test_another_number_of_cores_and_partitions_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    done = build(tmp_path, "spark.master=local[2]", "spark.partitions=5")
    assert done.returncode == 0, done.stderr
    assert bytes_of(tmp_path) == bytes_of(built)


def test_an_unchanged_build_builds_nothing_and_starts_no_spark(built: Path) -> None:
    started = time.monotonic()
    done = build(built, "spark.master=local[1]", "spark.partitions=1")
    # The embedded world has no dump of Wikidata's.
    assert done.stdout.startswith(f"up to date: {len(STAGES) - 1} stages")
    assert time.monotonic() - started < 20


def test_plan_needs_no_java(built: Path) -> None:
    environment = {**os.environ, "PATH": "/nowhere", "JAVA_HOME": "/nowhere"}
    done = subprocess.run(
        command("plan", "--json", "--out", built), capture_output=True, text=True, check=True, env=environment
    )
    assert {step["stage"]: step["action"] for step in json.loads(done.stdout)} == {
        stage.table: "n/a" if stage.table == "wikidata" else "skip" for stage in STAGES
    }


def test_a_changed_param_rebuilds_only_what_depends_on_it(built: Path) -> None:
    done = subprocess.run(
        command("plan", "--json", "--out", built, "--set", "trelm.facts_per_entity=3"),
        capture_output=True,
        text=True,
        check=True,
    )
    actions = {step["stage"]: step["action"] for step in json.loads(done.stdout)}
    assert [stage for stage, action in actions.items() if action == "run"] == ["trelm"]


def test_the_long_tail_may_be_a_quantile_of_the_frequencies(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(built, out)
    settings = sets(*ONE_CORE, "trelm.long_tail_quantile=0.6")
    done = run("build-corpus", "trelm", "--out", out, *settings)
    assert done.returncode == 0, done.stderr
    before, after = (json.loads((x / "manifest.json").read_text())["tables"] for x in (built, out))
    changed = {name for name in after if after[name]["digest"] != before[name]["digest"]}
    assert changed == {"entity_statistics", "trelm"}
    files = after["entity_statistics"]["files"]
    rows = [row for file in files for row in pq.read_table(out / file["path"]).to_pylist()]
    bound = np.quantile([row["frequency"] for row in rows if row["frequency"]], 0.6)
    expected = {row["qid"]: row["frequency"] <= bound and row["kc"] >= 1 for row in rows}
    assert {row["qid"]: row["long_tail"] for row in rows} == expected
    trelm = [row for path in (out / "data" / "trelm").iterdir() for row in pq.read_table(path).to_pylist()]
    flags = [(m["qid"], m["long_tail"]) for row in trelm for m in row["mentions"]]
    assert {flag for _, flag in flags} == {True, False}
    assert all(flag == expected[qid] for qid, flag in flags)


def test_every_config_of_the_card_opens_offline(
    built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    assert sorted(datasets.get_dataset_config_names(str(built))) == PUBLISHED
    manifest = json.loads((built / "manifest.json").read_text())
    for name in PUBLISHED:
        opened = datasets.load_dataset(str(built), name, cache_dir=str(tmp_path))
        assert sum(split.num_rows for split in opened.values()) == manifest["tables"][name]["rows"] > 0


def test_data_holds_exactly_the_manifests_files(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    named = {file["path"]: file for entry in manifest["tables"].values() for file in entry["files"]}
    published = {path for path in named if path.startswith("data/")}
    assert {
        str(path.relative_to(built)) for path in (built / "data").rglob("*") if path.is_file()
    } == published
    for path, file in named.items():
        assert hashlib.sha256((built / path).read_bytes()).hexdigest() == file["sha256"]
        assert pq.read_metadata(built / path).num_rows == file["rows"]
    assert str(built) not in (built / "manifest.json").read_text()


def test_every_published_text_is_attributed_to_a_revision(built: Path) -> None:
    def rows(config: str) -> list[dict]:
        return [
            row for path in (built / "data" / config).iterdir() for row in pq.read_table(path).to_pylist()
        ]

    ids = [row["id"] for config in ("plain_text", "trelm", "jaket_text") for row in rows(config)]
    used = {(lang, int(page)) for _, lang, page, _ in (name.split(":") for name in ids)}
    described = [row["page"] for row in rows("jaket_entities")]
    used |= {("en", page) for page in described if page is not None}
    sources = {(row["lang"], row["page"]): row for row in rows("sources")}
    assert sources.keys() == used
    assert any(described)
    # The demo's revision ids are its page ids and 10,000.
    for (lang, page), row in sources.items():
        query = parse_qs(urlsplit(row["url"]).query)
        assert row["url"].startswith(f"https://{lang}.wikipedia.org/w/index.php?")
        assert query == {"title": [row["title"].replace(" ", "_")], "oldid": [str(row["revision"])]}
        assert (row["revision"], row["time"]) == (page + 10_000, "2024-05-01T00:00:00Z")
    for path in (built / "data" / "plain_text").iterdir():
        split = path.name.partition("-")[0]
        pages = {
            (row["lang"], row["page"])
            for other in (built / "data" / "sources").glob(f"{split}-*")
            for row in pq.read_table(other).to_pylist()
        }
        found = (row["id"].split(":") for row in pq.read_table(path).to_pylist())
        assert {(lang, int(page)) for _, lang, page, _ in found} <= pages


def test_no_markup_is_left_in_the_pages(built: Path) -> None:
    shards = (built / "tables" / "pages").rglob("*.parquet")
    pages = [row for path in shards for row in pq.read_table(path).to_pylist()]
    marks = ("<!--", "Category:", "Kategorie:", "{{", "thumb|", "mini|", "<ref")
    assert not [(page["title"], mark) for page in pages for mark in marks if mark in page["text"]]


def test_a_truncated_shard_and_a_leftover_in_data_are_mended(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(built, out)
    shard = next((out / "data" / "code_switched").glob("train-*"))
    for path in (shard, next((out / "tables" / "code_switched").rglob(shard.name))):
        path.write_bytes(path.read_bytes()[:-5])
    (out / "data" / "code_switched" / "train-00000-of-00002.parquet").touch()
    done = build(out)
    assert done.returncode == 0, done.stderr
    assert bytes_of(out) == bytes_of(built)


def test_every_stage_gives_something_on_the_embedded_world(built: Path) -> None:
    tables = json.loads((built / "report.json").read_text())["tables"]
    assert all(entry["rows"] > 40 for entry in tables.values())
    trelm = [row for path in (built / "data" / "trelm").iterdir() for row in pq.read_table(path).to_pylist()]
    mentions = [mention for row in trelm for mention in row["mentions"]]
    assert sum(mention["cos"] is not None for mention in mentions) > 0.95 * len(mentions)
    assert any(mention["long_tail"] and mention["triples"] for mention in mentions)
    for row in trelm:
        assert all(0 <= mention["start"] < mention["end"] <= len(row["text"]) for mention in row["mentions"])
    entities = pq.read_table(next((built / "data" / "jaket_entities").glob("train-*"))).to_pylist()
    assert any(entity["category"] for entity in entities)
    assert any(entity["start"] is not None for entity in entities)


def test_names_of_the_embedded_world_are_linked_at_its_threshold(built: Path) -> None:
    text = "From Paris\tto Paris? From London 😀 to the University of Vienna."
    spans = [(mention.start, mention.end) for mention in Linker.open(built, "en").link(text)]
    assert [text[start:end] for start, end in spans] == ["Paris", "Paris", "London", "University of Vienna"]


def test_no_test_pair_is_read_in_training(built: Path) -> None:
    def pairs(config: str, split: str) -> set[frozenset[str]]:
        rows = [
            row
            for path in (built / "data" / config).glob(f"{split}-*")
            for row in pq.read_table(path).to_pylist()
        ]
        return {frozenset((triple["h"], triple["t"])) for row in rows for triple in row["triples"]}

    held_out = pairs("code_switched", "test")
    assert held_out
    assert not held_out & (pairs("code_switched", "train") | pairs("reasoning", "train"))


def test_no_xlr_pair_is_read_in_training_in_any_language_alias_or_direction(built: Path) -> None:
    def rows(config: str) -> list[dict]:
        return [
            row for path in (built / "data" / config).iterdir() for row in pq.read_table(path).to_pylist()
        ]

    asked = {frozenset((row["question"]["h"], row["question"]["t"])) for row in rows("xlr")}
    assert len(asked) >= 60
    for config in ("code_switched", "reasoning"):
        read = {frozenset((triple["h"], triple["t"])) for row in rows(config) for triple in row["triples"]}
        assert read
        assert not read & asked
    facts = {
        frozenset((m["qid"], f["other"]))
        for row in rows("trelm")
        for m in row["mentions"]
        for f in m["triples"]
    }
    edges = {frozenset((row["h"], row["t"])) for row in rows("jaket_edges")}
    assert facts
    assert edges
    assert not (facts | edges) & asked


def test_a_changed_input_replaces_the_published_files(tmp_path: Path) -> None:
    def rebuild(*values: str) -> None:
        done = run("build-corpus", "code_switched", "--out", tmp_path, *sets(*values))
        assert done.returncode == 0, done.stderr

    rebuild("languages=[en, de]")
    before = json.loads((tmp_path / "manifest.json").read_text())
    rebuild("languages=[en, fr]")
    after = json.loads((tmp_path / "manifest.json").read_text())
    assert before["tables"]["triples"] == after["tables"]["triples"]
    assert before["tables"]["code_switched"]["digest"] != after["tables"]["code_switched"]["digest"]
    langs = (
        pq.read_table(next((tmp_path / "data" / "code_switched").glob("train-*")))["lang"]
        .unique()
        .to_pylist()
    )
    assert langs == ["fr"]
    assert not list((tmp_path / "data").rglob("*.tmp"))
