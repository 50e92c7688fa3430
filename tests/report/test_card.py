import copy
import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kgcorpus.contracts.tables import TABLES
from kgcorpus.report.card import render_card
from kgcorpus.report.front_matter import size_category

CONFIG = "seed: 1\nlanguages: [en, fr]\n"
EMPTY = {"tables": {}, "sources": [], "versions": {}}

LOAD = """
import json, sys
from datasets import Features, get_dataset_config_names, load_dataset, load_dataset_builder
from kgcorpus.contracts.tables import TABLES
out, cache = sys.argv[1:]
found = {}
for config in get_dataset_config_names(out):
    # Reads the card, not the shards.
    info = load_dataset_builder(out, config, cache_dir=cache).info
    assert info.features == Features.from_arrow_schema(TABLES[config].schema), config
    counts = {name: split.num_examples for name, split in info.splits.items()}
    splits = load_dataset(out, config, cache_dir=cache)
    assert counts == {name: len(rows) for name, rows in splits.items()}, config
    found[config] = {split: sorted(rows["id"]) for split, rows in splits.items()}
print(json.dumps(found))
"""
FEATURES = """
import json, sys
from datasets import Features
from kgcorpus.contracts.tables import TABLES
for info in json.load(sys.stdin):
    table = TABLES[info["config_name"]]
    assert Features._from_yaml_list(info["features"]) == Features.from_arrow_schema(table.schema), table.name
"""


def front_matter(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def rendered(card: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(card)


@pytest.fixture(scope="module")
def card(build):
    return render_card(build[1].to_dict(), config_yaml=CONFIG)


def test_datasets_shows_features_and_counts_of_each_config_and_opens_it_offline(build, card, tmp_path):
    out, _ = build
    (out / "README.md").write_text(card, encoding="utf-8")
    (out / "report.json").write_text("{}")
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", LOAD, str(out), str(tmp_path / "cache")]
    run = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "code_switched": {"train": ["train0-0", "train0-1"], "test": ["test0-0"]},
        "plain_text": {
            "train": ["train0-0", "train0-1", "train0-2", "train1-0", "train1-1"],
            "validation": ["validation0-0"],
        },
    }


def test_only_configs_and_splits_with_rows_are_listed(card):
    listed = {
        config["config_name"]: [file["split"] for file in config["data_files"]]
        for config in front_matter(card)["configs"]
    }
    assert listed == {"code_switched": ["train", "test"], "plain_text": ["train", "validation"]}


def test_the_card_tells_what_is_in_it_and_where_it_comes_from(card):
    page = rendered(card.split("---\n", 2)[2])
    assert re.search(r"<td>plain_text</td>\s*<td>[^<]+</td>\s*<td>5</td>\s*<td>1</td>\s*<td>0</td>", page)
    assert "f" * 64 in page
    assert re.search(r"<td>no_label</td>\s*<td>1,200</td>", page)
    assert re.search(r"<td><code>kind</code></td>\s*<td><code>string</code></td>", page)
    assert "<td>code_switched | alias | cycle3 | cycle4</td>" in page
    assert "CC BY-SA" in page
    assert "CC0" in page
    assert 'load_dataset("path/to/this/folder", "code_switched", split="train")' in card
    assert CONFIG in card


def test_names_from_data_stay_text(card):
    page = rendered(card.split("---\n", 2)[2])
    assert "<td>a|&lt;b&gt;_x.tsv</td>" in page


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_no_name_can_break_out_of_its_cell(name):
    source = {"role": "text", "file": f"x{name}x", "bytes": 1, "sha256": "0"}
    page = rendered(render_card(EMPTY | {"sources": [source]}, config_yaml=CONFIG))
    (row,) = re.findall(r"<tr>\n<td>text</td>\n(.*?)</tr>", page, re.DOTALL)
    assert re.fullmatch(r"<td>[^<>]*</td>\n<td>[-0-9]*</td>\n<td>1</td>\n<td>0</td>\n", row)


def test_a_config_with_a_fence_in_it_stays_in_its_block():
    page = rendered(render_card(EMPTY, config_yaml="a: |\n  ```\n  # not a heading\n"))
    assert "not a heading</h1>" not in page


def test_a_build_without_shards_has_a_card_without_configs():
    card = render_card(EMPTY, config_yaml=CONFIG)
    assert not card.startswith("---")
    assert "load_dataset" not in card


def test_equal_builds_have_equal_cards(build, card):
    manifest = build[1].to_dict()
    again = copy.deepcopy(manifest)
    again["tables"] = dict(reversed(again["tables"].items()))
    assert render_card(again, config_yaml=CONFIG) == card


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("languages: [ltg, lv, ru]", "The base language is ltg; further languages of labels: lv, ru."),
        ("languages: [be-tarask]", "The base language is be-tarask."),
        ("languages: ['<b>']", "The base language is &lt;b&gt;."),
        ("seed: 1", "`text`."),
        ("languages: [", "`text`."),
    ],
)
def test_the_card_names_the_base_language(config, sentence):
    card = render_card(EMPTY, config_yaml=config)
    line = next(line for line in card.splitlines() if line.startswith("Built by kgcorpus"))
    assert line.endswith(sentence)


def report_of(tables: dict, sources: list[dict]) -> dict:
    shown = {
        name: {"rows": n, "bytes": 7, "drops": {}, "splits": {"train": n, "validation": 0, "test": 0}}
        for name, n in tables.items()
    }
    shown["triples"] = {"rows": 1, "bytes": 1, "drops": {}, "distributions": {"relations": {"P17": 1}}}
    return {"tables": shown, "sources": sources, "versions": {}}


def test_the_card_has_the_features_of_every_published_table():
    published = {name: 1 for name, table in TABLES.items() if table.published}
    about = front_matter(render_card(EMPTY, config_yaml=CONFIG, report=report_of(published, [])))
    assert len(about["dataset_info"]) == len(published)
    code = [sys.executable, "-c", FEATURES]
    run = subprocess.run(
        code, input=json.dumps(about["dataset_info"]), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


WIKIPEDIA = {
    "role": "wikipedia.dump",
    "file": "enwiki-20200301-pages-articles.xml.bz2",
    "bytes": 1,
    "sha256": "0",
}
OWN = {"role": "text.path", "file": "mine-12345678901.txt", "bytes": 1, "sha256": "0"}


@pytest.mark.parametrize(
    ("tables", "sources", "licences"),
    [
        ({"plain_text": 5}, [WIKIPEDIA], ["cc-by-sa-4.0"]),
        ({"plain_text": 5}, [OWN], ["other"]),
        ({"trelm": 5, "xlr": 2}, [WIKIPEDIA, OWN], ["cc-by-sa-4.0", "cc0-1.0", "other"]),
        ({"reasoning": 5}, [WIKIPEDIA], ["cc0-1.0"]),
    ],
)
def test_licences_follow_from_what_a_config_is_made_of(tables, sources, licences):
    about = front_matter(render_card(EMPTY, config_yaml=CONFIG, report=report_of(tables, sources)))
    assert about["license"] == licences


def test_facts_with_ids_of_another_graph_have_no_licence_of_wikidata():
    report = report_of({"reasoning": 5}, [])
    report["tables"]["triples"]["distributions"]["relations"] = {"capital of": 3}
    about = front_matter(render_card(EMPTY, config_yaml=CONFIG, report=report))
    assert about["license"] == ["other"]
    assert "wikidata" not in about["tags"]


def test_the_front_matter_names_languages_size_tasks_and_the_date_of_a_dump():
    report = report_of({"plain_text": 900, "xlr": 200}, [WIKIPEDIA, OWN])
    card = render_card(EMPTY, config_yaml="languages: [be-tarask, en]", report=report)
    about = front_matter(card)
    assert about["language"] == ["be", "en"]
    assert about["size_categories"] == ["1K<n<10K"]
    assert about["task_categories"] == ["fill-mask", "multiple-choice"]
    assert {"wikipedia", "wikidata"} <= set(about["tags"])
    assert "| 2020-03-01 |" in card
    assert "kgcorpus build-corpus --config config.yaml" in card


@pytest.mark.parametrize(
    ("rows", "size"),
    [(1, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (26_000_000, "10M<n<100M"), (10**12, "n>1T")],
)
def test_size_categories_are_those_of_the_hub(rows, size):
    assert size_category(rows) == size
