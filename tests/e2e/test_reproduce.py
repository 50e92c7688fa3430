"""`kgcorpus reproduce`, as a user runs it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from kgcorpus.reproduce.jaket_layouts import ARMS
from kgcorpus.reproduce.papers import PAPERS
from tests.e2e.commands import run

TINY = ("schedule_steps=2", "model.hidden=16", "model.layers=1", "model.heads=2", "records_per_step=4")


def test_the_plan_of_the_papers_scale_names_every_input_and_where_it_is_published(tmp_path: Path) -> None:
    (tmp_path / "cc100").mkdir()
    (tmp_path / "cc100" / "en.txt.xz").write_bytes(b"12345")
    done = run("reproduce", "kmlm", "--scale", "paper", "--plan", "--data", tmp_path, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    files = [line for line in done.stdout.splitlines() if line.startswith("file: ")]
    assert len(files) == 12
    assert all(" https://" in line for line in files)
    present = [line for line in files if "(missing" not in line]
    assert present == [f"file: {tmp_path}/cc100/en.txt.xz (5 bytes) https://data.statmt.org/cc-100/en.txt.xz"]
    missing = [line for line in files if line not in present]
    assert all(re.search(r"\(missing, about [\d.]+ GB", line) for line in missing)
    assert "model: xlm-roberta-base" in done.stdout
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("paper", sorted(PAPERS))
def test_the_plan_at_the_papers_scale_states_time_disk_and_the_size_of_every_file(
    paper: str, tmp_path: Path
) -> None:
    done = run("reproduce", paper, "--scale", "paper", "--plan", "--data", tmp_path)
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("time: ") and re.search(r"\d", line)]
    assert [line for line in lines if line.startswith("disk: ") and re.search(r"\d", line)]
    files = [line for line in lines if line.startswith("file: ")]
    assert all("(missing, about " in line for line in files)


def test_the_plan_counts_the_runs_of_a_figure(tmp_path: Path) -> None:
    done = run("reproduce", "trelm", "--figure", "8", "--plan", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    # Three values of beta, four of k, one seed.
    (line,) = [line for line in done.stdout.splitlines() if "Figure 8" in line]
    assert "12 runs" in line
    assert "Figure 3" not in done.stdout


def test_jakets_plan_names_the_evaluation_files_and_the_scores(tmp_path: Path) -> None:
    (tmp_path / "fewrel").mkdir()
    (tmp_path / "fewrel" / "val_wiki.json").write_bytes(b"{}")
    call = ("reproduce", "jaket", "--plan", "--data", tmp_path, "--out", tmp_path / "o")
    demo, paper = run(*call), run(*call, "--scale", "paper")
    assert demo.returncode == paper.returncode == 0, demo.stderr + paper.stderr
    # Three shares of the labels and five arms; 5 % of the demo's are too few.
    assert "scored by jaket-entities x 10 " in demo.stdout
    assert "scored by jaket-entities x 15 " in paper.stdout
    files = [line for line in paper.stdout.splitlines() if line.startswith("file: ")]
    assert len(files) == 9 + 10 + 2
    assert all(" https://" in line for line in files)
    (present,) = [line for line in files if "(missing" not in line]
    assert present.startswith(f"file: {tmp_path}/fewrel/val_wiki.json (2 bytes) https://raw.github")
    assert "model: roberta-base" in paper.stdout
    assert not (tmp_path / "o").exists()


def test_a_table_is_refused_without_its_evaluation_data_before_anything_is_built(tmp_path: Path) -> None:
    done = run("reproduce", "jaket", "--table", "fewrel", "--data", tmp_path, "--out", tmp_path / "o")
    assert done.returncode == 3
    assert f"{tmp_path}/fewrel does not exist" in done.stderr
    assert "train_wiki.json" in done.stderr
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("kmlm", "--table", "99"), "xlr"),
        (("kmlm", "--scale", "huge"), "demo or paper"),
        (("trelm", "--figure", "3", "--table", "6"), "Leave one out"),
        (("nonsense",), "kmlm"),
        (("jaket", "--table", "2"), "classes"),
    ],
)
def test_a_paper_table_or_scale_that_is_not_there_is_wrong_use(
    tmp_path: Path, arguments: tuple[str, ...], hint: str
) -> None:
    done = run("reproduce", *arguments, "--plan", "--out", tmp_path / "o")
    assert done.returncode == 2
    assert hint in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_kmlm_is_reproduced_at_a_very_small_size_and_resumed(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "kmlm"
    shutil.copytree(built, out / "corpus")
    call = ("reproduce", "kmlm", "--out", out, *(word for one in TINY for word in ("--set", one)))
    done = run(*call)
    assert done.returncode == 0, done.stderr
    tables = (out / "tables.md").read_text(encoding="utf-8")
    report = json.loads((out / "corpus" / "report.json").read_text())["tables"]
    assert f"| cycles of length 3 | 24,100,000 | {report['cycles']['counts']['length3']:,} |" in tables
    assert f"| de | {report['code_switched']['distributions']['records']['de']['alias']:,} |" in tables
    cells = {cell["name"]: cell["scores"] for cell in json.loads((out / "xlr" / "sweep.json").read_text())}
    assert list(cells) == ["KMLM", "KMLM without R", "plain text only"]
    for name, scores in cells.items():
        (row,) = [line for line in tables.splitlines() if line.startswith(f"| {name} |")]
        mean, deviation = (100 * scores[f"xlr fine_tuned.overall.{of}"] for of in ("mean", "deviation"))
        assert f"| {mean:.1f} ± {deviation:.1f} |" in row
    assert "What differs from the paper: " in tables
    written = {path: path.stat().st_mtime_ns for path in (out / "xlr").rglob("*.safetensors")}
    assert run(*call).returncode == 0
    assert (out / "tables.md").read_text(encoding="utf-8") == tables
    trained = {path: path.stat().st_mtime_ns for path in written if "checkpoints" in path.parts}
    assert trained == {path: time for path, time in written.items() if path in trained}


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_jaket_is_reproduced_at_a_very_small_size_and_resumed(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "jaket"
    shutil.copytree(built, out / "corpus")
    tiny = (*TINY[:2], "model.layers=2", "model.heads=2", "jaket.gat_heads=2", "jaket.roots=16")
    call = ("reproduce", "jaket", "--out", out, *(word for one in tiny for word in ("--set", one)))
    done = run(*call)
    assert done.returncode == 0, done.stderr
    tables = (out / "tables.md").read_text(encoding="utf-8")
    report = json.loads((out / "corpus" / "report.json").read_text())["tables"]
    assert f"| entities | 3,657,658 | {report['jaket_entities']['rows']:,} |" in tables
    (cell,) = json.loads((out / "runs" / "sweep.json").read_text())
    for arm, title in ARMS.items():
        (row,) = [line for line in tables.splitlines() if line.startswith(f"| {title} |")]
        for share in (100, 20):
            score = f"classes-{share}-{arm} accuracy"
            mean, deviation = (100 * cell["scores"][f"{score}.{of}"] for of in ("mean", "deviation"))
            assert f"| {mean:.1f} ± {deviation:.1f} |" in row
    assert "| model | 100 % | 20 % |" in tables
    assert tables.count("Not run: the folder ") == 2
    written = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*.json")}
    assert run(*call).returncode == 0
    assert (out / "tables.md").read_text(encoding="utf-8") == tables
    scored = {path for path in written if path.name.startswith("classes-")}
    assert len(scored) == 20
    assert all(path.stat().st_mtime_ns == written[path] for path in scored)
