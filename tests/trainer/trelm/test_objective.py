import json
import os
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertForMaskedLM

from kgcorpus.contracts.errors import InputError, UsageError
from tests.trainer.measuring import without_costs
from tests.trainer.toy import with_validation
from tests.trainer.trelm.made import config_of, filled, make, objective_of, options_of, sums_of
from tests.trainer.trelm.world import write_vectors
from trainer.config import TrainingConfig
from trainer.loop import gradients
from trainer.metrics_log import read_metrics
from trainer.run import train
from trainer.trelm.objective import Trelm


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


def test_bf16_is_near_fp32(made):
    objective = filled(objective_of(made, config_of()))
    batches = objective.next_step(2)
    results = [
        gradients(objective.model, batches, objective.terms, Accelerator(cpu=True), bf16=b)
        for b in (False, True)
    ]
    assert results[1].means != results[0].means
    assert results[1].means == pytest.approx(results[0].means, rel=0.02)


def test_the_correction_for_drawing_is_an_option(made):
    found = []
    for logq in (False, True):
        (batch,) = objective_of(made, config_of(trelm=options_of(logq=logq))).next_step(0)
        found.append(sums_of(objective_of(made, config_of()), [batch])[0])
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]


def test_the_loss_weighs_the_means_by_theta_however_the_rows_are_cut(made):
    found = []
    for rows in (1, 500):
        config = config_of(trelm=options_of(theta=0.7), rows_per_forward=rows)
        objective = objective_of(made, config)
        batches = objective.next_step(0)
        counts = sum(batch.counts for batch in batches)
        mlm, cka = (sums_of(objective, batches).sum(dim=0) / torch.from_numpy(counts)).tolist()
        objective.model.zero_grad()
        result = gradients(objective.model, batches, objective.terms, Accelerator(cpu=True))
        assert result.loss == pytest.approx(0.7 * mlm + 0.3 * cka, rel=1e-5)
        assert result.means == pytest.approx({"loss_mlm": mlm, "loss_cka": cka}, rel=1e-5)
        found.append((len(batches), torch.cat([p.grad.flatten() for p in objective.model.parameters()])))
    assert found[0][0] > found[1][0] == 1
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-5)


def test_without_a_fact_to_ask_for_the_loss_of_cka_is_0(made):
    # No relation of the passages has a vector.
    kept = made.vectors.parent / "other"
    if not kept.exists():
        write_vectors(kept)
        (kept / "model" / "relations.txt").write_text("P1\nP2\nP3\n")
    objective = Trelm(
        config_of(), files=made.files, tokenizer=made.tokenizer, graph=made.graph, kge=kept / "model",
        routes=made.world / "routes.jsonl",
    )  # fmt: skip
    batches = objective.next_step(0)
    result = gradients(objective.model, batches, objective.terms, Accelerator(cpu=True))
    assert result.means["loss_cka"] == 0
    assert result.means["loss_mlm"] > 0
    numbers = objective.after_step(1, Accelerator(cpu=True))
    assert numbers["targets"] == numbers["cka_tokens"] == numbers["injected"] == 0
    assert numbers["without_fact"] > 0


def test_the_numbers_of_a_step_are_counted(made):
    objective = objective_of(made, config_of(trelm=options_of(inject="both")))
    (batch,) = objective.next_step(0)
    sums_of(objective, [batch])
    numbers = objective.after_step(1, Accelerator(cpu=True))
    assert numbers["mentions"] == 48
    assert numbers["selected"] == 24
    assert numbers["targets"] == numbers["injected"] == 24 - numbers["without_fact"]
    assert numbers["cka_tokens"] == batch.counts[1]
    assert numbers["memory_weight"] == 0.5


def test_two_ranks_see_what_one_sees(made):
    one = objective_of(made, config_of())
    ranks = [objective_of(made, config_of(), rank=rank, world=2) for rank in range(2)]
    (whole,), *parts = one.next_step(0), *(rank.next_step(0)[0] for rank in ranks)
    assert Counter(whole.records) == Counter(parts[0].records + parts[1].records)
    assert (whole.counts == parts[0].counts + parts[1].counts).all()
    assert ranks[0].state() == ranks[1].state()
    losses = [sums_of(one, [batch])[0] for batch in (whole, *parts)]
    torch.testing.assert_close(losses[0], losses[1] + losses[2], rtol=1e-4, atol=1e-4)


def test_shared_knowledge_trains_the_words(made):
    objective = objective_of(made, config_of(trelm=options_of(provider="shared")))
    batches = objective.next_step(0)
    result = gradients(objective.model, batches, objective.terms, Accelerator(cpu=True))
    assert result.loss > 0
    assert all(
        (p.grad is not None) and p.grad.abs().sum() > 0 for p in objective.model.injection.parameters()
    )


def test_wrong_use_is_told(made, tmp_path):
    with pytest.raises(UsageError, match="fewer than 13 ranks"):
        objective_of(made, config_of(), world=13)
    with pytest.raises(InputError, match="no embeddings"):
        train("trelm", corpus=made.world, out=tmp_path / "a", max_steps=1,
              config=config_of(trelm=options_of(kge=str(tmp_path))))  # fmt: skip


def start(made, out, steps, **options):
    config = config_of(trelm=options_of(kge=str(made.vectors)), checkpoint_every=3, **options)
    return train("trelm", corpus=made.world, out=out, config=config, max_steps=steps)


@pytest.fixture(scope="module")
def run(made, tmp_path_factory):
    """A run of 8 steps in one go."""
    out = tmp_path_factory.mktemp("run")
    start(made, out, 8)
    return out


def lines(out):
    return without_costs(read_metrics(out / "metrics.jsonl"))


def test_a_resumed_run_is_that_of_one_go(made, run, tmp_path):
    for steps in (2, 5, 8):
        start(made, tmp_path, steps)
    assert lines(tmp_path) == lines(run)
    for name in ("model.safetensors", "trelm.safetensors"):
        first, second = (load_file(out / "model" / name) for out in (run, tmp_path))
        assert all(torch.equal(first[key], second[key]) for key in first)
    assert (load_file(run / "model" / "trelm.safetensors")["memory.count"] > 0).any()


def test_the_model_is_a_plain_one_of_transformers(run, made):
    model, info = AutoModelForMaskedLM.from_pretrained(run / "model", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert type(model) is BertForMaskedLM
    assert len(AutoTokenizer.from_pretrained(run / "model")) == model.config.vocab_size


def test_each_step_s_line_has_what_is_asked_for(run):
    for line in lines(run):
        assert {"loss_mlm", "loss_cka", "targets", "injected", "cka_tokens", "memory_weight"} <= set(line)
        assert line["norm_injected"] == pytest.approx(line["norm_words"], rel=0.3)
    kept = json.loads((run / "model" / "trelm.json").read_text())
    assert kept["options"]["theta"] == 0.5


CODE = """
import sys
from trainer.config import TrainingConfig
from trainer.run import train
config = TrainingConfig.model_validate_json(sys.argv[3])
train("trelm", corpus=sys.argv[1], out=sys.argv[2], config=config, max_steps=int(sys.argv[4]))
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_and_remember_the_same(made, tmp_path):
    corpus = with_validation(shutil.copytree(made.world, tmp_path / "world"))
    config = config_of(trelm=options_of(kge=str(made.vectors)), validate_every=2, validation_records=15)
    train("trelm", corpus=corpus, out=tmp_path / "one", config=config, max_steps=4)
    (tmp_path / "train.py").write_text(CODE)
    rest = [str(tmp_path / "train.py"), str(corpus), str(tmp_path / "two"), config.model_dump_json()]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
    # The memory is held by two processes, then by one, then by two again.
    for processes, steps in ((2, 2), (1, 3), (2, 4)):
        number = f"--nproc-per-node={processes}"
        launch = [sys.executable, "-m", "torch.distributed.run", number, "--standalone"]
        subprocess.run([*launch, *rest, str(steps)], check=True, env=environment)
    one, two = (lines(tmp_path / name) for name in ("one", "two"))
    for name in ("loss_mlm", "loss_cka"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=1e-4)
    for name in ("tokens", "mentions", "targets", "injected", "cka_tokens"):
        assert [line[name] for line in two] == [line[name] for line in one]
    measured = [name for name in one[3] if name.startswith("valid_") and name != "valid_seconds"]
    assert {"valid_loss_cka", "valid_accuracy_cka", "valid_without_injection_accuracy_cka"} <= set(measured)
    for name in measured:
        assert [two[1][name], two[3][name]] == pytest.approx([one[1][name], one[3][name]], rel=1e-4)
    first, second = (load_file(tmp_path / name / "model" / "trelm.safetensors") for name in ("one", "two"))
    assert torch.equal(first["memory.count"], second["memory.count"])
    for name in ("memory.local", "memory.total"):
        torch.testing.assert_close(first[name], second[name], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_the_default_preset_learns(made, tmp_path):
    train("trelm", corpus=made.world, out=tmp_path, config=TrainingConfig(), max_steps=40)
    steps = [line for line in read_metrics(tmp_path / "metrics.jsonl") if "loss" in line]
    first, last = ({name: np.mean([line[name] for line in part]) for name in ("loss_mlm", "loss_cka")}
                   for part in (steps[:5], steps[-5:]))  # fmt: skip
    assert last["loss_mlm"] < 0.8 * first["loss_mlm"]
    assert last["loss_cka"] < 0.8 * first["loss_cka"]
