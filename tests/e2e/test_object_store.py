"""Inputs, a published build and its training on s3://, against an S3 server on loopback."""

import bz2
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import fsspec
import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.stages import Source
from kgcorpus.inputs import open_input, open_slice
from kgcorpus.mirror import copy_from
from kgcorpus.publishing import publish_to
from pipelines.source_digests import SourceDigests
from tests.e2e.commands import ONE_CORE, bytes_of, run, sets
from trainer.metrics_log import read_metrics

server = pytest.importorskip("moto.server", reason="no S3 server: pip install 'kgcorpus[dev]'")
pytest.importorskip("s3fs", reason="no S3 client: pip install 'kgcorpus[s3]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
BUCKET = "s3://corpora"
SMALL = ("schedule_steps=3", "records_per_step=8", "model.hidden=32", "transe.steps=3")
# What an objective reads beside tokens.
KEPT = {
    "kmlm": set(),
    "trelm": {"triples", "entities", "xlr"},
    "jaket": {"jaket_edges"},
    "transe": {"triples", "xlr"},
}


@pytest.fixture(scope="module")
def s3() -> Iterator[fsspec.AbstractFileSystem]:
    """A bucket, and the environment that leads this process and those it starts to it."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        store = fsspec.filesystem("s3")
        store.mkdir("corpora")
        yield store
    running.stop()


@pytest.fixture(scope="module")
def published(s3: fsspec.AbstractFileSystem, built: Path) -> str:
    done = run("publish", "--out", built, "--to", f"{BUCKET}/published")
    assert done.returncode == 0, done.stderr
    return f"{BUCKET}/published"


def test_inputs_on_s3_give_the_tables_of_local_ones(
    s3: fsspec.AbstractFileSystem, built: Path, tmp_path: Path
) -> None:
    demo = Path(str(files("kgcorpus.demo")))
    s3.put(str(demo / "world"), "corpora/", recursive=True)
    s3.put(str(built / "world"), "corpora/dumps", recursive=True)
    # The configuration of the embedded world, its files elsewhere; a model is a folder on every node.
    encoder = sets(*ONE_CORE, f"importance.encoder={demo / 'world' / 'encoder'}")
    words = ("linked_sentences", "reasoning", "--config", demo / "config.yaml", "--out", tmp_path, *encoder)
    done = run("build-corpus", *words, WORLD=f"{BUCKET}/world", DUMPS=f"{BUCKET}/dumps")
    assert done.returncode == 0, done.stderr
    local, remote = (load_manifest(out).tables for out in (built, tmp_path))
    assert {"pages", "titles", "cycles", "relations"} < remote.keys()
    assert remote == {name: local[name] for name in remote}


def test_an_input_that_changes_on_s3_is_hashed_again(s3: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    source = Source("graph.triples", f"{BUCKET}/triples.txt")
    for text in (b"Q1\tP1\tQ2\n", b"Q1\tP1\tQ3\n"):
        s3.pipe_file("corpora/triples.txt", text)
        digests = SourceDigests(tmp_path)
        assert digests.digest(source) == hashlib.sha256(text).hexdigest()
        assert digests.size(source) == len(text)
        digests.files.save()
    s3.pipe_file("corpora/triples.txt", b"Q1\tP1\tQ4\n")
    with pytest.raises(InputError, match="changed while it was read"):
        digests.digest(source)


def test_a_missing_input_a_missing_bucket_and_a_part_of_a_file(s3: fsspec.AbstractFileSystem) -> None:
    packed = [bz2.compress(b"one\n"), bz2.compress(b"two\n")]
    s3.pipe_file("corpora/two.bz2", b"".join(packed))
    with open_input(f"{BUCKET}/two.bz2") as stream:
        assert stream.read() == b"one\ntwo\n"
    with open_slice(f"{BUCKET}/two.bz2", len(packed[0]), sum(map(len, packed))) as stream:
        assert stream.read() == b"two\n"
    for url in (f"{BUCKET}/absent.txt", "s3://nobody/absent.txt"):
        with pytest.raises(InputError, match=r"absent\.txt: "):
            open_input(url)


def test_what_is_published_to_s3_comes_back_whole(published: str, built: Path, tmp_path: Path) -> None:
    copy = copy_from(published, tmp_path, load_manifest(built).tables)
    assert bytes_of(copy).items() <= bytes_of(built).items()
    named = [file for entry in load_manifest(built).tables.values() for file in entry.files]
    assert len(bytes_of(copy)) == len(named) + 1
    assert publish_to(published, built) == 0


def test_a_reader_is_told_of_a_file_that_is_not_the_manifests(
    published: str, s3: fsspec.AbstractFileSystem, built: Path, tmp_path: Path
) -> None:
    shard = load_manifest(built).tables["reasoning"].files[0].path
    s3.pipe_file(f"{published}/{shard}", b"other")
    try:
        with pytest.raises(InputError, match=f"{shard}: its bytes are not those that the manifest names"):
            copy_from(published, tmp_path, ["reasoning"])
    finally:
        s3.put_file(str(built / shard), f"{published}/{shard}")


@pytest.mark.parametrize("objective", ["kmlm", "trelm", "jaket", "transe"])
def test_training_from_s3_has_the_losses_of_training_from_the_folder(
    published: str, built: Path, tmp_path: Path, objective: str
) -> None:
    losses = []
    for name, corpus in (("near", built), ("far", published)):
        # A process each: in one, the second run's sums may differ in the last bits.
        done = run("train", objective, "--corpus", corpus, "--out", tmp_path / name, *sets(*SMALL))
        assert done.returncode == 0, done.stderr
        metrics = read_metrics(tmp_path / name / "metrics.jsonl")
        losses.append([line["loss"] for line in metrics if "loss" in line])
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3
    # Of the corpus the run holds what it reads, and no text.
    corpus = tmp_path / "far" / "corpus"
    parts = [path.relative_to(corpus).parts for path in corpus.rglob("*.parquet")]
    held = {table for folder, table, *_ in parts if folder != "tokens"}
    assert held == KEPT[objective]
