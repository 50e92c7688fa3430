"""Loading of pretrained models."""

from pathlib import Path

import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.importance.pretrained import read_weights, require_on_hub


@pytest.mark.parametrize("name", ["absent", "runs/absent", "/absent/model"])
def test_a_path_to_nothing_is_reported_without_asking_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    path = name if "/" in name else str(tmp_path / name)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: pytest.fail("the hub was asked"))
    with pytest.raises(InputError, match="does not exist"):
        require_on_hub(path)


def test_weights_are_read_without_a_progress_bar(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    small = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(small).save_pretrained(tmp_path)
    capfd.readouterr()
    logging.enable_progress_bar()
    read_weights(BertModel, tmp_path)
    assert capfd.readouterr().err == ""
    assert logging.is_progress_bar_enabled()
