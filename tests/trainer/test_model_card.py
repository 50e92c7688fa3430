"""The card of a run's model, as `kgcorpus train` and `kgcorpus evaluate` write it."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.made import command
from trainer.config import ModelConfig, TrainingConfig
from trainer.run import train

CONFIG = TrainingConfig(
    model=ModelConfig(hidden=16, layers=1, heads=2, vocab_size=400),
    records_per_step=6,
    rows_per_forward=2,
    schedule_steps=4,
)


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("card") / "run"
    data = shutil.copytree(corpus, out.parent / "corpus")
    (data / "config.yaml").write_text("seed: 0\nlanguages: [en, zh-tw]\n")
    train("kmlm", corpus=data, out=out, config=CONFIG, max_steps=2)
    return out


def card_of(run):
    return (run / "model" / "README.md").read_text(encoding="utf-8")


def test_the_card_names_base_data_languages_licence_and_settings(run):
    _, head, body = card_of(run).split("---\n", 2)
    about = yaml.safe_load(head)
    assert about["language"] == ["en", "zh"]
    assert about["license"] == "other"
    assert "base_model" not in about
    for text in (
        "trained from scratch",
        "Steps: 2",
        "| code_switched |",
        "None yet",
        "records_per_step: 6",
    ):
        assert text in body


def test_the_four_lines_of_the_card_run(run):
    code = card_of(run).split("```python\n")[1].split("```")[0]
    assert len(code.strip().splitlines()) == 4
    code = code.replace("path/to/this/folder", str(run / "model"))
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5


def test_results_with_intervals_go_into_the_card_and_out_with_a_newer_model(run, corpus):
    done = command(
        *("evaluate", "cycles", "--model", run / "model", "--data", run.parent / "corpus"),
        *("--set", "limit=4", "--out", run / "results" / "cycles.json"),
    )
    assert done == 0
    found = json.loads((run / "results" / "cycles.json").read_text())["overall"]
    low, high = found["interval"]
    assert f"{found['difference']:+.4f} [{low:+.4f}, {high:+.4f}]" in card_of(run)
    assert "None yet" not in card_of(run)
    train("kmlm", corpus=run.parent / "corpus", out=run, config=CONFIG, max_steps=3)
    assert "Steps: 3" in card_of(run)
    assert "None yet" in card_of(run)
