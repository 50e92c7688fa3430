"""A published build, read back by URL. The store is a folder here: an object store is asked nothing else."""

import json
import shutil
from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.remote import describe, is_remote, sha256_of_url
from kgcorpus.contracts.store import sha256_of
from kgcorpus.mirror import copy_from, publish_to
from tests.trainer.toy import rows_of, write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.metrics import read_metrics
from trainer.run import train

SMALL = TrainingConfig(
    schedule_steps=3, records_per_step=8, model=ModelConfig(hidden=16, layers=1, heads=2, vocab_size=300)
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    made = write_corpus(tmp_path / "out", rows_of(60))
    for name in ("README.md", "report.json"):
        (made / name).write_text("{}")
    return made


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}


def test_what_is_published_is_the_build_and_only_what_is_new_is_sent(out: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    url = f"file://{store}"
    assert publish_to(url, out) == len(names(out))
    assert names(store) == names(out)
    assert publish_to(url, out) == 0
    shutil.rmtree(out)
    write_corpus(out, {"plain_text": rows_of(30, seed=1)["plain_text"]})
    for name in ("README.md", "report.json"):
        (out / name).write_text("{}")
    assert publish_to(url, out) == len(names(out))
    assert names(store) == names(out)


def test_a_copy_holds_the_tables_that_were_asked_for(out: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'store'}"
    publish_to(url, out)
    copied = copy_from(url, tmp_path / "copy", ["reasoning", "trelm"])
    assert names(copied) == {name for name in names(out) if "/reasoning/" in name}
    assert list(load_manifest(copied).tables) == ["reasoning"]
    kept = {path: path.stat().st_ino for path in copied.rglob("*.parquet")}
    copy_from(url, tmp_path / "copy", ["reasoning"])
    assert kept == {path: path.stat().st_ino for path in copied.rglob("*.parquet")}


def test_a_file_that_is_not_the_manifests_is_refused(out: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    publish_to(f"file://{store}", out)
    next((store / "data" / "reasoning").iterdir()).write_bytes(b"other")
    with pytest.raises(InputError, match="its bytes are not those that the manifest names"):
        copy_from(f"file://{store}", tmp_path / "copy", ["reasoning"])
    with pytest.raises(InputError, match="no such file"):
        copy_from(f"file://{tmp_path}/nothing", tmp_path / "copy", ["reasoning"])
    with pytest.raises(InputError, match="no finished build"):
        publish_to(f"file://{store}", tmp_path)


@pytest.mark.parametrize("path", ["../victim", "{there}/victim"])
def test_a_manifest_touches_nothing_outside_its_build(out: Path, tmp_path: Path, path: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path = path.format(there=tmp_path)
    hostile = load_manifest(out).to_dict()
    hostile["tables"]["reasoning"]["files"] = [{"path": path, "rows": 0, "bytes": 0, "sha256": ""}]
    store = tmp_path / "store"
    store.mkdir()
    (store / "manifest.json").write_text(json.dumps(hostile))
    with pytest.raises(InputError, match="no file under tables/ or data/"):
        copy_from(f"file://{store}", tmp_path / "copy", ["reasoning"])
    with pytest.raises(InputError, match="no file under tables/ or data/"):
        publish_to(f"file://{store}", out)
    assert victim.read_text() == "mine"


def test_a_run_on_a_url_has_the_losses_of_one_on_the_folder(out: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'store'}"
    publish_to(url, out)
    for name, corpus in (("near", str(out)), ("far", url)):
        train("kmlm", corpus=corpus, out=tmp_path / name, config=SMALL)
    near, far = (
        [line["loss"] for line in read_metrics(tmp_path / x / "metrics.jsonl")] for x in ("near", "far")
    )
    assert near == far


def test_a_remote_file_is_described_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("abc")
    before = describe(f"file://{path}")
    assert (before.size, sha256_of_url(f"file://{path}")) == (3, sha256_of(path))
    path.write_text("abcd")
    assert describe(f"file://{path}") != before
    assert is_remote("s3://bucket/a")
    assert not is_remote(str(path))
