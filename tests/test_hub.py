"""Corpora and models on the hub: sent by commits, read back with equal bytes, no token printed.

The hub is a stand-in on the loopback interface, without Xet.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgcorpus.contracts.hub_ids import repository_of, split_revision
from kgcorpus.contracts.manifest import load_manifest
from tests.e2e.commands import sets
from tests.hub import TOKEN, Hub, serving
from tests.test_mirror import finished
from tests.trainer.toy import rows_of, write_corpus

DATA, MODEL = "hf://datasets/us/corpus", "hf://us/model"
SMALL = [
    *("model.hidden=16", "model.layers=1", "model.heads=2", "model.vocab_size=300"),
    *("records_per_step=8", "schedule_steps=3"),
]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as found:
        yield found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return finished(write_corpus(tmp_path / "out", rows_of(60)))


def run(
    hub: Hub, home: Path, *words: str | Path, token: str | None = TOKEN
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own: huggingface_hub reads its settings when it is imported."""
    environ = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(home / "hub"),
        **({"HF_TOKEN": token} if token else {}),
    }
    command = [sys.executable, "-m", "kgcorpus", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def digests_of(folder: Path) -> dict[str, str]:
    """Of all files but a lock and the progress of the command."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return digests({path: data for path, data in found.items() if path != "progress.json"})


@pytest.mark.slow
def test_a_corpus_goes_to_the_hub_and_trains_from_there(hub: Hub, out: Path, tmp_path: Path) -> None:
    done = run(hub, tmp_path, "publish", "--to", DATA, "--out", out)
    assert done.returncode == 0, done.stderr
    repository = hub.repositories["dataset", "us/corpus"]
    assert repository.private
    assert digests(hub.files("dataset", "us/corpus")) == digests_of(out)
    # One commit; the same command again sends nothing.
    assert len(repository.commits) == 2
    again = run(hub, tmp_path, "publish", "--to", DATA, "--out", out)
    assert "sent 0 files" in again.stdout
    # A pinned revision is read although the newest commit has no corpus.
    (revision, _), _ = repository.commits[-1], repository.commit({})
    runs = []
    for name, corpus in (("near", out), ("far", f"{DATA}@{revision}")):
        done = run(
            hub, tmp_path, "train", "kmlm", "--corpus", corpus, "--out", tmp_path / name, *sets(*SMALL),
            "--max-steps", "2",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        runs.append([json.loads(line)["loss"] for line in lines if '"loss"' in line])
    assert runs[0] == runs[1]
    copied = load_manifest(tmp_path / "far" / "corpus").tables
    assert copied == {name: entry for name, entry in load_manifest(out).tables.items() if name in copied}


@pytest.mark.slow
def test_a_model_goes_to_the_hub_and_comes_back_as_a_pinned_base(hub: Hub, out: Path, tmp_path: Path) -> None:
    words = ("train", "kmlm", "--corpus", out, "--max-steps", "2", *sets(*SMALL))
    assert run(hub, tmp_path, *words, "--out", tmp_path / "run").returncode == 0
    done = run(hub, tmp_path, "publish", "--model", tmp_path / "run", "--to", MODEL, "--public")
    assert done.returncode == 0, done.stderr
    repository = hub.repositories["model", "us/model"]
    assert not repository.private
    folder = tmp_path / "run" / "model"
    assert digests(hub.files("model", "us/model")) == digests_of(folder)
    first = repository.commits[-1][0]
    # The newest commit is damaged; the pinned one is loaded.
    repository.commit({"config.json": b"{}"})
    again = (*words, "--out", tmp_path / "again", "--set")
    done = run(hub, tmp_path, *again, f"base_model={MODEL}@{first}", token=None)
    assert done.returncode == 0, done.stderr
    assert "names no revision" not in done.stderr
    assert f"us/model@{first}" in (tmp_path / "again" / "run.json").read_text()
    card = (tmp_path / "again" / "model" / "README.md").read_text()
    assert "\nbase_model: us/model\n" in card
    assert f"- Base: us/model@{first}, commit {first}\n" in card
    assert run(hub, tmp_path, *again, "base_model=us/model").returncode == 2
    newest = repository.commit(hub.files("model", "us/model") | dict(repository.at(first)[1]))
    words = (*words, "--out", tmp_path / "unpinned", "--set")
    done = run(hub, tmp_path, *words, "base_model=us/model", token=None)
    assert done.returncode == 0, done.stderr
    assert f"this run reads commit {newest}. Pin it: base_model: us/model@{newest}" in done.stderr
    done = run(hub, tmp_path, *words[:-2], tmp_path / "none", "--set", "base_model=us/other", token=None)
    assert (done.returncode, "no such folder, and the hub does not provide it" in done.stderr) == (2, True)


def test_a_publication_that_was_cut_short_is_refused_and_ended_by_the_same_command(
    hub: Hub, out: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from kgcorpus import destinations; destinations._FILES_PER_COMMIT = 3\n"
        "from kgcorpus.cli import entry; sys.argv[0] = 'kgcorpus'; entry()"
    )

    def publish() -> subprocess.CompletedProcess[str]:
        environ = {
            **os.environ,
            **{"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN},
            "HF_HOME": str(tmp_path / "hub"),
        }
        command = [sys.executable, "-c", code, "--debug", "publish", "--to", DATA, "--out", str(out)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)

    hub.commits_left = 2
    done = publish()
    assert done.returncode == 3
    # The server's answer and the log name the header with the token; neither is printed.
    assert TOKEN not in done.stdout + done.stderr
    assert "***" in done.stderr
    words = ("train", "kmlm", "--corpus", DATA, "--out", tmp_path / "r")
    refused = run(hub, tmp_path, *words)
    assert (refused.returncode, "is being published" in refused.stderr) == (3, True), refused.stderr
    hub.commits_left = None
    sent = len(hub.uploads)
    assert publish().returncode == 0
    # No large file is sent twice.
    assert len(hub.uploads) == len(set(hub.uploads)) > sent > 0
    assert digests(hub.files("dataset", "us/corpus")) == digests_of(out)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--to", "hf://us/corpus"), 2, "Write hf://datasets/USER/NAME for a corpus"),
        (("--to", "hf://datasets/us"), 2, "does not name a repository of the hub"),
        (("--to", f"{DATA}/sub"), 2, "does not name a repository of the hub"),
        (("--to", f"{DATA}@main"), 2, "does not name a repository of the hub"),
        (("--to", "s3://bucket/a", "--public"), 2, "--public is for hf:// URLs"),
        (("--to", MODEL, "--model", "RUN"), 3, "holds no model. Name the --out of a kgcorpus train"),
    ],
)
def test_a_wrong_address_sends_nothing(
    hub: Hub, out: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "RUN").mkdir()
    words = tuple(str(tmp_path / "RUN") if word == "RUN" else word for word in words)
    done = run(hub, tmp_path, "publish", *words, "--out", out)
    assert (done.returncode, said in " ".join(done.stderr.split())) == (code, True), done.stderr
    assert not hub.repositories


def test_without_a_token_a_private_corpus_is_refused_with_a_hint(hub: Hub, out: Path, tmp_path: Path) -> None:
    assert run(hub, tmp_path, "publish", "--to", DATA, "--out", out).returncode == 0
    done = run(hub, tmp_path, "train", "kmlm", "--corpus", DATA, "--out", tmp_path / "r", token=None)
    assert done.returncode == 3
    assert "hf auth login" in done.stderr


def test_the_revision_of_a_model_is_split_off_its_name(tmp_path: Path) -> None:
    assert split_revision("us/model@refs/pr/1") == ("us/model", {"revision": "refs/pr/1"})
    assert split_revision("us/model") == ("us/model", {})
    folder = tmp_path / "a@b"
    folder.mkdir()
    assert split_revision(folder) == (str(folder), {})
    assert split_revision("./a@b") == ("./a@b", {})
    assert repository_of("hf://datasets/us/corpus/") == ("dataset", "us/corpus")
