"""`sharding: fsdp`: two ranks train as one process does, are killed and resume on any number of ranks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from kgcorpus.contracts.errors import InputError, UsageError
from tests.trainer.trelm.made import config_of, make, options_of
from trainer.config import ModelConfig, TrainingConfig
from trainer.metrics_log import read_metrics
from trainer.run import train
from trainer.trelm.config import RoutingConfig

CONFIG = TrainingConfig(
    # Without dropout, whose draws differ by rank.
    model=ModelConfig(hidden=16, layers=3, heads=2, vocab_size=400),
    # Ranks get different numbers of forward passes.
    records_per_step=7,
    rows_per_forward=1,
    schedule_steps=24,
    checkpoint_every=4,
    keep=9,
    validate_every=3,
    validation_records=5,
    keep_best=True,
    sharding="fsdp",
)
CODE = """
import sys
from trainer.config import TrainingConfig
from trainer.run import train
objective, corpus, out, config, steps = sys.argv[1:]
config = TrainingConfig.model_validate_json(config)
train(objective, corpus=corpus, out=out, config=config, max_steps=int(steps))
"""


def launch(corpus, out, steps, *, config=CONFIG, objective="kmlm", ranks=2):
    script = out.parent / "train.py"
    script.write_text(CODE)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    arguments = [objective, str(corpus), str(out), config.model_dump_json(), str(steps)]
    return subprocess.Popen(
        [*command, str(script), *arguments],
        env={**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, log = process.communicate(timeout=200)
    assert process.returncode == 0, log


def numbers(out):
    lines = [line for line in read_metrics(out / "metrics.jsonl") if "loss" in line]
    return [[line[name] for name in line if name.startswith(("loss", "valid_loss"))] for line in lines]


def tokens(out):
    return [line["tokens"] for line in read_metrics(out / "metrics.jsonl") if "loss" in line]


def weights(out, folder="model", file="model.safetensors"):
    return load_file(out / folder / file)


def before_step(run, copy, step):
    """A copy of a run as it was after a kill at that step: its checkpoint and its model do not exist yet."""
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "checkpoints" / f"step-{step:08d}")
    shutil.rmtree(copy / "model")
    return copy


def assert_close(one, other):
    """Losses and validation losses of all steps to 1e-5 of their size, final and best weights to 1e-6."""
    assert tokens(one) == tokens(other)
    for first, second in zip(numbers(one), numbers(other), strict=True):
        assert first == pytest.approx(second, rel=1e-5)
    for folder in ("model", "best"):
        assert_close_weights(weights(one, folder), weights(other, folder))


def assert_close_weights(first, second):
    assert first.keys() == second.keys()
    for name in first:
        # The gradient of a key's bias is 0 (softmax cancels it) but for rounding, which Adam scales up.
        if not name.endswith("attention.self.key.bias"):
            # Of sums, as those of the memory, as a share of the largest.
            size = max(1.0, float(first[name].abs().max()))
            assert torch.allclose(first[name], second[name], rtol=0, atol=1e-6 * size), name


@pytest.fixture(scope="module")
def one(corpus, tmp_path_factory):
    """A run of one process without sharding."""
    out = tmp_path_factory.mktemp("one") / "run"
    config = CONFIG.model_copy(update={"sharding": "none"})
    train("kmlm", corpus=corpus, out=out, config=config, max_steps=8)
    return out


@pytest.fixture(scope="module")
def two(corpus, tmp_path_factory):
    """A run of two ranks with sharding."""
    out = tmp_path_factory.mktemp("two") / "run"
    finish(launch(corpus, out, 8))
    return out


@pytest.mark.slow
def test_two_sharded_ranks_train_as_one_process_does(one, two):
    assert_close(one, two)
    names = [{path.name for path in (out / "model").iterdir()} for out in (one, two)]
    assert names[0] == names[1]
    settings = [json.loads((out / "model" / "config.json").read_text()) for out in (one, two)]
    assert settings[0] == settings[1]
    files = {path.name for path in (two / "checkpoints" / "step-00000004").iterdir()}
    assert files == {".metadata", "__0_0.distcp", "__1_0.distcp", "state.json"}
    # Each rank writes its half.
    sizes = [(two / "checkpoints" / "step-00000004" / f"__{rank}_0.distcp").stat().st_size for rank in (0, 1)]
    assert max(sizes) < 1.3 * min(sizes)


@pytest.mark.slow
def test_killed_ranks_resume_bit_for_bit(corpus, tmp_path, two):
    out = tmp_path / "run"
    process = launch(corpus, out, 8)
    deadline = time.monotonic() + 120
    while not (done := tokens(out) if (out / "metrics.jsonl").exists() else []) or len(done) < 6:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout
    for pid in [process.pid, *map(int, children.split())]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    finish(launch(corpus, out, 8))
    assert numbers(out) == numbers(two)
    first, second = weights(out), weights(two)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_one_process_resumes_what_two_ranks_began(corpus, tmp_path, one, two):
    out = before_step(two, tmp_path / "run", 8)
    train("kmlm", corpus=corpus, out=out, config=CONFIG, max_steps=8)
    assert_close(one, out)


@pytest.mark.slow
def test_two_ranks_resume_what_one_process_began(corpus, tmp_path, one):
    out = tmp_path / "run"
    train("kmlm", corpus=corpus, out=out, config=CONFIG, max_steps=4)
    finish(launch(corpus, out, 8))
    assert_close(one, out)


@pytest.mark.slow
def test_trelm_without_routing_shards_its_weights_beside_its_memory(tmp_path):
    made = make(tmp_path / "made")
    options = options_of(kge=str(made.vectors), inject="both", routing=RoutingConfig(mode="none"))
    config = config_of(trelm=options, checkpoint_every=2, rows_per_forward=2, sharding="fsdp")
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    plain = config.model_copy(update={"sharding": "none"})
    train("trelm", corpus=made.world, out=alone, config=plain, max_steps=4)
    finish(launch(made.world, shared, 4, config=config, objective="trelm"))
    assert_equal_trelm(alone, shared)
    # One process resumes from the ranks' weights, optimizer state and memory.
    resumed = before_step(shared, tmp_path / "resumed", 4)
    train("trelm", corpus=made.world, out=resumed, config=config, max_steps=4)
    assert_equal_trelm(alone, resumed)


def assert_equal_trelm(one, other):
    for first, second in zip(numbers(one), numbers(other), strict=True):
        assert first == pytest.approx(second, rel=1e-5)
    for file in ("model.safetensors", "trelm.safetensors"):
        assert_close_weights(weights(one, file=file), weights(other, file=file))
    assert weights(one, file="trelm.safetensors")["memory.count"].sum() > 0


def test_one_process_resumes_from_a_sharded_checkpoint_bit_for_bit(corpus, tmp_path):
    for steps in (2, 4):
        train("kmlm", corpus=corpus, out=tmp_path / "parts", config=CONFIG, max_steps=steps)
    train("kmlm", corpus=corpus, out=tmp_path / "whole", config=CONFIG, max_steps=4)
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    first, second = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = CONFIG.model_copy(update={"sharding": "none"})
    with pytest.raises(UsageError, match=r"config\.sharding"):
        train("kmlm", corpus=corpus, out=tmp_path / "whole", config=other, max_steps=6)


@pytest.mark.parametrize("file", [".metadata", "__0_0.distcp"])
def test_a_damaged_shard_is_named(corpus, tmp_path, file):
    train("kmlm", corpus=corpus, out=tmp_path, config=CONFIG, max_steps=1)
    checkpoint = tmp_path / "checkpoints" / "step-00000001"
    data = bytearray((checkpoint / file).read_bytes())
    data[len(data) // 2] ^= 1
    (checkpoint / file).write_bytes(data)
    with pytest.raises(InputError, match=f"the bytes of {file}"):
        train("kmlm", corpus=corpus, out=tmp_path, config=CONFIG, max_steps=2)


def test_code_in_the_metadata_of_a_checkpoint_is_not_run(corpus, tmp_path):
    import pickle

    from kgcorpus.contracts.model_files import STATE, seal

    train("kmlm", corpus=corpus, out=tmp_path, config=CONFIG, max_steps=1)
    checkpoint = tmp_path / "checkpoints" / "step-00000001"
    state = json.loads((checkpoint / STATE).read_text())

    class Planted:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "planted"),)

    (checkpoint / ".metadata").write_bytes(pickle.dumps(Planted()))
    (checkpoint / STATE).unlink()
    seal(checkpoint, {"step": state["step"], "objective": state["objective"]})
    with pytest.raises(InputError, match=r"mkdir, which is not run"):
        train("kmlm", corpus=corpus, out=tmp_path, config=CONFIG, max_steps=2)
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize(
    ("objective", "config", "named"),
    [
        ("jaket", CONFIG, "JAKET's entity memory"),
        ("trelm", CONFIG.model_copy(update={"base_model": "any"}), "trelm.routing.mode: exact"),
    ],
)
def test_what_cannot_be_sharded_is_refused_in_one_line(tmp_path, objective, config, named):
    with pytest.raises(UsageError, match=named) as raised:
        train(objective, corpus=tmp_path / "none", out=tmp_path / "run", config=config)
    assert str(raised.value) == f"sharding: fsdp cannot train {named}. Set sharding: none"
    assert not (tmp_path / "run").exists()
