"""The costs of a step in its line of metrics, and activations that are computed again."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import write_corpus
from tests.trainer.trelm.world import write_vectors, write_world
from trainer.config import TrainingConfig
from trainer.metrics_log import read_metrics
from trainer.run import train

SMALL: dict[str, Any] = {
    "model": {"hidden": 32, "layers": 3, "heads": 2, "vocab_size": 400, "dropout": 0.1},
    "records_per_step": 8,
    "max_length": 96,
}


def losses(objective: str, corpus: Path, out: Path, **settings: Any) -> list[float]:
    config = TrainingConfig.model_validate({**SMALL, **settings})
    train(objective, corpus=corpus, out=out, config=config, max_steps=2)
    return [line["loss"] for line in read_metrics(out / "metrics.jsonl") if "loss" in line]


def test_each_line_has_speed_wait_memory_and_share_of_the_peak(corpus: Path, tmp_path: Path) -> None:
    losses("kmlm", corpus, tmp_path, peak_tflops=0.5)
    for line in read_metrics(tmp_path / "metrics.jsonl"):
        assert line["tokens_per_second"] == pytest.approx(line["tokens"] / line["seconds"])
        assert 0 <= line["data_share"] < 1
        assert 50 < line["peak_memory_mib"] < 100_000
        # Three layers of 12 hidden^2 weights, and the dense layer of the head.
        flops = 6 * (3 * 12 + 1) * 32**2
        assert line["mfu"] == pytest.approx(line["tokens_per_second"] * flops / 0.5e12)


def test_without_a_known_peak_there_is_no_mfu(corpus: Path, tmp_path: Path) -> None:
    losses("kmlm", corpus, tmp_path)
    assert all("mfu" not in line for line in read_metrics(tmp_path / "metrics.jsonl"))


@pytest.mark.parametrize("objective", ["kmlm", "trelm", "jaket"])
def test_activation_checkpointing_keeps_less_and_changes_no_loss(
    objective: str, corpus: Path, tmp_path: Path
) -> None:
    own: dict[str, Any] = {}
    if objective == "jaket":
        corpus = write_corpus(tmp_path / "corpus", jaket_rows(), row_group=20)
        own = {"jaket": {"passages": 8, "roots": 16, "gat_heads": 2, "description_length": 16}}
    elif objective == "trelm":
        corpus = write_world(tmp_path / "corpus")
        own = {
            "trelm": {"kge": str(write_vectors(tmp_path / "kge")), "memory": {"word_quantiles": [0.0, 0.8]}}
        }
    kept: list[int] = []

    def count(tensor: torch.Tensor) -> torch.Tensor:
        kept[-1] += tensor.numel()
        return tensor

    found = []
    for again in (False, True):
        kept.append(0)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            out = tmp_path / f"run-{again}"
            found.append(losses(objective, corpus, out, activation_checkpointing=again, **own))
    assert found[0] == found[1]
    assert kept[1] < 0.8 * kept[0]
