import json
import shutil
import subprocess
import sys

import pytest

from kgcorpus.contracts.errors import UsageError
from trainer.evaluate import run_benchmark
from trainer.evaluate.config import EvaluationConfig
from trainer.evaluate.fine_tuning.ner import evaluate_ner as ner
from trainer.evaluate.registry import BENCHMARKS
from trainer.evaluate.statistics import over_seeds

QUICK = EvaluationConfig(epochs=1)


@pytest.fixture
def data(tmp_path):
    for path, text in {"train": "Ada\tB-PER\nin\tO\n", "test": "Ulm\tB-LOC\n"}.items():
        (tmp_path / "data" / "en").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "en" / path).write_text(text)
    return tmp_path / "data"


def test_a_run_s_checkpoints_give_the_score_over_the_time(bert, data, tmp_path):
    for step in (4, 8):
        shutil.copytree(bert, tmp_path / "run" / "checkpoints" / f"step-{step:08d}")
    lines = [{"step": step, "loss": 1.0, "seconds": 0.5} for step in range(1, 9)]
    lines.insert(3, {"step": 3, "event": "reroute", "seconds": 7.0})
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    checkpoints = str(tmp_path / "run" / "checkpoints")
    run_benchmark("ner", model=checkpoints, data=str(data), out=tmp_path / "out.json", config=QUICK)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["benchmark"] == "ner"
    # An event's seconds are part of its step's.
    assert [(line["step"], line["seconds"]) for line in found["series"]] == [(4, 2.0), (8, 4.0)]
    alone = ner(bert, data, QUICK)
    assert all(line["by_language"] == alone["by_language"] for line in found["series"])


def test_the_command_reads_the_configuration_and_keeps_stdout_empty(bert, data, tmp_path):
    arguments = ["--model", bert, "--data", data, "--out", tmp_path / "out.json"]
    settings = ["--set", "seeds=[3,4]", "--set", "epochs=1"]
    command = [sys.executable, "-m", "kgcorpus", "evaluate", "ner", *map(str, arguments), *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["config"]["seeds"] == [3, 4]
    assert len(found["average"]["f1"]["values"]) == 2


def test_every_name_leads_to_a_function():
    for benchmark in BENCHMARKS.values():
        assert callable(benchmark.load())
    with pytest.raises(UsageError, match=r"nonsense.*cycles.*glue.*xlr"):
        run_benchmark("nonsense", model="m", data="d", out=None)


def test_one_run_has_no_deviation():
    assert over_seeds([{"f1": 0.5}]) == {"f1": {"mean": 0.5, "deviation": 0.0, "values": [0.5]}}
    assert over_seeds([{"f1": 0.0}, {"f1": 1.0}])["f1"]["deviation"] == pytest.approx(0.5**0.5)
