import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from kgcorpus.contracts.errors import InputError
from tests.trainer.jaket.toy import jaket_rows
from tests.trainer.toy import write_corpus
from trainer.jaket.export import export
from trainer.jaket.model import open_jaket


@pytest.fixture
def saved(jaket, jaket_tokenizer, tmp_path):
    jaket.save_pretrained(tmp_path / "model")
    jaket_tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def held_out(folder):
    """The toy's passages as a test split, by another page of the manifest."""
    corpus = write_corpus(folder, jaket_rows())
    manifest = (corpus / "manifest.json").read_text()
    for path in sorted((corpus / "data" / "jaket_text").glob("train-*")):
        path.rename(path.with_name(path.name.replace("train", "test")))
    (corpus / "manifest.json").write_text(manifest.replace("jaket_text/train-", "jaket_text/test-"))
    return corpus


def test_the_export_opens_bare_and_its_gap_is_measured(saved, tmp_path):
    found = export(saved, held_out(tmp_path / "corpus"), tmp_path / "lm")
    assert found["tokens"] > 100
    assert found["gap"] == pytest.approx(found["plain"] - found["joint"]) != 0
    plain, report = AutoModelForMaskedLM.from_pretrained(tmp_path / "lm", output_loading_info=True)
    assert not report["missing_keys"]
    ids = AutoTokenizer.from_pretrained(tmp_path / "lm")("The old Name3", return_tensors="pt")["input_ids"]
    jaket, _ = open_jaket(saved)
    torch.testing.assert_close(plain(ids).logits, jaket.cpu().lm(ids).logits)


def test_without_passages_held_out_nothing_can_be_measured(saved, jaket_corpus, tmp_path):
    with pytest.raises(InputError, match="no token held out"):
        export(saved, jaket_corpus, tmp_path / "lm")
    assert not (tmp_path / "lm").exists()
