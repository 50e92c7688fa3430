"""No command writes where a build or a run replaces and deletes files, nor into another command's folder."""

import os
from pathlib import Path

import pytest

from tests.made import command, finished_build
from tests.test_links import content
from tests.trainer.toy import rows_of, write_corpus


def test_publishing_to_the_builds_own_folder_is_refused_however_it_is_named(
    tmp_path, capsys, monkeypatch
) -> None:
    out, config = finished_build(tmp_path)
    (tmp_path / "link").symlink_to(out)
    (out / "notes").mkdir()
    before = content(tmp_path)
    monkeypatch.chdir(out)
    own = [out, f"file://{out}", f"local://{out}", "../OUT", ".", "./notes/..", tmp_path / "link", f"{out}/"]
    within = [
        out / "data",
        out / "store",
        f"file://{out}/tables/store",
        tmp_path / "link" / "x",
        "notes",
        "data/x",
    ]
    around = [tmp_path, f"file://{tmp_path}", "..", "/"]
    for target in (*own, *within, *around, f"file://{out}/../OUT", f"simplecache::file://{out}"):
        assert command("publish", "--out", out, "--to", target) == 2, target
        assert "error: " in capsys.readouterr().err
        assert content(tmp_path) == before
    assert command("publish", "--out", out, "--to", tmp_path / "store") == 0
    assert command("build-corpus", "--out", out, "--config", config) == 0
    assert command("publish", "--out", out, "--to", tmp_path / "store") == 0


def test_another_builds_folder_is_not_published_to(tmp_path) -> None:
    out, _ = finished_build(tmp_path)
    (tmp_path / "b").mkdir()
    other, config = finished_build(tmp_path / "b")
    before = content(other)
    for target in (other, other / "data" / "store", other / "tokens"):
        assert command("publish", "--out", out, "--to", target) == 2
    assert content(other) == before
    assert command("build-corpus", "--out", other, "--config", config) == 0


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    run = tmp_path / "RUN"
    (run / "corpus" / "published").mkdir(parents=True)
    (run / "corpus" / "published" / "url").write_text("memory://x")
    (run / "run.json").write_text('{\n "objective": "kmlm"}')
    return run


def commands(target: Path, corpus: Path, config: Path) -> list[tuple[str | Path, ...]]:
    """Every command that writes a folder or a file where it is told to."""
    (config.parent / "grid.yaml").write_text("objective: kmlm\nmax_steps: 1\narms: {one: {}}\n")
    return [
        ("build-corpus", "--config", config, "--out", target),
        ("build-corpus", "--out", target),
        ("train", "kmlm", "--corpus", corpus, "--out", target),
        ("train", "transe", "--corpus", corpus, "--out", target),
        ("sweep", config.parent / "grid.yaml", "--corpus", corpus, "--out", target),
        ("publish", "--out", corpus, "--to", target),
        ("package", "--to", target),
        ("evaluate", "xlr", "--model", target, "--data", corpus, "--out", target / "x.json"),
        ("evaluate", "linking", "--corpus", corpus, "--out", target / "x.json"),
    ]


@pytest.mark.parametrize("name", ["data/x", "tables", "tokens/x", "quarantine/x", "cache/x/y", "scratch"])
def test_nothing_is_written_where_a_build_deletes(tmp_path, name) -> None:
    out, config = finished_build(tmp_path)
    corpus = write_corpus(tmp_path / "corpus", rows_of(10))
    for words in commands(out / name, corpus, config):
        before = content(tmp_path)
        assert command(*words) == 2, words
        assert content(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["model", "model/x", "tokenizer", "checkpoints/x", "kge", "corpus", "corpus/data"]
)
def test_nothing_is_written_where_a_run_deletes(tmp_path, run_folder, name) -> None:
    corpus = write_corpus(tmp_path / "corpus", rows_of(10))
    _, config = finished_build(tmp_path)
    for words in commands(run_folder / name, corpus, config):
        before = content(tmp_path)
        assert command(*words) == 2, words
        assert content(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "report.json", "run.json", "progress.json", ".sources.json", ".lock", "README.md"],
)
def test_a_result_never_replaces_a_file_of_a_build(tmp_path, name) -> None:
    out, _ = finished_build(tmp_path)
    before = content(out)
    evaluate = ("evaluate", "xlr", "--model", out, "--data", out, "--out", out / name)
    assert command(*evaluate) == 2
    assert command("evaluate", "linking", "--corpus", out, "--out", out / name) == 2
    assert content(out) == before


def test_a_build_and_a_run_never_share_a_folder(tmp_path, run_folder) -> None:
    out, config = finished_build(tmp_path)
    before = content(tmp_path)
    assert command("train", "kmlm", "--corpus", out, "--out", out) == 2
    assert command("build-corpus", "--config", config, "--out", run_folder) == 2
    assert content(tmp_path) == before


def test_a_folder_beside_a_builds_own_names_is_free(tmp_path) -> None:
    out, config = finished_build(tmp_path)
    (tmp_path / "manifest.json").write_text('{"manifest_version": 3, "name": "a browser extension"}')
    (tmp_path / "run.json").write_text("{}")
    assert command("package", "--to", out / "package") == 0
    assert command("package", "--to", tmp_path / "data" / "package") == 0
    assert command("build-corpus", "--config", config, "--out", tmp_path / "model" / "build", "triples") == 2
    assert os.listdir(tmp_path / "data" / "package")


@pytest.mark.parametrize("name", ["a::b", 'q"x', "tab\tline\nend", "p%20#?*~", "Zürich"])
def test_a_build_may_lie_in_a_folder_of_any_name(tmp_path, name) -> None:
    out, config = finished_build(tmp_path)
    (tmp_path / name).mkdir()
    out = out.rename(tmp_path / name / "OUT")
    for words in (("inspect", "relations"), ("status",), ("report",), ("plan",)):
        assert command(*words, "--out", out) == 0
    assert command("build-corpus", "--config", config, "--out", out) == 0
    assert command("publish", "--out", out, "--to", tmp_path / name / "store") == 0
    assert (tmp_path / name / "store" / "manifest.json").read_bytes() == (out / "manifest.json").read_bytes()
