"""No command writes, deletes or publishes through a symbolic link below OUT or RUN."""

import os
from pathlib import Path

import pytest

from kgcorpus.contracts.links import open_to_append
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.mirror import copy_from
from kgcorpus.publishing import publish_to
from tests.made import TABLE, command, finished_build
from tests.trainer.toy import rows_of, write_corpus

_REFUSED = "is a symbolic link, which is not followed here"
SMALL = ["model.hidden=16", "model.layers=1", "model.heads=2", "model.vocab_size=300", "records_per_step=8"]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of the user's own, with names that a build or a run would take for its own."""
    folder = tmp_path / "mine"
    names = ["a.txt", "docs/b.txt", ".c.parquet.1-0123abcd.tmp", "d.jsonl", "part-00000-of-00001.parquet"]
    for name in [*names, "step-00000001/state.json", "aaa/tables.json", f"{TABLE}-0/ids.arrow"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")
    return folder


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def plant(place: Path, target: Path) -> None:
    """Put a link in a place, over what is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(place.with_name(f"{place.name}-before"))
    place.symlink_to(target)


def shard_folder(out: Path) -> str:
    return load_manifest(out).tables[TABLE].files[0].path.rpartition("/")[0]


REFUSED = ["tables", f"tables/{TABLE}", "SHARDS", "SHARDS/more", "data", "data/xlr", "data/xlr/more", "world"]
REFUSED += ["quarantine", f"quarantine/{TABLE}", "scratch", "scratch/cycles", "cache", "cache/names"]
REFUSED += [f"cache/names/{TABLE}-0", "cache/linker", "cache/linker/aaa", "cache/linker/aaa/de"]


@pytest.mark.parametrize("place", REFUSED)
def test_a_linked_folder_where_a_build_writes_is_refused(tmp_path, mine, place, capsys) -> None:
    out, config = finished_build(tmp_path)
    place = place.replace("SHARDS", shard_folder(out))
    plant(out / place, mine)
    before = content(mine)
    for options in ((), ("--force",)):
        assert command("build-corpus", *options, "--out", out, "--config", config) == 2
        assert f"{out / place}: {_REFUSED}" in capsys.readouterr().err.replace("\n", "")
    assert content(mine) == before


def test_other_links_in_out_are_left_alone_and_not_entered(tmp_path, mine) -> None:
    out, config = finished_build(tmp_path)
    places = ["tables/more", "data/more", "quarantine/more", "cache/more", "more", ".more.tmp"]
    for place in places:
        plant(out / place, mine)
    before = content(mine)
    assert command("build-corpus", "--out", out, "--config", config) == 0
    assert command("report", "--out", out) == 0
    assert command("publish", "--out", out, "--to", tmp_path / "store") == 0
    assert content(mine) == before
    assert all((out / place).is_symlink() for place in places)


def test_links_to_files_are_replaced_or_removed_and_their_targets_stay(tmp_path, mine) -> None:
    out, config = finished_build(tmp_path)
    places = ["README.md", "config.yaml", "report.json", "run.json", "progress.json", ".sources.json"]
    stale = [f"tables/{TABLE}/0123456789ab", f"quarantine/{TABLE}/0.jsonl", "data/xlr/test-0.parquet"]
    stale += [".x.json.1-0123abcd.tmp", f"tables/{TABLE}/.x.parquet.1-0123abcd.tmp"]
    for place in [*places, *stale]:
        plant(out / place, mine / "a.txt")
    before = content(mine)
    assert command("build-corpus", "--out", out, "--config", config) == 0
    assert content(mine) == before
    assert not [place for place in places if (out / place).is_symlink()]
    assert not [place for place in stale if (out / place).is_symlink()]


def test_out_itself_may_be_a_link(tmp_path, mine) -> None:
    out, config = finished_build(tmp_path)
    out.rename(tmp_path / "elsewhere")
    out.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "data").mkdir(exist_ok=True)
    (tmp_path / "elsewhere" / "data" / "stale.parquet").touch()
    assert command("build-corpus", "--out", out, "--config", config) == 0
    assert command("publish", "--out", out, "--to", tmp_path / "store") == 0
    assert out.is_symlink()
    assert not (out / "data" / "stale.parquet").exists()


@pytest.mark.parametrize("kind", ["link", "hard link", "dangling link", "fifo", "folder"])
def test_a_lock_that_is_no_file_of_its_own_is_refused(tmp_path, mine, kind) -> None:
    out, config = finished_build(tmp_path)
    lock, target = out / ".lock", mine / "a.txt"
    lock.unlink()
    {
        "link": lambda: lock.symlink_to(target),
        "hard link": lambda: lock.hardlink_to(target),
        "dangling link": lambda: lock.symlink_to(tmp_path / "absent"),
        "fifo": lambda: os.mkfifo(lock),
        "folder": lock.mkdir,
    }[kind]()
    before = content(mine)
    assert command("build-corpus", "--out", out, "--config", config) == (4 if kind == "folder" else 2)
    assert content(mine) == before
    assert not (tmp_path / "absent").exists()


def test_a_log_is_never_written_through_a_link(tmp_path, mine, monkeypatch) -> None:
    from pyspark import SparkContext

    from pipelines.session import _start_java

    monkeypatch.setattr(SparkContext, "_gateway", None)
    (tmp_path / "spark.log").symlink_to(mine / "a.txt")
    before = content(mine)
    with pytest.raises(Exception, match=_REFUSED):
        _start_java({}, log=tmp_path / "spark.log")
    assert content(mine) == before
    with open_to_append(tmp_path / "new.log") as stream:
        stream.write(b"1")
    assert (tmp_path / "new.log").read_bytes() == b"1"


@pytest.mark.parametrize(
    "place", ["README.md", "config.yaml", "SHARDS", "SHARDS/part-00000-of-00001.parquet"]
)
def test_what_lies_behind_a_link_is_not_published(tmp_path, mine, place, capsys) -> None:
    out, _ = finished_build(tmp_path)
    place = out / place.replace("SHARDS", shard_folder(out))
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    assert command("publish", "--out", out, "--to", tmp_path / "store") == 2
    assert f"{place}: {_REFUSED}" in capsys.readouterr().err.replace("\n", "")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("place", ["README.md", "manifest.json", "publishing.json", "tables", "SHARDS"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_publishing_never_writes_through_a_link_at_the_target(tmp_path, mine, place, scheme) -> None:
    out, _ = finished_build(tmp_path)
    store = tmp_path / "store"
    assert command("publish", "--out", out, "--to", f"{scheme}{store}") == 0
    place = store / place.replace("SHARDS", shard_folder(out))
    plant(place, mine if place.suffix == "" else mine / "a.txt")
    before = content(mine)
    assert command("publish", "--out", out, "--to", f"{scheme}{store}") == 2
    assert content(mine) == before


@pytest.mark.parametrize("place", ["data", "data/reasoning", "tables", "published"])
def test_a_copy_of_a_build_is_never_written_through_a_link(tmp_path, mine, place) -> None:
    out = write_corpus(tmp_path / "out", rows_of(20))
    for name in ("README.md", "report.json"):
        (out / name).write_text("{}")
    publish_to(f"file://{tmp_path}/store", out)
    copy = copy_from(f"file://{tmp_path}/store", tmp_path / "copy", ["reasoning"])
    plant(copy / place, mine)
    before = content(mine)
    with pytest.raises(Exception, match=_REFUSED):
        copy_from(f"file://{tmp_path}/store", copy, ["reasoning"], streamed=["plain_text"])
    assert content(mine) == before


def train(corpus: Path, out: Path, *, steps: int = 1) -> int:
    sets = [word for value in SMALL for word in ("--set", value)]
    return command("train", "kmlm", "--corpus", corpus, "--out", out, "--max-steps", str(steps), *sets)


@pytest.mark.parametrize(
    "place",
    ["model", "tokenizer", "checkpoints", "checkpoints/.step-1.tmp", "kge", "corpus", "triples", "wandb"],
)
def test_a_linked_folder_where_a_run_writes_is_refused(tmp_path, mine, place, capsys) -> None:
    corpus, run = write_corpus(tmp_path / "out", rows_of(20)), tmp_path / "RUN"
    plant(run / place, mine)
    before = content(mine)
    assert train(corpus, run) == 2
    assert f"{run / place}: {_REFUSED}" in capsys.readouterr().err.replace("\n", "")
    assert content(mine) == before


def test_a_run_replaces_links_and_leaves_their_targets(tmp_path, mine) -> None:
    corpus, run = write_corpus(tmp_path / "out", rows_of(20)), tmp_path / "RUN"
    assert train(corpus, run) == 0
    for name in ("metrics.jsonl", "run.json"):
        (run / name).rename(mine / name)
        plant(run / name, mine / name)
    for name in (".model.old", ".model.1-0123abcd.tmp"):
        plant(run / name, mine)
    before = content(mine)
    assert train(corpus, run, steps=2) == 0
    assert content(mine) == before
    assert (run / "model" / "model.safetensors").is_file()
    assert not [
        name for name in ("metrics.jsonl", ".model.old", ".model.1-0123abcd.tmp") if (run / name).is_symlink()
    ]


@pytest.mark.parametrize("place", ["tokens", "tokens/KEY", "tokens/KEY/reasoning"])
def test_tokens_are_never_written_through_a_link(tmp_path, mine, place) -> None:
    corpus = write_corpus(tmp_path / "out", rows_of(20))
    assert train(corpus, tmp_path / "RUN") == 0
    (key,) = (corpus / "tokens").iterdir()
    plant(corpus / place.replace("KEY", key.name), mine)
    before = content(mine)
    assert train(corpus, tmp_path / "RUN") == 2
    assert content(mine) == before


def test_a_package_replaces_links_and_leaves_their_targets(tmp_path, mine) -> None:
    assert command("package", "--to", tmp_path / "package") == 0
    before = content(mine)
    for path in list((tmp_path / "package").iterdir()):
        text = path.read_bytes()
        path.unlink()
        target = mine / path.name
        target.write_bytes(text if path.name == "main.py" else b"precious")
        before[target] = target.read_bytes()
        path.symlink_to(target)
    assert command("package", "--to", tmp_path / "package") == 0
    assert content(mine) == before


def test_a_linked_run_in_a_sweeps_folder_is_refused(tmp_path, mine) -> None:
    corpus = write_corpus(tmp_path / "out", rows_of(20))
    (tmp_path / "grid.yaml").write_text("objective: kmlm\nmax_steps: 1\narms: {one: {}}\n")
    plant(tmp_path / "SWEEP" / "one__seed-0", mine)
    before = content(mine)
    assert command("sweep", tmp_path / "grid.yaml", "--corpus", corpus, "--out", tmp_path / "SWEEP") == 2
    assert content(mine) == before
