"""Validation measures a fixed sample, changes nothing in training, and decides the same after a resume."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoTokenizer

from kgcorpus.contracts.errors import InputError
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.measuring import without_costs
from tests.trainer.toy import Row, rows_of, with_validation, write_corpus
from tests.trainer.trelm.world import write_vectors, write_world
from trainer.config import TrainingConfig
from trainer.metrics_log import read_metrics
from trainer.run import train

SMALL: dict[str, Any] = {
    "model": {"hidden": 16, "layers": 2, "heads": 2, "vocab_size": 400, "dropout": 0.1},
    "records_per_step": 6,
    "rows_per_forward": 4,
    "max_length": 96,
    "schedule_steps": 12,
    "checkpoint_every": 3,
}
JAKET = {"passages": 8, "roots": 16, "gat_heads": 2, "description_length": 16}


def start(objective: str, corpus: Path, out: Path, steps: int, **settings: Any) -> list[Row]:
    """The lines of metrics of a run up to `steps`, without its times."""
    config = TrainingConfig.model_validate({**SMALL, **settings})
    train(objective, corpus=corpus, out=out, config=config, max_steps=steps)
    return without_costs(read_metrics(out / "metrics.jsonl"))


def training_part(lines: list[Row]) -> list[Row]:
    return [{name: line[name] for name in line if not name.startswith("valid_")} for line in lines]


def validations(lines: list[Row]) -> dict[int, Row]:
    return {line["step"]: line for line in lines if "valid_loss" in line}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("corpora")
    return {
        "kmlm": with_validation(write_corpus(folder / "kmlm", rows_of(60))),
        "jaket": with_validation(write_corpus(folder / "jaket", jaket_rows(), row_group=20)),
        "trelm": with_validation(write_world(folder / "trelm")),
    }


def settings_of(objective: str, folder: Path) -> dict[str, Any]:
    """The objective's own settings."""
    if objective == "jaket":
        return {"jaket": JAKET}
    if objective == "trelm":
        vectors = write_vectors(folder / "vectors")
        return {"trelm": {"kge": str(vectors), "memory": {"word_quantiles": [0.0, 0.8]}}}
    return {}


MEASURES = {
    "kmlm": {"loss_plain", "loss_code_switched", "loss_reasoning", "accuracy_plain", "accuracy_reasoning"},
    "trelm": {"loss_mlm", "loss_cka", "accuracy_mlm", "accuracy_cka", "without_injection_loss_mlm"},
    "jaket": {
        f"{kind}_{task}"
        for kind in ("loss", "accuracy")
        for task in ("category", "relation", "token", "entity")
    },
}


@pytest.mark.parametrize("objective", MEASURES)
def test_training_is_the_same_with_validation_and_across_a_resume(
    objective: str, corpora: dict[str, Path], tmp_path: Path
) -> None:
    own, corpus = settings_of(objective, tmp_path), corpora[objective]
    plain = start(objective, corpus, tmp_path / "plain", 5, **own)
    settings = {**own, "validate_every": 2, "validation_records": 20, "keep_best": True}
    whole = start(objective, corpus, tmp_path / "whole", 5, **settings)
    assert training_part(whole) == training_part(plain)
    one, other = (weights(tmp_path / name / "model") for name in ("plain", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    found = validations(whole)
    assert list(found) == [2, 4]
    assert {f"valid_{name}" for name in MEASURES[objective]} <= set(found[2])
    assert found[2]["valid_loss"] != found[4]["valid_loss"]
    assert all(0 <= found[2][name] <= 1 for name in found[2] if name.startswith("valid_accuracy"))
    for steps in (3, 5):
        resumed = start(objective, corpus, tmp_path / "resumed", steps, **settings)
    assert resumed == whole
    best = [weights(tmp_path / name / "best") for name in ("whole", "resumed")]
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])


def test_a_validation_has_the_loss_of_the_saved_model_without_dropout(
    corpora: dict[str, Path], tmp_path: Path
) -> None:
    settings = {"validate_every": 1, "lr": 1e-30, "kmlm": {"streams": ["plain"]}, "validation_records": 8}
    first, second = start("kmlm", corpora["kmlm"], tmp_path, 2, **settings)
    # Dropout differs from step to step, and would show.
    assert first["valid_loss"] == pytest.approx(second["valid_loss"], rel=1e-6)
    assert first["valid_loss"] == first["valid_loss_plain"]
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "model")
    size = len(AutoTokenizer.from_pretrained(tmp_path / "model"))
    assert first["valid_loss"] == pytest.approx(float(torch.tensor(size).log()), rel=0.5)
    assert model.config.hidden_dropout_prob == 0.1


def test_a_run_ends_where_patience_does_and_stays_there(corpora: dict[str, Path], tmp_path: Path) -> None:
    # The rate is so high that the loss cannot fall for long.
    settings = {"validate_every": 1, "patience": 2, "keep_best": True, "lr": 3.0, "lr_warmup": 0}
    lines = start("kmlm", corpora["kmlm"], tmp_path / "run", 12, **settings)
    losses = [line["valid_loss"] for line in lines]
    best = losses.index(min(losses))
    assert len(losses) == best + 3 < 12
    assert start("kmlm", corpora["kmlm"], tmp_path / "run", 12, **settings) == lines
    part = start("kmlm", corpora["kmlm"], tmp_path / "parts", best + 2, **settings)
    assert part == lines[:-1]
    assert start("kmlm", corpora["kmlm"], tmp_path / "parts", 12, **settings) == lines
    kept, last = weights(tmp_path / "run" / "best"), weights(tmp_path / "run" / "model")
    assert any(not torch.equal(kept[name], last[name]) for name in kept)
    start("kmlm", corpora["kmlm"], tmp_path / "until", best + 1, lr=3.0, lr_warmup=0)
    expected = weights(tmp_path / "until" / "model")
    assert all(torch.equal(kept[name], expected[name]) for name in kept)


def test_a_corpus_without_a_validation_split_is_refused(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", {"plain_text": rows_of(30)["plain_text"]})
    with pytest.raises(InputError, match=r"no records to validate on.*Leave validate_every out"):
        start("kmlm", corpus, tmp_path / "run", 2, validate_every=1)


@pytest.mark.parametrize("setting", [{"patience": 2}, {"keep_best": True}])
def test_settings_of_a_validation_that_is_off_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs validate_every"):
        TrainingConfig.model_validate(setting)
