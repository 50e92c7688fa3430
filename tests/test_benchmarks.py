import importlib
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("tables")


def test_the_page_shows_the_results_as_they_are(tables):
    page = tables.PAGE.read_text(encoding="utf-8")
    assert page == tables.filled(page, tables.RESULTS), "run `python benchmarks/tables.py`"


def test_the_page_of_costs_is_made_from_the_measured_ones(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    scale = importlib.import_module("scale")
    page = scale.PAGE.read_text(encoding="utf-8")
    assert page == scale.filled(page), "run `python benchmarks/scale.py`"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_figures_of_cka_in_the_docs_are_those_of_the_results(tables, seed):
    page = (BENCHMARKS.parent / "docs" / "evaluation.md").read_text(encoding="utf-8")
    result = json.loads((tables.RESULTS / f"cka-demo-small-{seed}.json").read_text(encoding="utf-8"))

    def over(part):
        gain = part["over_relation"]
        low, high = (100 * end for end in gain["interval"])
        return f"{100 * gain['difference']:+.1f} [{low:+.1f}, {high:+.1f}]"

    cells = []
    for level, among in (("sampled", "64 negatives"), ("vocabulary", "the vocabulary")):
        found = result[level]
        other = found["another_fact"]
        arms = [100 * found[name] for name in ("injected", "not_injected")]
        arms += [100 * other["another"], 100 * other["same"], 100 * found["relation"]]
        row = "| {:.1f} | {:.1f} | {:.1f} ({:.1f}) | {:.1f} |".format(*arms)
        assert f"| {seed} | {among} {row} {over(found)} |" in page
    for part in ("seen", "unseen"):
        for level in ("sampled", "vocabulary"):
            found = result[level][part]
            cells.append(f"{100 * found['injected']:.1f}, {100 * found['relation']:.1f}: {over(found)}")
    assert f"| {seed} | {' | '.join(cells)} |" in page


def test_results_come_under_headings_of_one_level_and_old_ones_go(tables, tmp_path):
    (tmp_path / "b.md").write_text("# Title\n\n| x |\n\n## Part\n", encoding="utf-8")
    (tmp_path / "a.md").write_text("bare\n", encoding="utf-8")
    page = f"before\n{tables.BEGIN}\nold\n{tables.END}after\n"
    written = tables.filled(page, tmp_path)
    assert written == (
        f"before\n{tables.BEGIN}\n## a\n\nbare\n\n## Title\n\n| x |\n\n### Part\n\n{tables.END}after\n"
    )
    assert tables.filled(written, tmp_path) == written


@pytest.mark.parametrize(("trainer", "marked"), [("other", True), (None, False)])
def test_a_result_of_another_trainer_is_marked(tables, tmp_path, trainer, marked):
    (tmp_path / "gpu.md").write_text("# On a GPU\n\nfast\n", encoding="utf-8")
    (tmp_path / "gpu.json").write_text(json.dumps({"trainer": trainer or tables.trainer_hash()}))
    section = tables.section(tmp_path / "gpu.md")
    assert ("Not measured since the trainer changed" in section) == marked


def test_a_page_without_marks_is_refused(tables, tmp_path):
    with pytest.raises(ValueError, match="lacks"):
        tables.filled("no marks", tmp_path)
