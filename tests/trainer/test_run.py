import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from transformers.utils import logging

import trainer.kmlm.objective as kmlm
from kgcorpus.cli import app, run_app
from kgcorpus.contracts.errors import InputError, KgcorpusError, UsageError
from kgcorpus.contracts.manifest import load_manifest
from kgcorpus.contracts.store import folder_lock
from tests.trainer.toy import damage_pages, rows_of, write_corpus
from tests.trainer.trelm.world import write_world
from trainer.config import ModelConfig, TrainingConfig
from trainer.kmlm.config import KmlmConfig
from trainer.metrics_log import MetricsLog, read_metrics
from trainer.run import train

CONFIG = TrainingConfig(
    model=ModelConfig(hidden=16, layers=1, heads=2, vocab_size=400, dropout=0.1),
    records_per_step=6,
    rows_per_forward=2,
    schedule_steps=24,
    checkpoint_every=4,
)


def start(corpus, out, max_steps, config=CONFIG):
    return train("kmlm", corpus=corpus, out=out, config=config, max_steps=max_steps)


def losses(out):
    return [(line["step"], line["loss"], line["lr"]) for line in read_metrics(Path(out) / "metrics.jsonl")]


def weights(out):
    from safetensors.torch import load_file

    return load_file(Path(out) / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """A run of 12 steps in one go."""
    out = tmp_path_factory.mktemp("whole")
    start(corpus, out, 12)
    return out


def same(one, other):
    assert losses(one) == losses(other)
    first, second = weights(one), weights(other)
    assert all(torch.equal(first[name], second[name]) for name in first)


CODE = """
import logging, sys
from trainer.config import TrainingConfig
from trainer.run import train
logging.basicConfig(level="INFO")
config = TrainingConfig.model_validate_json(sys.argv[3])
train("kmlm", corpus=sys.argv[1], out=sys.argv[2], config=config, max_steps=int(sys.argv[4]))
"""


def script(corpus, out, steps, config=CONFIG):
    command = [sys.executable, "-c", CODE, str(corpus), str(out), config.model_dump_json(), str(steps)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for_step(out, step, process):
    deadline = time.monotonic() + 90
    while not (done := read_metrics(out / "metrics.jsonl")) or done[-1]["step"] < step:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_ends_at_exactly_the_step_asked_for(whole):
    lines = read_metrics(whole / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert all(
        {"loss", "loss_plain", "loss_code_switched", "loss_reasoning", "lr", "tokens"} <= set(line)
        for line in lines
    )
    assert [path.name for path in sorted((whole / "checkpoints").iterdir())] == [
        "step-00000008",
        "step-00000012",
    ]
    assert json.loads((whole / "run.json").read_text())["objective"] == "kmlm"


def test_a_run_shows_no_progress_bar_of_a_library(corpus, tmp_path, capfd):
    logging.enable_progress_bar()
    start(corpus, tmp_path, 1)
    assert "%|" not in capfd.readouterr().err


def test_the_files_of_a_model_have_the_rights_of_any_new_file(whole):
    mask = os.umask(0)
    os.umask(mask)
    found = {path.stat().st_mode & 0o777 for path in whole.rglob("*") if path.is_file()}
    assert found == {0o666 & ~mask}


def test_a_resumed_run_has_the_losses_and_weights_of_an_uninterrupted_one(corpus, tmp_path, whole):
    for steps in (3, 4, 9, 12):
        start(corpus, tmp_path, steps)
        assert len(losses(tmp_path)) == steps
    same(whole, tmp_path)
    start(corpus, tmp_path, 12)
    same(whole, tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"lr_schedule": "wsd", "lr_decay": 0.5, "schedule_steps": 6},
        {"lr_schedule": "cosine", "schedule_steps": 6},
        {"lr_schedule": "constant"},
        {"activation_checkpointing": True},
        {"precision": "bf16"},
        {"rows_per_forward": 1},
    ],
    ids=lambda options: next(iter(options.values())),
)
def test_a_resume_is_exact_with_each_option_of_the_loop(corpus, tmp_path, options):
    config = CONFIG.model_copy(update={"lr_warmup": 2, **options})
    start(corpus, tmp_path / "one", 6, config)
    for steps in (1, 4, 6):
        start(corpus, tmp_path / "two", steps, config)
    same(tmp_path / "one", tmp_path / "two")


def test_the_long_phase_has_a_schedule_of_its_own_that_a_resume_keeps(corpus, tmp_path):
    kmlm_options = KmlmConfig(long_steps=4, long_length=128, long_lr=1e-3, long_warmup=1)
    update = {"schedule_steps": 4, "lr": 4e-3, "lr_warmup": 2, "kmlm": kmlm_options}
    config = CONFIG.model_copy(update=update)
    start(corpus, tmp_path / "one", None, config)
    expected = [2e-3, 4e-3, 4e-3, 2e-3, 1e-3, 1e-3, 1e-3 * 2 / 3, 1e-3 / 3]
    assert [rate for _, _, rate in losses(tmp_path / "one")] == pytest.approx(expected)
    for steps in (4, 6, None):
        start(corpus, tmp_path / "two", steps, config)
    same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_it_had_not_been(corpus, tmp_path, whole):
    process = script(corpus, tmp_path, 12)
    wait_for_step(tmp_path, 6, process)
    process.kill()
    process.wait()
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 7, "lo')
    again = script(corpus, tmp_path, 12)
    _, log = again.communicate(timeout=90)
    assert again.returncode == 0, log
    assert "resuming from" in log
    same(whole, tmp_path)


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(corpus, tmp_path):
    # Without dropout, whose draws differ by rank.
    model = ModelConfig(hidden=16, layers=1, heads=2, vocab_size=400)
    config = CONFIG.model_copy(update={"model": model})
    start(corpus, tmp_path / "one", 6, config)
    (tmp_path / "train.py").write_text(CODE)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    rest = [str(tmp_path / "train.py"), str(corpus), str(tmp_path / "two"), config.model_dump_json()]
    for steps in (3, 6):
        environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
        subprocess.run([*launch, *rest, str(steps)], check=True, env=environment)
    one, two = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("one", "two"))
    assert [line["step"] for line in two] == list(range(1, 7))
    assert [line["tokens"] for line in two] == [line["tokens"] for line in one]
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits_with_its_code(corpus, tmp_path, whole, number):
    config = CONFIG.model_copy(update={"checkpoint_every": 1000})
    process = script(corpus, tmp_path, 100_000, config)
    wait_for_step(tmp_path, 5, process)
    os.kill(process.pid, number)
    _, log = process.communicate(timeout=90)
    assert process.returncode == 128 + number, log
    assert "Traceback" not in log
    assert f"stopped by {number.name}; the steps so far are saved" in log
    done = losses(tmp_path)[-1][0]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [f"step-{done:08d}"]
    start(corpus, tmp_path, done + 2)
    assert losses(tmp_path)[:12] == losses(whole)[: len(losses(tmp_path))]


def test_minutes_make_a_checkpoint_due(corpus, tmp_path):
    config = CONFIG.model_copy(update={"checkpoint_minutes": 1e-9, "checkpoint_every": 1000, "keep": 9})
    start(corpus, tmp_path, 3, config)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3


@pytest.mark.parametrize(
    ("change", "named"), [({"lr": 0.1}, "config.lr"), ({"kmlm": KmlmConfig(alpha=1.0)}, "config.kmlm.alpha")]
)
def test_another_config_is_refused_by_name(corpus, whole, change, named):
    with pytest.raises(UsageError, match=named.replace(".", r"\.")):
        start(corpus, whole, 12, CONFIG.model_copy(update=change))


def test_another_corpus_is_refused_but_other_intervals_are_not(tmp_path, corpus, whole):
    other = write_corpus(tmp_path, rows_of(20, seed=5))
    with pytest.raises(UsageError, match=r"corpus\.code_switched"):
        start(other, whole, 12)
    start(corpus, whole, 12, CONFIG.model_copy(update={"keep": 5, "checkpoint_every": 7, "log_every": 1}))


def test_further_tables_of_the_corpus_do_not_matter(tmp_path):
    rows = rows_of(40)
    del rows["code_switched"]
    corpus = write_corpus(tmp_path / "corpus", {"reasoning": rows["reasoning"]})
    config = CONFIG.model_copy(update={"kmlm": KmlmConfig(streams=("reasoning",))})
    start(corpus, tmp_path / "run", 1, config)
    write_corpus(corpus, rows)
    start(corpus, tmp_path / "run", 2, config)
    assert [step for step, _, _ in losses(tmp_path / "run")] == [1, 2]


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_records(corpus, tmp_path, monkeypatch):
    start(corpus, tmp_path, 2)
    forward, calls = kmlm.MaskedLoss.forward, []

    def poisoned(self, **inputs):
        calls.append(1)
        return forward(self, **inputs) * (math.nan if len(calls) == 4 else 1.0)

    monkeypatch.setattr(kmlm.MaskedLoss, "forward", poisoned)
    with pytest.raises(KgcorpusError, match=r"step \d+, records \S+") as raised:
        start(corpus, tmp_path, 12)
    monkeypatch.undo()
    done = len(losses(tmp_path))
    assert f"step {done + 1}," in str(raised.value)
    assert (tmp_path / "checkpoints" / f"step-{done:08d}").exists()
    # What is saved is the state before the step.
    start(corpus, tmp_path, 12)
    assert all(math.isfinite(loss) for _, loss, _ in losses(tmp_path))


def test_the_resumed_state_after_a_bad_step_is_that_before_it(corpus, tmp_path, monkeypatch, whole):
    monkeypatch.setattr(
        kmlm.MaskedLoss,
        "forward",
        lambda self, **inputs: sum(p.sum() for p in self.parameters()) * math.inf * torch.ones(3),
    )
    with pytest.raises(KgcorpusError):
        start(corpus, tmp_path, 12)
    monkeypatch.undo()
    start(corpus, tmp_path, 12)
    same(whole, tmp_path)


def test_the_model_opens_with_bare_transformers(whole):
    code = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] in ('kgcorpus', 'trainer', 'pipelines'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from transformers import AutoModelForMaskedLM, AutoTokenizer\n"
        "for folder in sys.argv[1:]:\n"
        "    model, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)\n"
        "    assert not info['missing_keys'] and not info['unexpected_keys'], info\n"
        "    tokenizer = AutoTokenizer.from_pretrained(folder)\n"
        "    logits = model(**tokenizer('Ulm a [MASK] Ulm b.', return_tensors='pt')).logits\n"
        "    assert logits.shape[-1] == len(tokenizer)\n"
    )
    folders = [whole / "model", whole / "checkpoints" / "step-00000012"]
    subprocess.run([sys.executable, "-c", code, *map(str, folders)], check=True, cwd="/")


def test_a_checkpoint_s_parts_open_without_running_code(whole):
    newest = whole / "checkpoints" / "step-00000012"
    state = torch.load(newest / "optimizer.pt", weights_only=True)
    assert all(entry["step"] == 12 for entry in state["state"].values())
    kept = json.loads((newest / "state.json").read_text())
    assert len(json.dumps([kept["step"], kept["objective"]])) < 300
    assert set(kept["files"]) == {path.name for path in newest.iterdir()} - {"state.json"}


def test_a_base_model_is_trained_on(corpus, tmp_path, whole):
    config = CONFIG.model_copy(update={"base_model": str(whole / "model")})
    start(corpus, tmp_path, 1, config)
    assert losses(tmp_path)[0][1] < losses(whole)[0][1]
    with pytest.raises(UsageError, match="base_model"):
        start(corpus, tmp_path / "x", 1, CONFIG.model_copy(update={"base_model": str(tmp_path / "none")}))
    with pytest.raises(UsageError, match="reach 128 tokens"):
        start(corpus, tmp_path / "y", 1, config.model_copy(update={"max_length": 200}))


def test_a_base_model_keeps_its_dropout(corpus, tmp_path, whole):
    found = {}
    for dropout in (0.0, 0.5):
        base = shutil.copytree(whole / "model", tmp_path / f"base-{dropout}")
        settings = json.loads((base / "config.json").read_text())
        settings |= {"hidden_dropout_prob": dropout}
        (base / "config.json").write_text(json.dumps(settings))
        start(corpus, tmp_path / f"{dropout}", 1, CONFIG.model_copy(update={"base_model": str(base)}))
        found[dropout] = losses(tmp_path / f"{dropout}")[0][1]
    assert found[0.5] > found[0.0]


def test_bf16_is_near_fp32_and_keeps_the_weights_in_fp32(corpus, tmp_path, whole):
    start(corpus, tmp_path, 3, CONFIG.model_copy(update={"precision": "bf16"}))
    expected = [loss for _, loss, _ in losses(whole)[:3]]
    found = [loss for _, loss, _ in losses(tmp_path)]
    assert found != expected
    assert found == pytest.approx(expected, rel=0.02)
    assert {tensor.dtype for tensor in weights(tmp_path).values()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_compiled_run_has_nearly_the_losses_and_the_same_checkpoints(corpus, tmp_path, monkeypatch):
    graphs, next_step = [], kmlm.Kmlm.next_step

    def counted(self, step):
        graphs.append(counters["stats"]["unique_graphs"])
        return next_step(self, step)

    # Without dropout, which compiled code draws otherwise.
    config = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"dropout": 0.0})})
    start(corpus, tmp_path / "plain", 8, config)
    counters.clear()
    monkeypatch.setattr(kmlm.Kmlm, "next_step", counted)
    start(corpus, tmp_path / "compiled", 8, config.model_copy(update={"compile": True}))
    # The third step is the first whose sizes may be new; steps are prepared one ahead.
    assert graphs[-1] - graphs[4] <= 1
    expected, found = losses(tmp_path / "plain"), losses(tmp_path / "compiled")
    assert [loss for _, loss, _ in found] == pytest.approx([loss for _, loss, _ in expected], rel=1e-4)
    assert weights(tmp_path / "compiled").keys() == weights(tmp_path / "plain").keys()


def test_a_second_process_in_the_same_folder_is_refused(tmp_path, corpus):
    for objective in ("kmlm", "transe"):
        with folder_lock(tmp_path, "run"), pytest.raises(UsageError, match=f"another run .*{os.getpid()}"):
            train(objective, corpus=corpus, out=tmp_path, config=CONFIG)
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("objective", ["kmlm", "transe"])
def test_resume_no_starts_a_run_and_refuses_to_resume_it(tmp_path, objective, capsys):
    corpus = write_world(tmp_path / "corpus") if objective == "transe" else None
    corpus = corpus or write_corpus(tmp_path / "corpus", rows_of(40))
    words = ["train", objective, "--corpus", corpus, "--out", tmp_path / "run", "--max-steps", 1]
    words += ["--set", "transe.dim=8", "--set", "model.hidden=16"]

    def command(resume):
        return run_app(lambda: app([*map(str, words), "--resume", resume], standalone_mode=False))

    assert command("no") == 0
    assert command("no") == 2
    assert "contains a run, and --resume is no" in " ".join(capsys.readouterr().err.split())
    assert command("auto") == 0


def test_wrong_use_is_told(tmp_path, corpus):
    with pytest.raises(UsageError, match=r"cannot train 'bert'.*kmlm"):
        train("bert", corpus=corpus, out=tmp_path / "run", config=CONFIG)
    with pytest.raises(InputError, match="no finished build"):
        train("kmlm", corpus=tmp_path, out=tmp_path / "run", config=CONFIG)


def test_metrics_are_cut_back_and_a_torn_line_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    # What happens on a step, before the next one, is done anew by a run that goes on from there.
    path.write_text(
        '{"step": 0, "event": "x"}\n{"step": 1}\n{"step": 1, "event": "x"}\n{"step": 2}\n{"step": 3, "lo'
    )
    with MetricsLog(path, step=1) as metrics:
        metrics.write({"step": 2, "loss": 0.5})
    assert read_metrics(path) == [{"step": 0, "event": "x"}, {"step": 1}, {"step": 2, "loss": 0.5}]


@pytest.mark.slow
def test_the_default_preset_learns(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", rows_of(1700))
    train("kmlm", corpus=corpus, out=tmp_path / "run", config=TrainingConfig(), max_steps=60)
    found = [loss for _, loss, _ in losses(tmp_path / "run")]
    assert np.mean(found[-5:]) < 0.7 * np.mean(found[:5])


def test_a_damaged_shard_of_equal_length_is_named(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", rows_of(40))
    shard = corpus / "data" / "plain_text" / "train-00000-of-00002.parquet"
    damage_pages(shard)
    with pytest.raises(InputError, match=rf"{shard}: its bytes are not .*Delete it and run kgcorpus build"):
        start(corpus, tmp_path / "run", 1)


@pytest.mark.parametrize(("objective", "table"), [("kmlm", "reasoning"), ("transe", "triples")])
def test_tables_that_a_build_has_not_come_to_are_refused(tmp_path, objective, table):
    corpus = write_corpus(tmp_path / "corpus", rows_of(4))
    manifest = load_manifest(corpus)
    manifest.pending = frozenset({table, "trelm"})
    manifest.save(corpus)
    with pytest.raises(InputError, match=rf"stopped before finishing {table}\. "):
        train(objective, corpus=corpus, out=tmp_path / "run", config=CONFIG, max_steps=1)
    assert not (tmp_path / "run" / "model").exists()
