"""A published build, read back by URL. The store is a folder here: an object store is asked nothing else."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from kgcorpus import mirror
from kgcorpus.cli import app, run_app
from kgcorpus.contracts.digests import MEMORY
from kgcorpus.contracts.errors import InputError, UsageError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.remote import describe, fetch, is_remote, sha256_of_url
from kgcorpus.contracts.store import folder_lock, sha256_of
from kgcorpus.mirror import copy_from
from kgcorpus.publishing import publish_to
from tests.e2e.commands import bytes_of
from tests.made import finished_build
from tests.trainer.toy import rows_of, write_corpus
from trainer.config import ModelConfig, TrainingConfig
from trainer.metrics_log import read_metrics
from trainer.run import train

SMALL = TrainingConfig(
    schedule_steps=3, records_per_step=8, model=ModelConfig(hidden=16, layers=1, heads=2, vocab_size=300)
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return finished(write_corpus(tmp_path / "out", rows_of(60)))


def finished(out: Path) -> Path:
    for name in ("README.md", "report.json"):
        (out / name).write_text("{}")
    return out


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in read_metrics(run / "metrics.jsonl")]


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}


def test_what_is_published_is_the_build_and_only_what_is_new_is_sent(out: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    url = f"file://{store}"
    assert publish_to(url, out) == len(names(out))
    assert names(store) == names(out)
    assert publish_to(url, out) == 0
    shutil.rmtree(out)
    finished(write_corpus(out, {"plain_text": rows_of(30, seed=1)["plain_text"]}))
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


def test_a_build_copied_to_a_store_without_its_tables_folder_is_read(out: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(out, store, ignore=shutil.ignore_patterns("tables"))
    # A local build remembers its digests there.
    (store / MEMORY).write_text("{}")
    copy_from(f"file://{store}", tmp_path / "copy", ["plain_text"])
    assert names(tmp_path / "copy") == {name for name in names(out) if name.startswith("data/plain_text")}


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
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"other"), Path.unlink])
def test_what_was_damaged_in_the_store_is_mended_by_publishing_again(
    out: Path, tmp_path: Path, damage
) -> None:
    store = tmp_path / "store"
    publish_to(f"file://{store}", out)
    damage(next((store / "data" / "reasoning").iterdir()))
    assert publish_to(f"file://{store}", out) == 1
    assert bytes_of(store) == bytes_of(out)


def test_a_publication_that_is_cut_short_is_refused_and_the_same_command_ends_it(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    url = f"file://{store}"
    publish_to(url, out)
    shutil.rmtree(out)
    rows = {**rows_of(30, seed=1), "plain_text": rows_of(60)["plain_text"]}
    finished(write_corpus(out, rows))
    changed = [name for name in names(out) if "/plain_text/" not in name]
    put = LocalFileSystem.put_file
    ended, steps = False, 0
    # Cut at each file in turn; what was sent before the table that was cut is not sent again.
    while not ended:
        left = iter(range(steps))

        def put_some(self, *words, left=left, **named):
            if next(left, None) is None:
                raise ConnectionError("cut")
            return put(self, *words, **named)

        with monkeypatch.context() as patch:
            patch.setattr(LocalFileSystem, "put_file", put_some)
            with contextlib.suppress(InputError):
                publish_to(url, out)
                ended = True
        if not ended:
            with pytest.raises(InputError, match=r"being published.*or run the same kgcorpus publish again"):
                copy_from(url, tmp_path / "copy", ["reasoning"])
            assert not (store / "README.md").exists()
        steps += 1
    assert 1 < steps < len(changed)
    assert bytes_of(store) == bytes_of(out)
    assert not (store / "publishing.json").exists()
    copy_from(url, tmp_path / "copy", ["reasoning"])


def test_a_killed_publication_goes_on(out: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from fsspec.implementations.local import LocalFileSystem\n"
        "from kgcorpus.publishing import publish_to\n"
        "put = LocalFileSystem.put_file\n"
        "def put_three(self, source, target, **named):\n"
        "    if put_three.left == 0:\n"
        "        Path(target).write_bytes(b'half')\n"
        "        os.kill(os.getpid(), 9)\n"
        "    put_three.left -= 1\n"
        "    return put(self, source, target, **named)\n"
        "put_three.left = 3\n"
        "LocalFileSystem.put_file = put_three\n"
        "publish_to(sys.argv[1], Path(sys.argv[2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, f"file://{store}", out], check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="being published"):
        copy_from(f"file://{store}", tmp_path / "copy", ["reasoning"])
    publish_to(f"file://{store}", out)
    assert bytes_of(store) == bytes_of(out)


def test_a_build_at_work_and_one_that_has_not_ended_are_not_published(out: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'store'}"
    with folder_lock(out, "build"), pytest.raises(UsageError, match="another build"):
        publish_to(url, out)
    (out / "report.json").unlink()
    with pytest.raises(InputError, match=r"the build is not finished\. Run kgcorpus build-corpus"):
        publish_to(url, out)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("table", ["reasoning", "trelm"], ids=["built once", "never built"])
def test_a_build_that_has_not_come_to_a_table_is_neither_published_nor_reported(
    out: Path, tmp_path: Path, table: str
) -> None:
    manifest = load_manifest(out)
    manifest.pending = frozenset({table})
    manifest.save(out)
    url = f"file://{tmp_path / 'store'}"
    with pytest.raises(InputError, match=f"the last build stopped before finishing {table}"):
        publish_to(url, out)
    assert not (tmp_path / "store").exists()
    assert run_app(lambda: app(["report", "--out", str(out)])) == 3
    assert (out / "report.json").read_text() == "{}"


@pytest.mark.parametrize("name", ["README.md", "config.yaml", "report.json", "manifest.json", "shard"])
def test_a_folder_that_was_not_published_is_left_alone(out: Path, tmp_path: Path, name: str) -> None:
    store = tmp_path / "store"
    taken = store / (min(names(out)) if name == "shard" else name)
    taken.parent.mkdir(parents=True)
    taken.write_text('{"name": "an application of mine"}')
    before = set(store.rglob("*"))
    with pytest.raises(UsageError, match=rf"{store}: holds {taken.relative_to(store)}, but nothing that"):
        publish_to(f"file://{store}", out)
    assert set(store.rglob("*")) == before
    # What stands in nobody's way stays, and no one minds it.
    taken.rename(store / "mine.json")
    publish_to(f"file://{store}", out)
    assert (store / "mine.json").read_text() == '{"name": "an application of mine"}'


def test_a_published_manifest_that_is_damaged_is_mended_by_publishing_again(
    out: Path, tmp_path: Path
) -> None:
    published = tmp_path / "store" / "manifest.json"
    publish_to(f"file://{published.parent}", out)
    published.write_bytes(published.read_bytes()[:200])
    publish_to(f"file://{published.parent}", out)
    assert bytes_of(published.parent) == bytes_of(out)


def test_texts_are_read_from_the_store_one_shard_at_a_time(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, run = "memory://store", tmp_path / "run"
    publish_to(url, out)
    held: list[int] = []

    def fetch_and_weigh(url: str, target: Path) -> None:
        fetch(url, target)
        kept = [*(run / "corpus" / "data").rglob("*.parquet"), *(run / "corpus" / "data").rglob("*.tmp")]
        held.append(sum(path.stat().st_size for path in kept))

    monkeypatch.setattr(mirror, "fetch", fetch_and_weigh)
    train("kmlm", corpus=url, out=run, config=SMALL, max_steps=2)
    shards = [path.stat().st_size for path in (out / "data").rglob("train-*.parquet")]
    assert max(held) == max(shards) < sum(shards)
    assert not names(run / "corpus" / "data")
    # A run that was killed while it read a shard leaves it; going on asks for no shard again.
    left = run / "corpus" / load_manifest(out).tables["reasoning"].files[0].path
    left.write_bytes(b"half")
    held.clear()
    train("kmlm", corpus=url, out=run, config=SMALL)
    assert len(held) == len(["config.yaml"])
    assert not names(run / "corpus" / "data")
    train("kmlm", corpus=out, out=tmp_path / "near", config=SMALL)
    assert losses(run) == losses(tmp_path / "near")


def test_a_shard_is_compared_with_its_hash_before_it_is_tokenised(out: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    publish_to(f"file://{store}", out)
    shard = next(file for file in load_manifest(out).tables["reasoning"].files if file.split == "train")
    (store / shard.path).write_bytes((store / shard.path).read_bytes()[::-1])
    with pytest.raises(InputError, match="delete it there and publish the build again"):
        train("kmlm", corpus=f"file://{store}", out=tmp_path / "run", config=SMALL)
    (store / shard.path).unlink()
    assert publish_to(f"file://{store}", out) == 1
    train("kmlm", corpus=f"file://{store}", out=tmp_path / "run", config=SMALL)


@pytest.mark.parametrize("objective", ["kmlm", "transe"])
def test_a_build_that_stands_where_a_copy_would_is_left_alone(
    out: Path, tmp_path: Path, objective: str
) -> None:
    url, own = f"file://{tmp_path / 'store'}", tmp_path / "work" / "corpus"
    publish_to(url, out)
    write_corpus(own, rows_of(30, seed=1))
    before = bytes_of(own)
    with pytest.raises(UsageError, match=f"{own}: .*no copy of a published build.*another --out"):
        train(objective, corpus=url, out=own.parent, config=SMALL)
    assert bytes_of(own) == before
    # It may be trained on from there, for then nothing is copied.
    if objective == "kmlm":
        train(objective, corpus=own, out=own.parent, config=SMALL)


def test_a_copy_that_was_killed_goes_on_wherever_that_was(out: Path, tmp_path: Path) -> None:
    url, copy = f"file://{tmp_path / 'store'}", tmp_path / "copy"
    publish_to(url, out)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from kgcorpus.mirror import copy_from\n"
        "replace, left = os.replace, iter(range(int(sys.argv[3])))\n"
        "def replace_some(source, target):\n"
        "    if next(left, None) is None:\n"
        "        os.kill(os.getpid(), 9)\n"
        "    replace(source, target)\n"
        "os.replace = replace_some\n"
        "copy_from(sys.argv[1], Path(sys.argv[2]), ['reasoning'])\n"
    )
    # At the sign, at the first shard, at the second; each goes on from the one before.
    for steps in (0, 1, 2):
        done = subprocess.run([sys.executable, "-c", code, url, copy, str(steps)], check=False)
        assert done.returncode == -signal.SIGKILL
    assert not (copy / "manifest.json").exists()
    load_manifest(copy_from(url, copy, ["reasoning"]), required=True).built(copy, "reasoning")


def test_a_pending_table_of_a_store_is_refused_and_the_others_are_read(out: Path, tmp_path: Path) -> None:
    # Copied by hand while the build was at work: `publish` would have refused it.
    manifest = load_manifest(out)
    manifest.pending = frozenset({"reasoning"})
    manifest.save(out)
    url = f"file://{out}"
    for tables, streamed in ((["reasoning"], []), (["plain_text"], ["reasoning"])):
        with pytest.raises(InputError, match=f"{out}: the build there has not finished the tables reasoning"):
            copy_from(url, tmp_path / "copy", tables, streamed=streamed)
    assert not (tmp_path / "copy").exists()
    assert list(load_manifest(copy_from(url, tmp_path / "copy", ["plain_text"])).tables) == ["plain_text"]


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
    publish_to(f"file://{store}", out)
    assert victim.read_text() == "mine"


def test_a_run_on_a_url_has_the_losses_of_one_on_the_folder(out: Path, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'store'}"
    publish_to(url, out)
    for name, corpus in (("near", str(out)), ("far", url)):
        train("kmlm", corpus=corpus, out=tmp_path / name, config=SMALL)
    assert losses(tmp_path / "near") == losses(tmp_path / "far")


def test_a_remote_file_is_described_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("abc")
    before = describe(f"file://{path}")
    assert (before.size, sha256_of_url(f"file://{path}")) == (3, sha256_of(path))
    path.write_text("abcd")
    assert describe(f"file://{path}") != before
    before, times = describe(f"file://{path}"), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_text("wxyz")
    os.utime(path, ns=times)
    assert describe(f"file://{path}") != before
    assert is_remote("s3://bucket/a")
    assert not is_remote(str(path))


@pytest.mark.parametrize("name", ["manifest.json", "publishing.json"])
def test_no_pipe_of_a_store_is_opened(tmp_path: Path, name: str) -> None:
    out, _ = finished_build(tmp_path)
    (tmp_path / "store").mkdir()
    os.mkfifo(tmp_path / "store" / name)
    with pytest.raises(InputError, match=f"{name}: is no regular file but a pipe"):
        publish_to(str(tmp_path / "store"), out)
    if name == "manifest.json":
        with pytest.raises(InputError, match=f"{name}: is no regular file but a pipe"):
            copy_from(f"file://{tmp_path}/store", tmp_path / "copy", ["reasoning"])
