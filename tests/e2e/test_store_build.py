"""`kgcorpus build-corpus --out s3://...` and every reader of it, against a server on loopback."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response

from kgcorpus.contracts.errors import InputError
from kgcorpus.corpus import Corpus
from kgcorpus.mirror import copy_from
from tests.e2e.commands import ONE_CORE, command, run, sets
from tests.stores import BUCKET, KEYS, Seen, StoreServer, running_store
from tests.torture.kills import kill_tree
from tests.torture.store_kills import contents
from trainer.metrics_log import read_metrics

pytest.importorskip("s3fs", reason="no S3 client: pip install 'kgcorpus[s3]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# A sign of life of another machine, however long this one takes.
LATER = "2100-01-01T00:00:00+00:00"
SMALL = ("schedule_steps=3", "records_per_step=8", "model.hidden=32", "checkpoint_every=1")


@pytest.fixture(scope="module")
def store() -> Iterator[StoreServer]:
    with running_store() as server:
        yield server


@pytest.fixture(scope="module")
def stored(store: StoreServer) -> str:
    """A whole build, killed with its JVM at a shard in the middle, then resumed."""
    url = f"{store.url}/out"
    words = command("build-corpus", "--out", url, *sets(*ONE_CORE))
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=os.environ
    )
    killed = threading.Event()

    def kill(seen: Seen) -> Response | None:
        if "/tables/linked_sentences/" in seen.key and seen.method == "PUT" and not killed.is_set():
            killed.set()
            kill_tree(process.pid)
            return Response(status=500)
        return None

    store.before.append(kill)
    process.wait()
    store.before.remove(kill)
    assert killed.is_set()
    done = run("build-corpus", "--out", url, *sets(*ONE_CORE))
    assert done.returncode == 0, done.stderr
    assert "up to date: 0" not in done.stdout
    shown = done.stdout + done.stderr
    assert not any(secret in shown for secret in KEYS.values())
    return url


def test_a_build_killed_and_resumed_in_a_store_equals_the_local_one(
    store: StoreServer, stored: str, built: Path
) -> None:
    objects = contents(store, "out")
    assert objects["manifest.json"] == (built / "manifest.json").read_bytes()
    assert objects["report.json"] == (built / "report.json").read_bytes()
    view = {str(path.relative_to(built)): path.read_bytes() for path in built.glob("data/*/*.parquet")}
    assert {key: found for key, found in objects.items() if key.startswith("data/")} == view
    for secret in KEYS.values():
        assert not any(secret.encode() in found for found in objects.values())


def test_the_same_command_again_builds_nothing(store: StoreServer, stored: str) -> None:
    before = contents(store, "out")
    done = run("build-corpus", "--out", stored, *sets(*ONE_CORE))
    assert done.returncode == 0, done.stderr
    assert "up to date: " in done.stdout
    assert "built: " not in done.stdout
    changed = {key for key, found in contents(store, "out").items() if before.get(key) != found}
    assert changed <= {"run.json", ".sources.json", "report.html", "progress.json"}


def test_every_reader_reads_a_build_in_a_store(stored: str, built: Path, tmp_path: Path) -> None:
    for words in (
        ["status", "--json"],
        ["inspect", "reasoning", "-n", "2"],
    ):
        near, far = (run(*words, "--out", out) for out in (built, stored))
        assert far.returncode == 0, far.stderr
        assert far.stdout == near.stdout
    done = run("plan", "--json", "--out", stored, *sets(*ONE_CORE))
    assert done.returncode == 0, done.stderr
    assert {step["action"] for step in json.loads(done.stdout)} <= {"skip", "n/a"}
    small = {"KGCORPUS_CACHE_GIB": "0.000001", "TMPDIR": str(tmp_path)}
    done = run("inspect", "reasoning", "--out", stored, **small)
    assert (done.returncode, "Raise KGCORPUS_CACHE_GIB" in done.stderr) == (4, True), done.stderr
    assert not list(tmp_path.rglob("*.parquet"))
    text = "Berlin is the capital of Germany."
    near, far = (run("link", text, "--corpus", out) for out in (built, stored))
    assert (far.returncode, far.stdout) == (0, near.stdout), far.stderr
    scores = tmp_path / "scores.json"
    near, far = (run("evaluate", "linking", "--corpus", out, "--out", scores) for out in (built, stored))
    assert far.returncode == near.returncode
    corpus = Corpus.open(stored)
    assert corpus.tables == Corpus.open(built).tables
    assert corpus.arrow("cycles").equals(Corpus.open(built).arrow("cycles"))


def test_a_run_killed_and_resumed_in_a_store_has_the_local_losses(
    store: StoreServer, stored: str, built: Path, tmp_path: Path
) -> None:
    # What a build is replacing is not what a reader reads.
    key = "out/data/code_switched/train-00000-of-00001.parquet"
    view = contents(store, "out")[key.removeprefix("out/")]
    store.client().put_object(Bucket="builds", Key=key, Body=b"half of another build")
    words = ["train", "kmlm", "--corpus", stored, "--out", f"{store.url}/run", *sets(*SMALL)]
    process = subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    killed = threading.Event()

    def kill(seen: Seen) -> Response | None:
        if seen.key == "run/checkpoints/step-00000002/state.json" and not killed.is_set():
            killed.set()
            kill_tree(process.pid)
            return Response(status=500)
        return None

    try:
        store.before.append(kill)
        process.wait()
        store.before.remove(kill)
        assert killed.is_set()
        done = run(*words)
        assert done.returncode == 0, done.stderr
        assert not any(secret in done.stdout + done.stderr for secret in KEYS.values())
    finally:
        store.client().put_object(Bucket="builds", Key=key, Body=view)
    near = tmp_path / "near"
    done = run("train", "kmlm", "--corpus", built, "--out", near, *sets(*SMALL))
    assert done.returncode == 0, done.stderr
    far = contents(store, "run")
    (tmp_path / "far.jsonl").write_bytes(far["metrics.jsonl"])
    losses = [
        [line["loss"] for line in read_metrics(path) if "loss" in line]
        for path in (near / "metrics.jsonl", tmp_path / "far.jsonl")
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3
    assert far["model/model.safetensors"] == (near / "model" / "model.safetensors").read_bytes()
    assert not any(secret.encode() in found for found in far.values() for secret in KEYS.values())


def test_a_table_that_is_pending_is_refused_to_readers(
    store: StoreServer, stored: str, tmp_path: Path
) -> None:
    text = contents(store, "out")["manifest.json"]
    pending = text.rstrip()[:-1].rstrip() + b',\n "pending": [\n  "reasoning"\n ]\n}\n'
    store.client().put_object(Bucket="builds", Key="out/manifest.json", Body=pending)
    try:
        with pytest.raises(InputError, match="has not finished the tables reasoning"):
            copy_from(stored, tmp_path, ["reasoning"])
    finally:
        store.client().put_object(Bucket="builds", Key="out/manifest.json", Body=text)


def test_a_build_in_a_store_is_watched_and_its_report_written_again(
    store: StoreServer, stored: str, built: Path
) -> None:
    client, before = store.client(), contents(store, "out")
    ended = json.loads(before["progress.json"])
    assert (ended["command"], ended["state"]) == ("build-corpus", "finished")

    def put(facts: dict[str, Any]) -> None:
        client.put_object(Bucket=BUCKET, Key="out/progress.json", Body=json.dumps(facts).encode())

    # A build of another machine, which ends after its progress was read twice.
    put({**ended, "state": "running", "exit_code": None, "host": "elsewhere", "updated": LATER})
    reads: list[Seen] = []

    def end(seen: Seen) -> Response | None:
        if seen.key == "out/progress.json" and seen.method == "GET":
            reads.append(seen)
            if len(reads) == 5:
                threading.Thread(target=put, args=(ended,)).start()
        return None

    store.before.append(end)
    done = run("status", "--watch", "--json", "--out", stored)
    store.before.remove(end)
    assert done.returncode == 0, done.stderr
    states = [json.loads(line)["state"] for line in done.stdout.splitlines() if line.startswith('{"command"')]
    assert (states[0], states[-1]) == ("running", "finished")
    for name in ("report.json", "report.html", "README.md"):
        client.delete_object(Bucket=BUCKET, Key=f"out/{name}")
    done = run("report", "--out", stored)
    assert (done.returncode, done.stdout) == (0, f"report: {stored}/report.html\n"), done.stderr
    after = contents(store, "out")
    assert after["report.json"] == (built / "report.json").read_bytes()
    assert after["README.md"] == before["README.md"]
    assert after["report.html"].startswith(b"<!doctype html>")
    assert ".lock" not in after


def test_a_build_in_a_store_is_published_elsewhere(
    store: StoreServer, stored: str, built: Path, tmp_path: Path
) -> None:
    done = run("publish", "--out", stored, "--to", tmp_path / "copy", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    near = tmp_path / "near"
    assert run("publish", "--out", built, "--to", near).returncode == 0
    there, here = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "copy", near)
    )
    assert there.keys() == here.keys()
    assert {path for path in here if there[path] != here[path]} <= {Path("config.yaml"), Path("README.md")}
    # The machine keeps no shard.
    assert not list((tmp_path / f"kgcorpus-{os.geteuid()}").rglob("*.parquet"))
    for target in (stored, f"{stored}/data/x", store.url):
        done = run("publish", "--out", stored, "--to", target)
        assert done.returncode == 2, done.stderr
        assert f"overlaps with the build {stored}" in done.stderr
    done = run("sweep", "conf/sweeps/trelm-theta.yaml", "--corpus", stored, "--out", f"{store.url}/sweep")
    assert done.returncode == 2
    assert "this must be a folder of a file system" in done.stderr


def test_a_build_is_not_published_over(store: StoreServer, stored: str, built: Path) -> None:
    done = run("publish", "--out", built, "--to", stored)
    assert done.returncode == 2
    assert "is the folder of another build" in done.stderr
    store.client().put_object(Bucket="builds", Key="foreign/data/mine.txt", Body=b"x")
    done = run("build-corpus", "--out", f"{store.url}/foreign")
    assert done.returncode == 2
    assert "data/mine.txt: no build made it, and one would remove it" in done.stderr
    assert contents(store, "foreign") == {"data/mine.txt": b"x"}


def test_the_api_builds_at_a_url(store: StoreServer) -> None:
    code = "import sys, kgcorpus; print(kgcorpus.build(None, sys.argv[1], targets=['relations'], " + (
        "overrides=sys.argv[2:]).tables['relations'])"
    )
    # A process of its own: Spark's workers keep the keys and addresses that were set when it started.
    words = [sys.executable, "-c", code, f"{store.url}/api", *ONE_CORE]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) > 0
