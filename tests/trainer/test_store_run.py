"""A run in an object store, interrupted at single requests and resumed on a machine that has nothing."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from kgcorpus.contracts.errors import EnvironmentLacksError, UsageError
from kgcorpus.contracts.lease import LEASE, PROBES
from tests.stores import KEYS, StoreServer, running_store
from tests.torture.store_faults import faults, forbidden
from tests.torture.store_kills import contents
from trainer.config import ModelConfig, TrainingConfig
from trainer.metrics_log import read_metrics
from trainer.run import train

pytestmark = pytest.mark.slow
CONFIG = TrainingConfig(
    model=ModelConfig(hidden=16, layers=1, heads=2, vocab_size=400, dropout=0.1),
    records_per_step=6,
    rows_per_forward=2,
    schedule_steps=24,
    checkpoint_every=2,
)
STEPS = 5
RANKS = """
import sys
from trainer.config import TrainingConfig
from trainer.run import train

corpus, out, config, steps = sys.argv[1:]
train("kmlm", corpus=corpus, out=out, config=TrainingConfig.model_validate_json(config), max_steps=int(steps))
"""


@pytest.fixture(scope="module")
def store():
    with running_store() as server:
        yield server


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    train("kmlm", corpus=corpus, out=out, config=CONFIG, max_steps=STEPS)
    return out


def start(corpus, url, machine: Path, monkeypatch, steps=STEPS):
    machine.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(machine))
    return train("kmlm", corpus=corpus, out=url, config=CONFIG, max_steps=steps)


def is_write_of_the_run(seen) -> bool:
    return seen.method == "PUT" and LEASE not in seen.key and PROBES not in seen.key


def require_same(store: StoreServer, name: str, whole: Path, tmp_path: Path) -> None:
    objects = contents(store, name)
    (tmp_path / "metrics").write_bytes(objects["metrics.jsonl"])

    def losses(path: Path) -> list[tuple[int, float]]:
        return [(line["step"], line["loss"]) for line in read_metrics(path) if "loss" in line]

    assert losses(tmp_path / "metrics") == losses(whole / "metrics.jsonl")
    for path in ("model", *(f"checkpoints/{one.name}" for one in (whole / "checkpoints").iterdir())):
        here = load((whole / path / "model.safetensors").read_bytes())
        there = load(objects[f"{path}/model.safetensors"])
        assert all(torch.equal(here[tensor], there[tensor]) for tensor in here)
    kept = {key.split("/")[1] for key in objects if key.startswith("checkpoints/")}
    assert kept == {path.name for path in (whole / "checkpoints").iterdir()}
    assert LEASE not in objects
    for secret in KEYS.values():
        assert not any(secret.encode() in found for found in objects.values())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_ends_at_any_write_resumes_anywhere(
    store, corpus, whole, tmp_path, monkeypatch, after
) -> None:
    name = f"ended-{after}"
    number, ended = 0, 0
    while True:
        number += 5
        counted: list[str] = []

        def fail(seen, *_, counted=counted, number=number):
            if is_write_of_the_run(seen):
                counted.append(seen.key)
                return forbidden() if len(counted) >= number else None
            return None

        hooks = store.after if after else store.before
        hooks.append(fail)
        try:
            start(corpus, f"{store.url}/{name}-{number}", tmp_path / f"{number}a", monkeypatch)
            break
        except EnvironmentLacksError:
            ended += 1
        finally:
            hooks.remove(fail)
        start(corpus, f"{store.url}/{name}-{number}", tmp_path / f"{number}b", monkeypatch)
        require_same(store, f"{name}-{number}", whole, tmp_path)
    # Every fifth write of a run: three checkpoints and a model are more than thirty files.
    assert ended > 5


def test_a_run_survives_refusals_and_lost_answers(store, corpus, whole, tmp_path, monkeypatch) -> None:
    with faults(store, seed=1, share=0.4) as injected:
        start(corpus, f"{store.url}/faulty", tmp_path / "a", monkeypatch)
    assert len(injected.faults) > 5
    require_same(store, "faulty", whole, tmp_path)


def test_a_run_goes_on_from_the_newest_checkpoint(store, corpus, whole, tmp_path, monkeypatch) -> None:
    for number, steps in enumerate((2, 3, STEPS)):
        store.seen.clear()
        start(corpus, f"{store.url}/longer", tmp_path / str(number), monkeypatch, steps=steps)
        read = [seen.key for seen in store.seen if seen.method == "GET"]
        fetched = {key.split("/")[2] for key in read if "step-" in key}
        assert fetched == ({f"step-{(0, 2, 3)[number]:08d}"} if number else set())
    require_same(store, "longer", whole, tmp_path)


def test_foreign_files_a_build_and_another_run_are_refused(store, corpus, tmp_path, monkeypatch) -> None:
    client = store.client()
    for key, message in (("model/config.json", "it is no run of ours"), ("manifest.json", "holds a build")):
        name = key.replace("/", "-")
        client.put_object(Bucket="builds", Key=f"{name}/{key}", Body=b"{}")
        with pytest.raises(UsageError, match=message):
            start(corpus, f"{store.url}/{name}", tmp_path / "a", monkeypatch)
        assert contents(store, name) == {key: b"{}"}
    start(corpus, f"{store.url}/other", tmp_path / "a", monkeypatch, steps=2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a"))
    with pytest.raises(UsageError, match=r"^s3://builds/other: holds a run with another config\.seed"):
        train(
            "kmlm",
            corpus=corpus,
            out=f"{store.url}/other",
            config=CONFIG.model_copy(update={"seed": 5}),
            max_steps=STEPS,
        )
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="must be on one machine"):
        start(corpus, f"{store.url}/ranks", tmp_path / "a", monkeypatch)


@pytest.mark.timeout(600)
def test_two_ranks_train_and_resume_in_a_store_as_in_a_folder(store, corpus, tmp_path) -> None:
    code = tmp_path / "train.py"
    code.write_text(RANKS)

    def launch(out: str | Path, steps: int, machine: str) -> None:
        (tmp_path / machine).mkdir(mode=0o700)
        words = [code, corpus, out, CONFIG.model_dump_json(), steps]
        subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
            + [str(word) for word in words],
            check=True,
            env={**os.environ, "ACCELERATE_USE_CPU": "1", "TMPDIR": str(tmp_path / machine)},
        )

    launch(tmp_path / "whole", STEPS, "here")
    launch(f"{store.url}/two", 2, "first")
    store.seen.clear()
    launch(f"{store.url}/two", STEPS, "second")
    require_same(store, "two", tmp_path / "whole", tmp_path)
    # One rank fetches.
    fetched = [seen.key for seen in store.seen if seen.method == "GET" and "step-00000002/" in seen.key]
    assert fetched
    assert len(set(fetched)) == len(fetched)
