"""Benchmarks are found by name: built in, by an entry point, or registered by a call."""

import json
import os
import re
from pathlib import Path

import pytest

import kgcorpus
from kgcorpus.contracts.errors import UsageError
from tests.made import command
from trainer.evaluate.registry import BENCHMARKS

DOCS = Path(__file__).parents[3] / "docs"
BEGIN, END = "<!-- benchmarks -->\n", "<!-- /benchmarks -->"


def test_the_page_lists_the_registered_benchmarks() -> None:
    rows = [f"| `{one.name}` | {one.data} | {one.score} |\n" for one in BENCHMARKS.values()]
    table = "".join(["| name | data | score |\n", "| --- | --- | --- |\n", *rows])
    page = DOCS / "evaluation.md"
    text = page.read_text(encoding="utf-8")
    wanted = re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}{table}{END}", text, flags=re.DOTALL)
    if "KGCORPUS_RENEW_DOCS" in os.environ:
        page.write_text(wanted, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == wanted, "renew the table with KGCORPUS_RENEW_DOCS=1"


def test_list_prints_every_benchmark_and_needs_no_other_argument(capsys) -> None:
    assert command("evaluate", "--list") == 0
    printed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert printed == sorted(BENCHMARKS)


def test_help_names_the_registered_benchmarks_and_objectives(capsys) -> None:
    assert command("evaluate", "--help") == 0
    assert command("train", "--help") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("xlr-zero-shot", "metaqa", "transe", "trelm"))


@pytest.fixture
def _cloze_unregistered():
    yield
    BENCHMARKS.unregister("cloze")


@pytest.mark.usefixtures("_cloze_unregistered")
def test_the_pages_benchmark_is_registered_and_run(bert: Path, tmp_path: Path, capsys) -> None:
    page = (DOCS / "extending" / "benchmark.md").read_text(encoding="utf-8")
    names = {"__name__": "cloze"}
    for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        exec(compile(block, "benchmark.md", "exec"), names)
    (tmp_path / "data.tsv").write_text("Ada was [MASK] in Ulm\tborn\n[MASK] was born\tAda\n")
    found = kgcorpus.evaluate("cloze", model=bert, data=tmp_path / "data.tsv", out=tmp_path / "found.json")
    assert found == json.loads((tmp_path / "found.json").read_text())
    assert (found["benchmark"], found["n"], found["config"]["seeds"]) == ("cloze", 2, [0])
    words = ("--model", bert, "--data", tmp_path / "data.tsv", "--out", tmp_path / "again.json")
    assert command("evaluate", "cloze", *words) == 0
    assert json.loads((tmp_path / "again.json").read_text()) == found


def test_a_linkers_benchmark_is_refused_for_a_model(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="linking scores the linker of a build, not a model"):
        kgcorpus.evaluate("linking", model=bert, data=tmp_path, out=tmp_path / "found.json")
