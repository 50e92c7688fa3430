"""Pages of dumps through `build-corpus`: templates dropped by name, and the variant of a language."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.commands import ONE_CORE, run, sets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DUMP = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="{lang}">
<siteinfo><sitename>Wikipedia</sitename><dbname>{lang}wiki</dbname><case>first-letter</case>
<namespaces><namespace key="0" case="first-letter"/></namespaces></siteinfo>
<page><title>A</title><ns>0</ns><id>1</id><revision><id>2</id><timestamp>2026-01-01T00:00:00Z</timestamp>
<model>wikitext</model><format>text/x-wiki</format><text xml:space="preserve">{text}</text></revision></page>
</mediawiki>"""
ENGLISH = """{{Infobox|a={{inner|1}}}}
It is {{odd unit|5|km}} or {{Odd_unit|6}} long, {{nowrap|{{other|7}} wide}}, {{known|8}} high
and {{convert|9|m}} deep.
{{Navigation}}"""
CHINESE = "这是-{zh-cn:大陆;zh-tw:台灣}-的{{奇怪|x}}文字。"
CONFIG = """
wikipedia:
  - {{lang: en, dump: {folder}/en.xml, templates: {folder}/templates.tsv}}
  - {{lang: zh, dump: {folder}/zh.xml, variant: {variant}}}
"""


def built(folder: Path, out: Path, variant: str) -> str:
    """The pages of both dumps; returns what the command prints."""
    (folder / "config.yaml").write_text(CONFIG.format(folder=folder, variant=variant))
    spark = sets(*ONE_CORE, "spark.memory=1g")
    done = run("build-corpus", "pages", "--config", folder / "config.yaml", "--out", out, *spark)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def texts(out: Path) -> dict[str, str]:
    files = json.loads((out / "manifest.json").read_text())["tables"]["pages"]["files"]
    rows = [row for file in files for row in pq.read_table(out / file["path"]).to_pylist()]
    return {row["lang"]: row["text"] for row in rows}


def test_the_build_names_dropped_templates_and_shows_the_variant(tmp_path: Path) -> None:
    (tmp_path / "en.xml").write_text(DUMP.format(lang="en", text=ENGLISH), encoding="utf-8")
    (tmp_path / "zh.xml").write_text(DUMP.format(lang="zh", text=CHINESE), encoding="utf-8")
    (tmp_path / "templates.tsv").write_text("known\t{1} m\n", encoding="utf-8")
    out = tmp_path / "OUT"
    printed = " ".join(built(tmp_path, out, "zh-tw").split())
    assert "3 uses in en" in printed
    assert "odd unit 2, other 1" in printed
    assert "奇怪 1" in printed
    assert "known" not in printed
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))["tables"]["pages"]
    assert report["dropped_templates"] == {"en": {"odd unit": 2, "other": 1}, "zh": {"奇怪": 1}}
    assert texts(out) == {"en": "It is or long, wide, 8 m high and 9 m deep.", "zh": "这是台灣的文字。"}
    # Another variant is another input: the pages are built again.
    built(tmp_path, out, "zh-cn")
    assert texts(out)["zh"] == "这是大陆的文字。"


def test_an_unknown_variant_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    for lang, text in (("en", ENGLISH), ("zh", CHINESE)):
        (tmp_path / f"{lang}.xml").write_text(DUMP.format(lang=lang, text=text), encoding="utf-8")
    (tmp_path / "templates.tsv").write_text("known\t{1} m\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path, variant="zh-xx"))
    done = run("plan", "--config", tmp_path / "config.yaml", "--out", tmp_path / "OUT")
    assert done.returncode == 2
    assert "'zh-xx' is not a variant of 'zh'" in done.stderr
    assert "zh-tw" in done.stderr
