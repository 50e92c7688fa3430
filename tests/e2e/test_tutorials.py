"""The tutorials as a reader runs them, with small models, one core, and the demo's dumps as downloads."""

import json
import shutil
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from tests.pages import run_page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
BINARIES = Path(sys.executable).parent


def test_own_text_and_graph_become_models(tmp_path: Path) -> None:
    printed = run_page("tutorials/own-language.md", tmp_path, BINARIES)
    checked = next(text for text in printed if "nothing stops the build" in text)
    assert "error" not in checked
    for run in ("KMLM", "TRELM", "JAKET"):
        assert (tmp_path / run / "model" / "model.safetensors").is_file()
    tables = json.loads((tmp_path / "OUT" / "manifest.json").read_text())["tables"]
    for name in ("plain_text", "reasoning", "trelm", "jaket_text", "jaket_entities"):
        assert tables[name]["rows"], name
    assert "Rejno" in printed[-1]
    assert (tmp_path / "published" / "manifest.json").is_file()


def test_a_wikipedia_becomes_a_corpus(tmp_path: Path, built: Path) -> None:
    world = Path(str(files("kgcorpus.demo"))) / "world"
    places = {
        "WIKI_LANG": "fr",
        "DUMPS": str(built / "world"),
        "GRAPH": str(world / "graph"),
        "TITLES": str(world / "wikipedia" / "fr-titles.tsv"),
    }
    run_page("tutorials/wikipedia.md", tmp_path, BINARIES, **places)
    tables = json.loads((tmp_path / "OUT" / "manifest.json").read_text())["tables"]
    assert tables["linked_sentences"]["rows"]
    assert (tmp_path / "KMLM" / "model" / "model.safetensors").is_file()


def test_the_demo_is_evaluated_explained_and_reproduced(tmp_path: Path, built: Path) -> None:
    # Both builds find the tables of one that is finished; other tests compare builds from scratch.
    for name in ("demo-run/corpus", "again"):
        shutil.copytree(built, tmp_path / name)
    run_page("tutorials/evaluate.md", tmp_path, BINARIES)
    for name in ("cycles", "xlr", "linking", "neurons"):
        assert json.loads((tmp_path / f"{name}.json").read_text())
